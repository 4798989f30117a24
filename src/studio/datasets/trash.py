"""Datasets deleted into a bin, from which they can be had back.

The bin lies inside the training folder, so that deleting is a rename and never a copy.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import AppError
from core.paths import ProjectPaths, quote_for_message
from core.trash import (
    find_free_name,
    find_trash_entry,
    list_subfolders,
    list_trash,
    move_to_trash,
    restore_from_trash,
)
from jobs.detached import is_alive
from training.dataset_prep.lock import is_being_prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedDataset:
    """A dataset in the bin. id: names this deletion;  when: seconds since 1970."""

    id: str
    name: str
    when: float


def delete_dataset(layout: ProjectPaths, name: str) -> DeletedDataset:
    """Move a dataset into the bin, with its trainings.

    Raises StudioError while it is being prepared.
    """
    folder = layout.dataset(name)
    if not folder.is_dir():
        raise AppError(f"There is no dataset {quote_for_message(name)}.")
    if is_being_prepared(folder):
        raise AppError(f"{quote_for_message(name)} is being prepared. Stop that first.")
    if has_active_training(layout, name):
        raise AppError(f"A training runs on {quote_for_message(name)}. Stop it first.")
    binned = move_to_trash(folder)
    return DeletedDataset(id=binned.id, name=name, when=binned.deleted_at)


def has_active_training(layout: ProjectPaths, name: str) -> bool:
    """Whether a training works on a dataset, or waits for its turn."""
    return any(is_alive(run) for run in list_subfolders(layout.dataset(name) / "runs"))


def list_deleted_datasets(layout: ProjectPaths) -> list[DeletedDataset]:
    """List the datasets in the bin, the latest first."""
    return [
        DeletedDataset(id=one.id, name=one.name, when=one.deleted_at)
        for one in list_trash(layout.training)
    ]


def restore_dataset(layout: ProjectPaths, id: str) -> str:
    """Bring a deleted dataset back and return its name."""
    found = find_trash_entry(layout.training, id)
    if found is None:
        raise AppError(f"There is no dataset {quote_for_message(id)} in the bin.")
    target = layout.dataset(find_free_name(layout.training, found.name))
    restore_from_trash(found, target)
    return target.name
