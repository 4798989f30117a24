"""Voices renamed, and deleted into a bin from which they can be had back. Clips are never touched.

The bin lies inside the voices folder, so that deleting is a rename and never a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import AppError, translate_write_errors
from core.paths import ProjectPaths, quote_for_message, validate_name
from core.trash import (
    find_free_name,
    find_trash_entry,
    list_subfolders,
    list_trash,
    move_to_trash,
    restore_from_trash,
)
from studio.voices.catalog import RANDOM_VOICE, Voice, find_voice


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedVoice:
    """A voice in the bin. id: names this deletion;  when: seconds since 1970."""

    id: str
    name: str
    when: float


def get_new_voice_folder(layout: ProjectPaths, name: str) -> Path:
    """Return the folder for a new voice.

    Raises StudioError for a name that cannot be one, or that is taken in whatever case.
    """
    folder = layout.voice(name)
    if name.casefold() == RANDOM_VOICE or name.casefold().startswith(f"{RANDOM_VOICE}#"):
        raise AppError(f"{name} always means a made-up voice. Choose another name.")
    if name.casefold() in {path.name.casefold() for path in list_subfolders(layout.voices)}:
        raise AppError(
            f"There is already a voice {quote_for_message(name)}. Choose another name.",
            code="name_taken",
        )
    return folder


def rename_voice(layout: ProjectPaths, name: str, new: str) -> Voice:
    """Give a voice another name; clips that it spoke stay where they are."""
    folder = find_voice_folder(layout, name)
    validate_name(new, "voice")
    same_but_for_case = new.casefold() == name.casefold() and new != name
    target = layout.voice(new) if same_but_for_case else get_new_voice_folder(layout, new)
    with translate_write_errors(target):
        folder.rename(target)
    return find_voice(layout, new)


def delete_voice(layout: ProjectPaths, name: str) -> DeletedVoice:
    """Move a voice into the bin."""
    folder = find_voice_folder(layout, name)
    binned = move_to_trash(folder)
    return DeletedVoice(id=binned.id, name=name, when=binned.deleted_at)


def list_deleted_voices(layout: ProjectPaths) -> list[DeletedVoice]:
    """List the voices in the bin, the latest first."""
    return [
        DeletedVoice(id=one.id, name=one.name, when=one.deleted_at)
        for one in list_trash(layout.voices)
    ]


def restore_voice(layout: ProjectPaths, id: str) -> Voice:
    """Bring a deleted voice back; under another name where its own is taken by now."""
    found = find_trash_entry(layout.voices, id)
    if found is None:
        raise AppError(
            f"There is no voice {quote_for_message(id)} in the bin.", code="missing_voice"
        )
    target = layout.voice(find_free_name(layout.voices, found.name))
    restore_from_trash(found, target)
    return find_voice(layout, target.name)


def find_voice_folder(layout: ProjectPaths, name: str) -> Path:
    """Return the folder of a voice; find_voice says what there is instead."""
    folder = layout.voice(name)
    return folder if folder.is_dir() else find_voice(layout, name).folder
