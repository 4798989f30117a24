"""Checkpoints of a run, and whole bundles made of a base and the networks that learned."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from tortoise.bundle import CHECKSUMS_FILE, CONFIG_FILE, TENSORS_SUFFIX, record_checksum
from tortoise.config import read_config, write_config
from training.finetune_about import (
    ABOUT,
    CHECKPOINTS,
    FINETUNE_FILE,
    SPEAKING,
    VOICE_FILE,
    checkpoint_folder,
    read_checkpoints,
    write_about,
)
from training.keeping import Point, steps_to_delete
from training.lora import ADAPTER_FILE
from training.train_state import bytes_of, check_room, room_on_disk, sync_folder

NOT_TAKEN = (CONFIG_FILE, CHECKSUMS_FILE, "README.md", FINETUNE_FILE, VOICE_FILE, "merge.json")
PART = ".part"
DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}


def begin_checkpoint(
    run: Path, step: int, files: Mapping[str, Mapping[str, Tensor]], base: Path
) -> Path:
    """Write the networks of a checkpoint beside its place; returns that folder.

    base: the bundle whose files say how numbers are stored.
    Raises DiskFull, leaving nothing, where there is no room.
    """
    folder = _part_of(run, step)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, tensors in files.items():
        stored = stored_like(tensors, base / name)
        check_room(run, bytes_of(stored))
        with room_on_disk(folder / name):
            save_file(stored, folder / name)
    return folder


def finish_checkpoint(run: Path, about: Point) -> int:
    """Put a begun checkpoint in its place; returns its size in bytes."""
    part, place = _part_of(run, about.step), checkpoint_folder(run, about.step)
    write_about(part / ABOUT, about)
    shutil.rmtree(place, ignore_errors=True)
    part.replace(place)
    sync_folder(place.parent)
    return sum(file.stat().st_size for file in place.iterdir())


def thin_out(run: Path, keep_last: int, keep_best: bool) -> None:
    """Delete the checkpoints that need not be kept; their samples stay."""
    points = read_checkpoints(run)
    for step in steps_to_delete(points, keep_last, keep_best):
        shutil.rmtree(checkpoint_folder(run, step), ignore_errors=True)


def sweep(run: Path, step: int) -> None:
    """Remove what an earlier process left unfinished, or made beyond the step it goes on from."""
    for about in read_checkpoints(run):
        if about.step > step:
            shutil.rmtree(checkpoint_folder(run, about.step), ignore_errors=True)
    for part in (*(run / CHECKPOINTS).glob(f"*{PART}"), run / SPEAKING):
        shutil.rmtree(part, ignore_errors=True)
    for part in run.glob(f"*{PART}"):
        if part.is_file():
            part.unlink(missing_ok=True)


def is_whole(run: Path, step: int) -> bool:
    """Whether the checkpoint of a step was finished."""
    return (checkpoint_folder(run, step) / ABOUT).is_file()


def stored_like(tensors: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """Tensors on the CPU, in the types that a file stores them in.

    What the file lacks, or what would overflow, keeps its own type.
    """
    types = _types_in(file)
    stored = {}
    for name, value in tensors.items():
        own = value.detach().cpu().contiguous()
        small = own.to(types.get(name, own.dtype))
        stored[name] = small if bool(torch.isfinite(small).all()) else own
    return {name: value.clone() for name, value in stored.items()}


def assemble(base: Path, networks: Sequence[Path], target: Path, about: str) -> None:
    """Make the new folder `target` a bundle: the base with some of its networks replaced.

    What is unchanged is linked where the file system can, so it takes no room.
    """
    target.mkdir(parents=True)
    replaced = {network.name for network in networks}
    for file in sorted(base.iterdir()):
        if file.is_file() and file.name not in NOT_TAKEN and file.name not in replaced:
            link_or_copy(file, target / file.name)
    if (base / CHECKSUMS_FILE).is_file():
        shutil.copyfile(base / CHECKSUMS_FILE, target / CHECKSUMS_FILE)
    for network in networks:
        link_or_copy(network, target / network.name)
        record_checksum(target / network.name)
    write_config(target, replace(read_config(base), about=about))


def networks_in(folder: Path) -> list[Path]:
    """The files of a checkpoint that replace those of a bundle."""
    files = sorted(folder.glob(f"*{TENSORS_SUFFIX}"))
    return [file for file in files if file.name != ADAPTER_FILE]


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second place; a copy keeps its time, by which its checksum is known."""
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        check_room(target.parent, source.stat().st_size)
        shutil.copy2(source, target)


def _part_of(run: Path, step: int) -> Path:
    place = checkpoint_folder(run, step)
    return place.with_name(place.name + PART)


def _types_in(file: Path) -> dict[str, torch.dtype]:
    if not file.is_file():
        return {}
    with safe_open(file, framework="pt") as opened:
        types = {name: opened.get_slice(name).get_dtype() for name in opened.keys()}  # noqa: SIM118
    return {name: DTYPES[told] for name, told in types.items() if told in DTYPES}
