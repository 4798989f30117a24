"""Training runs deleted into a bin beside the others, from which they can be had back."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jobs.detached import gone_within
from studio.errors import StudioError, writing_to
from studio.layout import Layout, shown

BIN = ".bin"
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
    id = f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    place = folder.parent / BIN / id
    with writing_to(place):
        place.mkdir(parents=True)
        folder.rename(place / name)
    return DeletedRun(id=id, dataset=dataset, name=name, when=_when(id))


def deleted_runs(layout: Layout, dataset: str) -> list[DeletedRun]:
    """List what lies in the bin of a dataset, the latest first."""
    bin = layout.dataset(dataset) / "runs" / BIN
    ids = sorted(path.name for path in bin.iterdir()) if bin.is_dir() else []
    return [
        DeletedRun(id=id, dataset=dataset, name=held.name, when=_when(id))
        for id in reversed(ids)
        if _ID.fullmatch(id) and (held := _held(bin / id)) is not None
    ]


def restore_run(layout: Layout, dataset: str, id: str) -> str:
    """Move a deleted run back; returns its name.  Raises StudioError where that is taken."""
    place = layout.dataset(dataset) / "runs" / BIN / id
    held = _held(place) if _ID.fullmatch(id) else None
    if held is None:
        raise StudioError(f"There is no deleted run {shown(id)} of {dataset}.")
    target = layout.run(dataset, held.name)
    if target.exists():
        raise StudioError(
            f"There is already a run {shown(held.name)} of {dataset}. Delete that one first.",
            cause="name_taken",
        )
    with writing_to(target):
        held.rename(target)
        place.rmdir()
    return held.name


def _held(place: Path) -> Path | None:
    inside = [path for path in place.iterdir() if path.is_dir()] if place.is_dir() else []
    return inside[0] if len(inside) == 1 else None


def _when(id: str) -> float:
    return datetime.strptime(id[:15], "%Y%m%d-%H%M%S").astimezone().timestamp()
