"""Voices renamed, and deleted into a bin from which they can be had back. Clips are never touched.

The bin lies inside the voices folder, so that deleting is a rename and never a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from studio.errors import StudioError, writing_to
from studio.folder_bin import binned_in, bring_back, find_binned, folders_in, free_name, put_away
from studio.layout import Layout, plain_name, shown
from studio.voices import RANDOM, Voice, find_voice


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
    if name.casefold() in {path.name.casefold() for path in folders_in(layout.voices)}:
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
    binned = put_away(folder)
    return DeletedVoice(id=binned.id, name=name, when=binned.when)


def deleted_voices(layout: Layout) -> list[DeletedVoice]:
    """List the voices in the bin, the latest first."""
    return [
        DeletedVoice(id=one.id, name=one.name, when=one.when) for one in binned_in(layout.voices)
    ]


def restore_voice(layout: Layout, id: str) -> Voice:
    """Bring a deleted voice back; under another name where its own is taken by now."""
    found = find_binned(layout.voices, id)
    if found is None:
        raise StudioError(f"There is no voice {shown(id)} in the bin.", cause="missing_voice")
    target = layout.voice(free_name(layout.voices, found.name))
    bring_back(found, target)
    return find_voice(layout, target.name)


def existing_voice(layout: Layout, name: str) -> Path:
    """Return the folder of a voice; find_voice says what there is instead."""
    folder = layout.voice(name)
    return folder if folder.is_dir() else find_voice(layout, name).folder
