"""Training runs deleted into a bin beside the others, from which they can be had back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from jobs.detached import gone_within
from studio.errors import StudioError
from studio.folder_bin import binned_in, bring_back, find_binned, put_away
from studio.layout import Layout, shown

_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedRun:
    """A run in the bin. id: names this deletion;  when: seconds since 1970."""

    id: str
    dataset: str
    name: str
    when: float


def delete_run(layout: Layout, dataset: str, name: str) -> DeletedRun:
    """Move a run into the bin; what it published stays.  Raises StudioError while it goes on."""
    folder = layout.run(dataset, name)
    if not folder.is_dir():
        raise StudioError(f"There is no run {shown(name)} of {dataset}.", cause="missing_file")
    if not gone_within(folder):
        raise StudioError(f"{name} of {dataset} is still running. Stop it first.", cause="busy")
    id = put_away(folder).id
    return DeletedRun(id=id, dataset=dataset, name=name, when=_when(id))


def deleted_runs(layout: Layout, dataset: str) -> list[DeletedRun]:
    """List what lies in the bin of a dataset, the latest first."""
    found = binned_in(layout.dataset(dataset) / "runs")
    return [
        DeletedRun(id=one.id, dataset=dataset, name=one.name, when=_when(one.id))
        for one in sorted(found, key=lambda one: one.id, reverse=True)
        if _ID.fullmatch(one.id)
    ]


def restore_run(layout: Layout, dataset: str, id: str) -> str:
    """Move a deleted run back; returns its name.  Raises StudioError where that is taken."""
    runs = layout.dataset(dataset) / "runs"
    held = find_binned(runs, id) if _ID.fullmatch(id) else None
    if held is None:
        raise StudioError(f"There is no deleted run {shown(id)} of {dataset}.")
    target = layout.run(dataset, held.name)
    if target.exists():
        raise StudioError(
            f"There is already a run {shown(held.name)} of {dataset}. Delete that one first.",
            cause="name_taken",
        )
    bring_back(held, target)
    return held.name


def _when(id: str) -> float:
    return datetime.strptime(id[:15], "%Y%m%d-%H%M%S").astimezone().timestamp()
