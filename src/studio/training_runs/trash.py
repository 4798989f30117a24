"""Training runs deleted into a bin beside the others, from which they can be had back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from core.errors import AppError
from core.paths import ProjectPaths, quote_for_message
from core.trash import find_trash_entry, list_trash, move_to_trash, restore_from_trash
from jobs.detached import wait_for_exit

_TRASH_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedRun:
    """A run in the bin. id: names this deletion;  when: seconds since 1970."""

    id: str
    dataset: str
    name: str
    when: float


def delete_run(layout: ProjectPaths, dataset: str, name: str) -> DeletedRun:
    """Move a run into the bin; what it published stays.  Raises StudioError while it goes on."""
    folder = layout.run(dataset, name)
    if not folder.is_dir():
        raise AppError(
            f"There is no run {quote_for_message(name)} of {dataset}.", code="missing_file"
        )
    if not wait_for_exit(folder):
        raise AppError(f"{name} of {dataset} is still running. Stop it first.", code="busy")
    id = move_to_trash(folder).id
    return DeletedRun(id=id, dataset=dataset, name=name, when=_parse_deletion_time(id))


def list_deleted_runs(layout: ProjectPaths, dataset: str) -> list[DeletedRun]:
    """List what lies in the bin of a dataset, the latest first."""
    found = list_trash(layout.dataset(dataset) / "runs")
    return [
        DeletedRun(id=one.id, dataset=dataset, name=one.name, when=_parse_deletion_time(one.id))
        for one in sorted(found, key=lambda one: one.id, reverse=True)
        if _TRASH_ID.fullmatch(one.id)
    ]


def restore_run(layout: ProjectPaths, dataset: str, id: str) -> str:
    """Move a deleted run back; returns its name.  Raises StudioError where that is taken."""
    runs = layout.dataset(dataset) / "runs"
    held = find_trash_entry(runs, id) if _TRASH_ID.fullmatch(id) else None
    if held is None:
        raise AppError(f"There is no deleted run {quote_for_message(id)} of {dataset}.")
    target = layout.run(dataset, held.name)
    if target.exists():
        raise AppError(
            f"There is already a run {quote_for_message(held.name)} of {dataset}. Delete that "
            f"one first.",
            code="name_taken",
        )
    restore_from_trash(runs, held, target)
    return held.name


def _parse_deletion_time(id: str) -> float:
    return datetime.strptime(id[:15], "%Y%m%d-%H%M%S").astimezone().timestamp()
