"""Datasets deleted into a bin, from which they can be had back.

The bin lies inside the training folder, so that deleting is a rename and never a copy.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jobs.detached import is_alive
from studio.errors import StudioError, writing_to
from studio.layout import Layout, plain_name, shown
from training.dataset_lock import is_being_prepared

BIN = ".bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedDataset:
    """A dataset in the bin. id: names this deletion;  when: seconds since 1970."""

    id: str
    name: str
    when: float


def delete_dataset(layout: Layout, name: str) -> DeletedDataset:
    """Move a dataset into the bin, with its trainings.

    Raises StudioError while it is being prepared.
    """
    folder = layout.dataset(name)
    if not folder.is_dir():
        raise StudioError(f"There is no dataset {shown(name)}.")
    if is_being_prepared(folder):
        raise StudioError(f"{shown(name)} is being prepared. Stop that first.")
    if is_trained_on(layout, name):
        raise StudioError(f"A training runs on {shown(name)}. Stop it first.")
    now = datetime.now().astimezone()
    id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    place = layout.training / BIN / id
    with writing_to(place):
        place.mkdir(parents=True)
        folder.rename(place / name)
    return DeletedDataset(id=id, name=name, when=now.timestamp())


def is_trained_on(layout: Layout, name: str) -> bool:
    """Whether a training works on a dataset, or waits for its turn."""
    return any(is_alive(run) for run in _folders(layout.dataset(name) / "runs"))


def deleted_datasets(layout: Layout) -> list[DeletedDataset]:
    """List the datasets in the bin, the latest first."""
    found = [_read(place) for place in _folders(layout.training / BIN)]
    return sorted((one for one in found if one is not None), key=lambda one: -one.when)


def restore_dataset(layout: Layout, id: str) -> str:
    """Bring a deleted dataset back and return its name."""
    place = layout.training / BIN / plain_name(id, "deletion")
    found = _read(place) if place.is_dir() else None
    if found is None:
        raise StudioError(f"There is no dataset {shown(id)} in the bin.")
    taken = {path.name.casefold() for path in _folders(layout.training)}
    names = [found.name, *(f"{found.name} {number}" for number in range(2, 1000))]
    target = layout.dataset(next(name for name in names if name.casefold() not in taken))
    with writing_to(target):
        (place / found.name).rename(target)
        place.rmdir()
    return target.name


def _read(place: Path) -> DeletedDataset | None:
    inside = _folders(place)
    if len(inside) != 1:
        return None
    return DeletedDataset(id=place.name, name=inside[0].name, when=place.stat().st_mtime)


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
