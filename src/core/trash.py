"""A bin for folders, beside those that are in use: deleting is a rename and never a copy.

A deleted folder lies in `BIN/ID/NAME`; the ID names the deletion.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.errors import translate_write_errors
from core.paths import validate_name

TRASH_DIR = ".bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashEntry:
    """A folder in a bin. id: names this deletion;  when: seconds since 1970."""

    id: str
    folder: Path
    deleted_at: float

    @property
    def name(self) -> str:
        """What the folder was called."""
        return self.folder.name


def move_to_trash(folder: Path) -> TrashEntry:
    """Move a folder into the bin beside it."""
    now = datetime.now().astimezone()
    id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    place = folder.parent / TRASH_DIR / id
    with translate_write_errors(place):
        place.mkdir(parents=True)
        folder.rename(place / folder.name)
    return TrashEntry(id=id, folder=place / folder.name, deleted_at=now.timestamp())


def list_trash(parent: Path) -> list[TrashEntry]:
    """List what lies in the bin of a folder, the latest first."""
    found = [_read_trash_entry(place) for place in list_subfolders(parent / TRASH_DIR)]
    return sorted((one for one in found if one is not None), key=lambda one: -one.deleted_at)


def find_trash_entry(parent: Path, id: str) -> TrashEntry | None:
    """Return one deletion of a folder's bin.  Raises StudioError for what can be no id."""
    return _read_trash_entry(parent / TRASH_DIR / validate_name(id, "deletion"))


def restore_from_trash(binned: TrashEntry, target: Path) -> None:
    """Move a deleted folder to where it is wanted."""
    with translate_write_errors(target):
        binned.folder.rename(target)
        binned.folder.parent.rmdir()


def find_free_name(parent: Path, name: str) -> str:
    """Return the name, or with a number behind it where it is taken in whatever case."""
    taken = {path.name.casefold() for path in list_subfolders(parent)}
    names = [name, *(f"{name} {number}" for number in range(2, 1000))]
    return next(free for free in names if free.casefold() not in taken)


def list_subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder; none where there is no such folder."""
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def _read_trash_entry(place: Path) -> TrashEntry | None:
    inside = list_subfolders(place)
    if len(inside) != 1:
        return None
    return TrashEntry(id=place.name, folder=inside[0], deleted_at=place.stat().st_mtime)
