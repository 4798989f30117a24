"""What can be done with bundles of weights: fetched and checked as jobs, deleted into a bin."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from studio.errors import StudioError, writing_to
from studio.layout import Layout, shown
from studio.weights import existing_bundle

BIN = ".bin"
STARTER = "starter"
_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadModel:
    """A wish to fetch published weights. offline: only local models are allowed."""

    name: str = "tortoise"
    also: tuple[str, ...] = ()
    precision: str = "fp32"
    offline: bool = False

    def __post_init__(self) -> None:
        refuse_offline(self.offline)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyModel:
    """A wish to check that every file of a bundle is whole and fits."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedModel:
    """A bundle in the bin. id: names this deletion;  size: bytes;  when: seconds since 1970."""

    id: str
    name: str
    size: int
    when: float


def refuse_offline(offline: bool) -> None:
    """Raise StudioError where nothing may be fetched."""
    if offline:
        raise StudioError(
            "Only Load Models Locally is on, so nothing is fetched. Turn it off in Settings "
            "(testudo settings set offline false), or take files that are already here with "
            "`testudo models import FOLDER`.",
            cause="offline",
        )


def delete_model(layout: Layout, name: str, *, busy: Sequence[str] = ()) -> DeletedModel:
    """Move a bundle into the bin, from which it can be had back.

    busy: bundles that a job waits for or works with.  Raises StudioError for the starter, which
    came with Testudo, and for a bundle that is not there or is needed.
    """
    folder = existing_bundle(layout, name)
    if name.casefold() == STARTER:
        raise StudioError("The starter came with Testudo and stays: without it nothing speaks.")
    if name in busy:
        raise StudioError(f"A job needs the model {shown(name)}. Stop it first, or wait for it.")
    now = datetime.now().astimezone()
    id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    place = layout.models / BIN / id / name
    with writing_to(place):
        place.parent.mkdir(parents=True)
        folder.rename(place)
    return DeletedModel(id=id, name=name, size=_size(place), when=now.timestamp())


def deleted_models(layout: Layout) -> list[DeletedModel]:
    """Return what lies in the bin, the newest first."""
    bin = layout.models / BIN
    ids = sorted(path.name for path in bin.iterdir()) if bin.is_dir() else []
    return [_binned(layout, id) for id in reversed(ids) if _ID.fullmatch(id) and _held(bin / id)]


def restore_model(layout: Layout, id: str) -> str:
    """Move a deleted bundle back; returns its name.  Raises StudioError where that is taken."""
    deleted = _binned(layout, _known(layout, id))
    target = layout.bundle(deleted.name)
    if target.exists():
        raise StudioError(
            f"There is already a model {shown(deleted.name)}. Delete that one first.",
            cause="name_taken",
        )
    with writing_to(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        (layout.models / BIN / id / deleted.name).rename(target)
    shutil.rmtree(layout.models / BIN / id, ignore_errors=True)
    return deleted.name


def empty_bin(layout: Layout) -> int:
    """Delete what lies in the bin for good; returns the bytes that came free."""
    freed = sum(deleted.size for deleted in deleted_models(layout))
    with writing_to(layout.models / BIN):
        if (layout.models / BIN).is_dir():
            shutil.rmtree(layout.models / BIN)
    return freed


def _known(layout: Layout, id: str) -> str:
    if _ID.fullmatch(id) and _held(layout.models / BIN / id):
        return id
    raise StudioError(f"There is no deleted model {shown(id)}.")


def _binned(layout: Layout, id: str) -> DeletedModel:
    held = _held(layout.models / BIN / id)
    assert held is not None, "asked for before"
    return DeletedModel(
        id=id,
        name=held.relative_to(layout.models / BIN / id).as_posix(),
        size=_size(held),
        when=datetime.strptime(id[:15], "%Y%m%d-%H%M%S").astimezone().timestamp(),
    )


def _held(folder: Path) -> Path | None:
    """Return the bundle that a folder of the bin holds: NAME, or finetunes/NAME."""
    inside = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    if inside and inside[0].name == "finetunes":
        inside = [path for path in inside[0].iterdir() if path.is_dir()]
    return inside[0] if inside else None


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
