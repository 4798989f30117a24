"""Voices renamed, and deleted into a bin from which they can be had back. Clips are never touched.

The bin lies inside the voices folder, so that deleting is a rename and never a copy.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from studio.errors import StudioError, writing_to
from studio.layout import Layout, plain_name, shown
from studio.voices import RANDOM, Voice, find_voice

BIN = ".bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedVoice:
    """A voice in the bin. id: names this deletion;  when: seconds since 1970."""

    id: str
    name: str
    when: float


def free_voice_name(layout: Layout, name: str) -> Path:
    """Return the folder for a new voice.

    Raises StudioError for a name that cannot be one, or that is taken in whatever case.
    """
    folder = layout.voice(name)
    if name.casefold() == RANDOM or name.casefold().startswith(f"{RANDOM}#"):
        raise StudioError(f"{name} always means a made-up voice. Choose another name.")
    if name.casefold() in {path.name.casefold() for path in _folders(layout.voices)}:
        raise StudioError(
            f"There is already a voice {shown(name)}. Choose another name.", cause="name_taken"
        )
    return folder


def rename_voice(layout: Layout, name: str, new: str) -> Voice:
    """Give a voice another name; clips that it spoke stay where they are."""
    folder = existing_voice(layout, name)
    plain_name(new, "voice")
    same_but_for_case = new.casefold() == name.casefold() and new != name
    target = layout.voice(new) if same_but_for_case else free_voice_name(layout, new)
    with writing_to(target):
        folder.rename(target)
    return find_voice(layout, new)


def delete_voice(layout: Layout, name: str) -> DeletedVoice:
    """Move a voice into the bin."""
    folder = existing_voice(layout, name)
    now = datetime.now().astimezone()
    id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    place = layout.voices / BIN / id
    with writing_to(place):
        place.mkdir(parents=True)
        folder.rename(place / name)
    return DeletedVoice(id=id, name=name, when=now.timestamp())


def deleted_voices(layout: Layout) -> list[DeletedVoice]:
    """List the voices in the bin, the latest first."""
    found = [_read(place) for place in _folders(layout.voices / BIN)]
    return sorted((voice for voice in found if voice is not None), key=lambda voice: -voice.when)


def restore_voice(layout: Layout, id: str) -> Voice:
    """Bring a deleted voice back; under another name where its own is taken by now."""
    place = layout.voices / BIN / plain_name(id, "deletion")
    voice = _read(place) if place.is_dir() else None
    if voice is None:
        raise StudioError(f"There is no voice {shown(id)} in the bin.", cause="missing_voice")
    target = _free_beside(layout, voice.name)
    with writing_to(target):
        (place / voice.name).rename(target)
        place.rmdir()
    return find_voice(layout, target.name)


def existing_voice(layout: Layout, name: str) -> Path:
    """Return the folder of a voice; find_voice says what there is instead."""
    folder = layout.voice(name)
    return folder if folder.is_dir() else find_voice(layout, name).folder


def _read(place: Path) -> DeletedVoice | None:
    inside = _folders(place)
    if len(inside) != 1:
        return None
    return DeletedVoice(id=place.name, name=inside[0].name, when=place.stat().st_mtime)


def _free_beside(layout: Layout, name: str) -> Path:
    taken = {path.name.casefold() for path in _folders(layout.voices)}
    names = [name, *(f"{name} {number}" for number in range(2, 1000))]
    return layout.voice(next(free for free in names if free.casefold() not in taken))


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
