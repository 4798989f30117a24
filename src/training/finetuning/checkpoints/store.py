"""Write checkpoints, and assemble models from a base model and finetuned networks."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.files import fsync_folder
from engines.model_files import CHECKSUMS_FILE, CONFIG_FILE, TENSORS_SUFFIX, record_checksum
from runs.state import (
    check_disk_space,
    count_tensor_bytes,
    link_or_copy,
    translate_disk_full_errors,
)
from tortoise.checkpoints.config import read_config, write_config
from tortoise.checkpoints.layout import ADAPTER_FILE, get_adapter_paths
from training.finetuning.checkpoints.run_layout import (
    CHECKPOINT_INFO_FILE,
    CHECKPOINTS_DIR,
    FINETUNE_FILE,
    TEMPORARY_MODEL_DIR,
    VOICE_LATENTS_FILE,
    get_checkpoint_dir,
    read_checkpoints,
    write_info_file,
)
from training.finetuning.checkpoints.selection import CheckpointInfo, find_checkpoints_to_prune

FILES_NOT_COPIED = (
    CONFIG_FILE,
    CHECKSUMS_FILE,
    "README.md",
    FINETUNE_FILE,
    VOICE_LATENTS_FILE,
    "merge.json",
)
PARTIAL_SUFFIX = ".part"
SAFETENSORS_DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}


def begin_checkpoint(
    run: Path, step: int, files: Mapping[str, Mapping[str, Tensor]], base: Path
) -> Path:
    """Write the networks of a checkpoint into a temporary folder; return it.

    base: the model whose files decide the stored dtypes.
    Raises DiskFullError where there is no room.
    """
    folder = _get_partial_dir(run, step)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, tensors in files.items():
        stored = cast_to_stored_dtypes(tensors, base / name)
        check_disk_space(run, count_tensor_bytes(stored))
        with translate_disk_full_errors(folder / name):
            save_file(stored, folder / name)
    return folder


def finish_checkpoint(run: Path, about: CheckpointInfo) -> int:
    """Rename a begun checkpoint to its final folder; return its size in bytes."""
    part, place = _get_partial_dir(run, about.step), get_checkpoint_dir(run, about.step)
    write_info_file(part / CHECKPOINT_INFO_FILE, about)
    shutil.rmtree(place, ignore_errors=True)
    part.replace(place)
    fsync_folder(place.parent)
    return sum(file.stat().st_size for file in place.iterdir())


def prune_checkpoints(run: Path, keep_last: int, keep_best: bool) -> None:
    """Delete the checkpoints that retention does not keep; their samples stay."""
    points = read_checkpoints(run)
    for step in find_checkpoints_to_prune(points, keep_last, keep_best):
        shutil.rmtree(get_checkpoint_dir(run, step), ignore_errors=True)


def delete_unfinished_files(run: Path, step: int) -> None:
    """Delete temporary files of an earlier process, and checkpoints after `step`."""
    for about in read_checkpoints(run):
        if about.step > step:
            shutil.rmtree(get_checkpoint_dir(run, about.step), ignore_errors=True)
    for part in (*(run / CHECKPOINTS_DIR).glob(f"*{PARTIAL_SUFFIX}"), run / TEMPORARY_MODEL_DIR):
        shutil.rmtree(part, ignore_errors=True)
    for part in run.glob(f"*{PARTIAL_SUFFIX}*"):
        if part.is_file():
            part.unlink(missing_ok=True)


def is_checkpoint_complete(run: Path, step: int) -> bool:
    """Return whether the checkpoint of a step is complete."""
    return (get_checkpoint_dir(run, step) / CHECKPOINT_INFO_FILE).is_file()


def cast_to_stored_dtypes(tensors: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """Return the tensors on the CPU in the dtypes of a safetensors file.

    Tensors that the file lacks, or that would overflow, keep their dtype.
    """
    types = _read_dtypes(file)
    stored = {}
    for name, value in tensors.items():
        own = value.detach().cpu().contiguous()
        small = own.to(types.get(name, own.dtype))
        stored[name] = small if bool(torch.isfinite(small).all()) else own
    return {name: value.clone() for name, value in stored.items()}


def assemble_model(base: Path, networks: Sequence[Path], target: Path, about: str) -> None:
    """Create the model `target` from a base model with some networks replaced.

    Unchanged files are hard-linked where the file system can.
    """
    target.mkdir(parents=True)
    replaced = {network.name for network in networks}
    for file in sorted(base.iterdir()):
        if file.is_file() and file.name not in FILES_NOT_COPIED and file.name not in replaced:
            link_or_copy(file, target / file.name)
    if (base / CHECKSUMS_FILE).is_file():
        shutil.copyfile(base / CHECKSUMS_FILE, target / CHECKSUMS_FILE)
    for network in networks:
        link_or_copy(network, target / network.name)
        record_checksum(target / network.name)
    write_config(target, replace(read_config(base), about=about))


def add_adapter(checkpoint: Path, base: Path, target: Path) -> None:
    """Add the LoRA adapter of a checkpoint to a model, if it has one, and the GPT without it.

    With these the strength of the adapter can be chosen. The GPT is hard-linked where the file
    system can.
    """
    if not (checkpoint / ADAPTER_FILE).is_file():
        return
    adapter, gpt = get_adapter_paths(target)
    adapter.parent.mkdir()
    link_or_copy(checkpoint / ADAPTER_FILE, adapter)
    link_or_copy(base / gpt.name, gpt)


def list_network_files(folder: Path) -> list[Path]:
    """Return the network files of a checkpoint."""
    files = sorted(folder.glob(f"*{TENSORS_SUFFIX}"))
    return [file for file in files if file.name != ADAPTER_FILE]


def _get_partial_dir(run: Path, step: int) -> Path:
    place = get_checkpoint_dir(run, step)
    return place.with_name(place.name + PARTIAL_SUFFIX)


def _read_dtypes(file: Path) -> dict[str, torch.dtype]:
    if not file.is_file():
        return {}
    with safe_open(file, framework="pt") as opened:
        types = {name: opened.get_slice(name).get_dtype() for name in opened.keys()}  # noqa: SIM118
    return {
        name: SAFETENSORS_DTYPES[dtype]
        for name, dtype in types.items()
        if dtype in SAFETENSORS_DTYPES
    }
