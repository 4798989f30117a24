"""Trash folders: deleting moves a folder to ROOT/.bin/ID/NAME, and restoring moves it back.

The trash is inside the folder that it belongs to, so that a deletion is a rename and not a copy.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.errors import translate_write_errors
from core.files import tree_size
from core.paths import fold_name

TRASH_DIR = ".bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashEntry:
    """A deleted folder. id: of the deletion;  name: of the folder;  when: seconds since 1970."""

    id: str
    name: str
    when: float


def create_deletion_id() -> str:
    """Return a new id that begins with the local time: 20260131-235959-a1b2c3."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def move_to_trash(folder: Path, root: Path | None = None) -> TrashEntry:
    """Move a folder into the trash of `root`, by default its parent folder."""
    root = root or folder.parent
    name = folder.relative_to(root).as_posix()
    place = root / TRASH_DIR / create_deletion_id()
    with translate_write_errors(place):
        (place / name).parent.mkdir(parents=True)
        folder.rename(place / name)
    return TrashEntry(id=place.name, name=name, when=_get_time(place))


def list_trash(root: Path, group: str = "") -> list[TrashEntry]:
    """List the deleted folders of `root`, the latest first.

    group: a folder in `root` whose folders are deleted one by one, too: GROUP/NAME.
    """
    entries = [_read_entry(place, group) for place in list_subfolders(root / TRASH_DIR)]
    return sorted((entry for entry in entries if entry), key=lambda entry: (-entry.when, entry.id))


def find_trash_entry(root: Path, id: str, group: str = "") -> TrashEntry | None:
    """Return the deletion of that id, or None."""
    return next((entry for entry in list_trash(root, group) if entry.id == id), None)


def restore_from_trash(root: Path, entry: TrashEntry, target: Path) -> None:
    """Move a deleted folder of `root` to `target`, which must not exist."""
    place = root / TRASH_DIR / entry.id
    with translate_write_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        (place / entry.name).rename(target)
    shutil.rmtree(place, ignore_errors=True)


def empty_trash(trash: Path) -> int:
    """Delete a trash folder for good and return the bytes that it took."""
    freed = tree_size(trash)
    with translate_write_errors(trash):
        if trash.is_dir():
            shutil.rmtree(trash)
    return freed


def find_free_name(parent: Path, name: str) -> str:
    """Return `name`, or the first of "name 2", "name 3" … that is free, ignoring case."""
    taken = {fold_name(path.name) for path in list_subfolders(parent)}
    names = [name, *(f"{name} {number}" for number in range(2, 1000))]
    return next(free for free in names if fold_name(free) not in taken)


def list_subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder; an empty list where it does not exist."""
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def _read_entry(place: Path, group: str) -> TrashEntry | None:
    inside = list_subfolders(place)
    if group and [path.name for path in inside] == [group]:
        inside = list_subfolders(place / group)
    if len(inside) != 1:
        return None
    name = inside[0].relative_to(place).as_posix()
    return TrashEntry(id=place.name, name=name, when=_get_time(place))


def _get_time(place: Path) -> float:
    """Return when a deletion was made: when its folder was filled."""
    return place.stat().st_mtime
