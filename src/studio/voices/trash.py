"""Rename, delete and restore voices."""

from __future__ import annotations

from pathlib import Path

from core.errors import AppError, translate_write_errors
from core.paths import ProjectPaths, fold_name, quote_for_message, validate_name
from core.trash import (
    TrashEntry,
    find_free_name,
    find_trash_entry,
    list_trash,
    move_to_trash,
    restore_from_trash,
)
from studio.voices.catalog import Voice, check_not_random, compose, find_voice


def get_new_voice_folder(layout: ProjectPaths, name: str) -> Path:
    """Return the folder for a new voice.

    Raises AppError for an invalid name, and for one that is taken, ignoring case.
    """
    folder = layout.voice(name)
    check_not_random(name)
    if folder.exists():
        raise AppError(
            f"There is already a voice {quote_for_message(name)}. Choose another name.",
            code="name_taken",
        )
    return folder


def rename_voice(layout: ProjectPaths, name: str, new: str) -> Voice:
    """Rename a voice; clips that were generated with it stay where they are."""
    folder = find_voice_folder(layout, name)
    validate_name(new, "voice")
    only_case_differs = fold_name(new) == fold_name(name) and new != name
    target = (
        layout.voices / compose(new) if only_case_differs else get_new_voice_folder(layout, new)
    )
    with translate_write_errors(target):
        folder.rename(target)
    return find_voice(layout, new)


def delete_voice(layout: ProjectPaths, name: str) -> TrashEntry:
    """Move a voice to the trash."""
    return move_to_trash(find_voice_folder(layout, name))


def list_deleted_voices(layout: ProjectPaths) -> list[TrashEntry]:
    """List the voices in the trash, the latest first."""
    return list_trash(layout.voices)


def restore_voice(layout: ProjectPaths, id: str) -> Voice:
    """Restore a deleted voice, under another name where its own is taken."""
    entry = find_trash_entry(layout.voices, id)
    if entry is None:
        raise AppError(
            f"There is no voice {quote_for_message(id)} in the trash.", code="missing_voice"
        )
    target = layout.voice(find_free_name(layout.voices, entry.name))
    restore_from_trash(layout.voices, entry, target)
    return find_voice(layout, target.name)


def find_voice_folder(layout: ProjectPaths, name: str) -> Path:
    """Return the folder of a voice.  Raises AppError as `find_voice` does where there is none."""
    folder = layout.voice(name)
    return folder if folder.is_dir() else find_voice(layout, name).folder
