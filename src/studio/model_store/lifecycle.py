"""What can be done with bundles of weights: fetched and checked as jobs, deleted into a bin."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.errors import AppError, translate_write_errors
from core.paths import ProjectPaths, quote_for_message
from studio.model_store.bundles import find_model_folder

TRASH_DIR = ".bin"
STARTER_MODEL = "starter"
_TRASH_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadModelRequest:
    """A wish to fetch published weights. offline: only local models are allowed."""

    name: str = "tortoise"
    also: tuple[str, ...] = ()
    precision: str = "fp32"
    offline: bool = False

    def __post_init__(self) -> None:
        check_online_allowed(self.offline)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyModelRequest:
    """A wish to check that every file of a bundle is whole and fits."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedModel:
    """A bundle in the bin. id: names this deletion;  size: bytes;  when: seconds since 1970."""

    id: str
    name: str
    size: int
    when: float


def check_online_allowed(offline: bool) -> None:
    """Raise StudioError where nothing may be fetched."""
    if offline:
        raise AppError(
            "Only Load Models Locally is on, so nothing is fetched. Turn it off in Settings "
            "(testudo settings set offline false), or take files that are already here with "
            "`testudo models import FOLDER`.",
            code="offline",
        )


def delete_model(layout: ProjectPaths, name: str, *, busy: Sequence[str] = ()) -> DeletedModel:
    """Move a bundle into the bin, from which it can be had back.

    busy: bundles that a job waits for or works with.  Raises StudioError for the starter, which
    came with Testudo, and for a bundle that is not there or is needed.
    """
    folder = find_model_folder(layout, name)
    if name.casefold() == STARTER_MODEL:
        raise AppError("The starter came with Testudo and stays: without it nothing speaks.")
    if name in busy:
        raise AppError(
            f"A job needs the model {quote_for_message(name)}. Stop it first, or wait for it."
        )
    now = datetime.now().astimezone()
    id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    place = layout.models / TRASH_DIR / id / name
    with translate_write_errors(place):
        place.parent.mkdir(parents=True)
        folder.rename(place)
    return DeletedModel(id=id, name=name, size=_get_folder_size(place), when=now.timestamp())


def list_deleted_models(layout: ProjectPaths) -> list[DeletedModel]:
    """Return what lies in the bin, the newest first."""
    bin = layout.models / TRASH_DIR
    ids = sorted(path.name for path in bin.iterdir()) if bin.is_dir() else []
    return [
        _read_deleted_model(layout, id)
        for id in reversed(ids)
        if _TRASH_ID.fullmatch(id) and _find_trashed_folder(bin / id)
    ]


def restore_model(layout: ProjectPaths, id: str) -> str:
    """Move a deleted bundle back; returns its name.  Raises StudioError where that is taken."""
    deleted = _read_deleted_model(layout, _check_trash_id(layout, id))
    target = layout.model(deleted.name)
    if target.exists():
        raise AppError(
            f"There is already a model {quote_for_message(deleted.name)}. Delete that one first.",
            code="name_taken",
        )
    with translate_write_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        (layout.models / TRASH_DIR / id / deleted.name).rename(target)
    shutil.rmtree(layout.models / TRASH_DIR / id, ignore_errors=True)
    return deleted.name


def empty_trash(layout: ProjectPaths) -> int:
    """Delete what lies in the bin for good; returns the bytes that came free."""
    freed = sum(deleted.size for deleted in list_deleted_models(layout))
    with translate_write_errors(layout.models / TRASH_DIR):
        if (layout.models / TRASH_DIR).is_dir():
            shutil.rmtree(layout.models / TRASH_DIR)
    return freed


def _check_trash_id(layout: ProjectPaths, id: str) -> str:
    if _TRASH_ID.fullmatch(id) and _find_trashed_folder(layout.models / TRASH_DIR / id):
        return id
    raise AppError(f"There is no deleted model {quote_for_message(id)}.")


def _read_deleted_model(layout: ProjectPaths, id: str) -> DeletedModel:
    held = _find_trashed_folder(layout.models / TRASH_DIR / id)
    assert held is not None, "asked for before"
    return DeletedModel(
        id=id,
        name=held.relative_to(layout.models / TRASH_DIR / id).as_posix(),
        size=_get_folder_size(held),
        when=datetime.strptime(id[:15], "%Y%m%d-%H%M%S").astimezone().timestamp(),
    )


def _find_trashed_folder(folder: Path) -> Path | None:
    """Return the bundle that a folder of the bin holds: NAME, or finetunes/NAME."""
    inside = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    if inside and inside[0].name == "finetunes":
        inside = [path for path in inside[0].iterdir() if path.is_dir()]
    return inside[0] if inside else None


def _get_folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
