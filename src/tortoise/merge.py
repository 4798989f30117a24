"""Two bundles of one architecture become one: every weight a mean of both."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from jobs.plain import to_plain
from jobs.report import Reporter
from tortoise.bundle import (
    CHECKSUMS_FILE,
    CONFIG_FILE,
    MEL_STATS_FILE,
    TENSORS_SUFFIX,
    TOKENIZER_FILE,
    BundleError,
    hash_content,
    missing_to_speak,
    network_file,
    read_json,
    record_checksum,
)
from tortoise.config import read_config, write_config
from tortoise.tensor_files import read_shapes, read_tensors, save_tensors
from tortoise.weights import load_mel_stats

NOT_COPIED = (CONFIG_FILE, CHECKSUMS_FILE, "README.md", "merge.json")


@dataclass(frozen=True, kw_only=True)
class Parents:
    """The bundles to merge. share: of the second."""

    first: Path
    second: Path
    share: float

    @property
    def nearer(self) -> Path:
        """The one that the mixture has more of."""
        return self.first if self.share <= 0.5 else self.second


def check_parents(parents: Parents) -> list[str]:
    """Return the networks to mix: those of the first.

    Raises BundleError naming the first thing in which the two differ.
    """
    one, other = read_config(parents.first), read_config(parents.second)
    for folder in (parents.first, parents.second):
        if missing := missing_to_speak(folder):
            raise BundleError(f"{folder.name} lacks {', '.join(missing)}, so it cannot be merged.")
    _check_same(
        parents, "how they are used", to_plain(one.conventions), to_plain(other.conventions)
    )
    _check_tokenizers(parents)
    norms = [load_mel_stats(folder).norms for folder in (parents.first, parents.second)]
    if norms[0].shape != norms[1].shape or not torch.allclose(norms[0], norms[1], rtol=1e-6):
        raise _differ(parents, f"normalise mels in another way ({MEL_STATS_FILE})")
    for name in (name for name in one.networks if name in other.networks):
        mine, theirs = to_plain(one.architecture(name)), to_plain(other.architecture(name))
        _check_same(parents, f"the {name}", mine, theirs)
        _check_tensors(parents, name)
    return one.networks


def merge_bundles(parents: Parents, target: Path, about: str, report: Reporter) -> list[str]:
    """Write the mixture into the new folder `target`. Returns the networks that were mixed.

    A network that is the same in both, or that only the first has, is copied as it is.
    Raises BundleError where the two do not go together.
    """
    names = check_parents(parents)
    target.mkdir(parents=True)
    source = parents.nearer
    for file in sorted(source.iterdir()):
        if file.is_file() and file.suffix != TENSORS_SUFFIX and file.name not in NOT_COPIED:
            shutil.copyfile(file, target / file.name)
    _copy_tensors(source / MEL_STATS_FILE, target)
    mixed = [name for name in report.track(names, "merge") if _merge(parents, name, target, report)]
    config = read_config(parents.first)
    advice = read_config(source).advice
    write_config(target, replace(config, about=about, advice=advice))
    return mixed


def _merge(parents: Parents, name: str, target: Path, report: Reporter) -> bool:
    """Mix or copy one network; say whether there was anything to mix."""
    one, other = network_file(parents.first, name), network_file(parents.second, name)
    if not other.is_file() or hash_content(one) == hash_content(other):
        _copy_tensors(one, target)
        return False
    if parents.share in (0.0, 1.0):
        _copy_tensors(one if parents.share == 0.0 else other, target)
        return True
    mine = read_tensors(one)
    with safe_open(other, framework="pt") as theirs:
        for key in mine:
            report.check()
            mine[key] = mix(mine[key], theirs.get_tensor(key), parents.share)
    save_tensors(network_file(target, name), mine)
    return True


def mix(one: Tensor, other: Tensor, share: float) -> Tensor:
    """Return the weighted mean; what counts or indexes is taken from the nearer parent."""
    if not one.is_floating_point():
        return one if share <= 0.5 else other
    wide = torch.promote_types(one.dtype, other.dtype)
    return torch.lerp(one.float(), other.float(), share).to(wide)


def _copy_tensors(file: Path, target: Path) -> None:
    shutil.copyfile(file, target / file.name)
    record_checksum(target / file.name)


def _check_same(
    parents: Parents, what: str, mine: Mapping[str, object], theirs: Mapping[str, object]
) -> None:
    for key in mine:
        if mine[key] != theirs[key]:
            raise _differ(parents, f"differ in {what}: {key} is {mine[key]} and {theirs[key]}")


def _check_tensors(parents: Parents, name: str) -> None:
    mine = read_shapes(network_file(parents.first, name))
    theirs = read_shapes(network_file(parents.second, name))
    for key in sorted(mine.keys() | theirs.keys()):
        if mine.get(key) != theirs.get(key):
            told = [str(shapes.get(key, "nothing")) for shapes in (mine, theirs)]
            raise _differ(parents, f"differ in the {name}: {key} is {told[0]} and {told[1]}")


def _check_tokenizers(parents: Parents) -> None:
    """The tokenizer and what it refers to must be the same, or ids would mean other sounds."""
    described = read_json(parents.first / TOKENIZER_FILE)
    named = [described.get(key, "") for key in ("lexicon", "letter_to_sound")]
    kinds = [TOKENIZER_FILE, *(Path(str(name)).name for name in named if name)]
    for name in kinds:
        files = [folder / name for folder in (parents.first, parents.second)]
        there = [hash_content(file) if file.is_file() else "" for file in files]
        if there[0] != there[1]:
            raise _differ(parents, f"read texts in another way ({name})")


def _differ(parents: Parents, how: str) -> BundleError:
    return BundleError(
        f"{parents.first.name} and {parents.second.name} cannot be merged: they {how}. "
        "Merge models that were fine-tuned from the same one."
    )
