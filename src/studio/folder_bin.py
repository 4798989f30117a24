"""A bin for folders, beside those that are in use: deleting is a rename and never a copy.

A deleted folder lies in `BIN/ID/NAME`; the ID names the deletion.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from studio.errors import writing_to
from studio.layout import plain_name

BIN = ".bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binned:
    """A folder in a bin. id: names this deletion;  when: seconds since 1970."""

    id: str
    folder: Path
    when: float

    @property
    def name(self) -> str:
        """What the folder was called."""
        return self.folder.name


def put_away(folder: Path) -> Binned:
    """Move a folder into the bin beside it."""
    now = datetime.now().astimezone()
    id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    place = folder.parent / BIN / id
    with writing_to(place):
        place.mkdir(parents=True)
        folder.rename(place / folder.name)
    return Binned(id=id, folder=place / folder.name, when=now.timestamp())


def binned_in(parent: Path) -> list[Binned]:
    """List what lies in the bin of a folder, the latest first."""
    found = [_read(place) for place in folders_in(parent / BIN)]
    return sorted((one for one in found if one is not None), key=lambda one: -one.when)


def find_binned(parent: Path, id: str) -> Binned | None:
    """Return one deletion of a folder's bin.  Raises StudioError for what can be no id."""
    return _read(parent / BIN / plain_name(id, "deletion"))


def bring_back(binned: Binned, target: Path) -> None:
    """Move a deleted folder to where it is wanted."""
    with writing_to(target):
        binned.folder.rename(target)
        binned.folder.parent.rmdir()


def free_name(parent: Path, name: str) -> str:
    """Return the name, or with a number behind it where it is taken in whatever case."""
    taken = {path.name.casefold() for path in folders_in(parent)}
    names = [name, *(f"{name} {number}" for number in range(2, 1000))]
    return next(free for free in names if free.casefold() not in taken)


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder; none where there is no such folder."""
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def _read(place: Path) -> Binned | None:
    inside = folders_in(place)
    if len(inside) != 1:
        return None
    return Binned(id=place.name, folder=inside[0], when=place.stat().st_mtime)
