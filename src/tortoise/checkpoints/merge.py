"""Two bundles of one architecture become one: every weight a mean of both."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from core.progress import ProgressReporter
from core.serialization import to_dict
from engines.model_files import (
    CHECKSUMS_FILE,
    CONFIG_FILE,
    TENSORS_SUFFIX,
    ModelFileError,
    compute_sha256,
    get_network_path,
    read_json,
    record_checksum,
)
from engines.safetensors_io import read_shapes, read_tensors, save_tensors
from tortoise.checkpoints.config import read_config, write_config
from tortoise.checkpoints.layout import MEL_STATS_FILE, TOKENIZER_FILE, find_missing_files
from tortoise.checkpoints.loading import load_mel_stats

EXCLUDED_FILES = (CONFIG_FILE, CHECKSUMS_FILE, "README.md", "merge.json")


@dataclass(frozen=True, kw_only=True)
class MergeInputs:
    """The bundles to merge. share: of the second."""

    first: Path
    second: Path
    share: float

    @property
    def dominant(self) -> Path:
        """The one that the mixture has more of."""
        return self.first if self.share <= 0.5 else self.second


def check_mergeable(parents: MergeInputs) -> list[str]:
    """Return the networks to mix: those of the first.

    Raises BundleError naming the first thing in which the two differ.
    """
    one, other = read_config(parents.first), read_config(parents.second)
    for folder in (parents.first, parents.second):
        if missing := find_missing_files(folder):
            raise ModelFileError(
                f"{folder.name} lacks {', '.join(missing)}, so it cannot be merged."
            )
    _check_same(parents, "their settings", to_dict(one.conventions), to_dict(other.conventions))
    _check_tokenizers(parents)
    norms = [load_mel_stats(folder).norms for folder in (parents.first, parents.second)]
    if norms[0].shape != norms[1].shape or not torch.allclose(norms[0], norms[1], rtol=1e-6):
        raise _make_mismatch_error(parents, f"normalize mels differently ({MEL_STATS_FILE})")
    for name in (name for name in one.networks if name in other.networks):
        mine, theirs = to_dict(one.architecture(name)), to_dict(other.architecture(name))
        _check_same(parents, f"the {name}", mine, theirs)
        _check_tensors(parents, name)
    return one.networks


def merge_models(
    parents: MergeInputs, target: Path, about: str, report: ProgressReporter
) -> list[str]:
    """Merge two models into the new folder `target`.

    Returns the networks that were merged. A network that is equal in both, or that only the first
    has, is copied. Raises BundleError where the two are incompatible.
    """
    names = check_mergeable(parents)
    target.mkdir(parents=True)
    source = parents.dominant
    for file in sorted(source.iterdir()):
        if file.is_file() and file.suffix != TENSORS_SUFFIX and file.name not in EXCLUDED_FILES:
            shutil.copyfile(file, target / file.name)
    _copy_tensors(source / MEL_STATS_FILE, target)
    mixed = [
        name
        for name in report.track(names, "merge")
        if _merge_network(parents, name, target, report)
    ]
    config = read_config(parents.first)
    advice = read_config(source).advice
    write_config(target, replace(config, about=about, advice=advice))
    return mixed


def _merge_network(parents: MergeInputs, name: str, target: Path, report: ProgressReporter) -> bool:
    """Merge or copy one network; return whether it was merged."""
    one, other = get_network_path(parents.first, name), get_network_path(parents.second, name)
    if not other.is_file() or compute_sha256(one) == compute_sha256(other):
        _copy_tensors(one, target)
        return False
    if parents.share in (0.0, 1.0):
        _copy_tensors(one if parents.share == 0.0 else other, target)
        return True
    mine = read_tensors(one)
    with safe_open(other, framework="pt") as theirs:
        for key in mine:
            report.check_cancelled()
            mine[key] = interpolate_tensors(mine[key], theirs.get_tensor(key), parents.share)
    save_tensors(get_network_path(target, name), mine)
    return True


def interpolate_tensors(one: Tensor, other: Tensor, share: float) -> Tensor:
    """Return the weighted mean; what counts or indexes is taken from the nearer parent."""
    if not one.is_floating_point():
        return one if share <= 0.5 else other
    wide = torch.promote_types(one.dtype, other.dtype)
    return torch.lerp(one.float(), other.float(), share).to(wide)


def _copy_tensors(file: Path, target: Path) -> None:
    shutil.copyfile(file, target / file.name)
    record_checksum(target / file.name)


def _check_same(
    parents: MergeInputs, what: str, mine: Mapping[str, object], theirs: Mapping[str, object]
) -> None:
    for key in mine:
        if mine[key] != theirs[key]:
            raise _make_mismatch_error(
                parents, f"differ in {what}: {key} is {mine[key]} and {theirs[key]}"
            )


def _check_tensors(parents: MergeInputs, name: str) -> None:
    mine = read_shapes(get_network_path(parents.first, name))
    theirs = read_shapes(get_network_path(parents.second, name))
    for key in sorted(mine.keys() | theirs.keys()):
        if mine.get(key) != theirs.get(key):
            shown = [str(shapes.get(key, "nothing")) for shapes in (mine, theirs)]
            raise _make_mismatch_error(
                parents, f"differ in the {name}: {key} is {shown[0]} and {shown[1]}"
            )


def _check_tokenizers(parents: MergeInputs) -> None:
    """The tokenizer and the files it names must be the same, or ids would mean other sounds."""
    described = read_json(parents.first / TOKENIZER_FILE)
    named = [described.get(key, "") for key in ("lexicon", "letter_to_sound")]
    kinds = [TOKENIZER_FILE, *(Path(str(name)).name for name in named if name)]
    for name in kinds:
        files = [folder / name for folder in (parents.first, parents.second)]
        there = [compute_sha256(file) if file.is_file() else "" for file in files]
        if there[0] != there[1]:
            raise _make_mismatch_error(parents, f"tokenize texts differently ({name})")


def _make_mismatch_error(parents: MergeInputs, how: str) -> ModelFileError:
    return ModelFileError(
        f"{parents.first.name} and {parents.second.name} cannot be merged: they {how}. "
        "Merge models that were fine-tuned from the same one."
    )
