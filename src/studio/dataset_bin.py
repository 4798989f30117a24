"""Datasets deleted into a bin, from which they can be had back.

The bin lies inside the training folder, so that deleting is a rename and never a copy.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.detached import is_alive
from studio.errors import StudioError
from studio.folder_bin import binned_in, bring_back, find_binned, folders_in, free_name, put_away
from studio.layout import Layout, shown
from training.dataset_lock import is_being_prepared


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
    binned = put_away(folder)
    return DeletedDataset(id=binned.id, name=name, when=binned.when)


def is_trained_on(layout: Layout, name: str) -> bool:
    """Whether a training works on a dataset, or waits for its turn."""
    return any(is_alive(run) for run in folders_in(layout.dataset(name) / "runs"))


def deleted_datasets(layout: Layout) -> list[DeletedDataset]:
    """List the datasets in the bin, the latest first."""
    return [
        DeletedDataset(id=one.id, name=one.name, when=one.when)
        for one in binned_in(layout.training)
    ]


def restore_dataset(layout: Layout, id: str) -> str:
    """Bring a deleted dataset back and return its name."""
    found = find_binned(layout.training, id)
    if found is None:
        raise StudioError(f"There is no dataset {shown(id)} in the bin.")
    target = layout.dataset(free_name(layout.training, found.name))
    bring_back(found, target)
    return target.name
