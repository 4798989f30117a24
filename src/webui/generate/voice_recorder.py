"""Voices that are made on the page: a recording that is spoken with, and what is worth keeping."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.paths import quote_for_message
from studio.app.studio import Studio
from studio.schemas.voices import MICROPHONE_VOICE, SaveRandomVoiceRequest
from studio.voices.catalog import RANDOM_VOICE, list_voices, parse_blend
from studio.voices.trash import get_new_voice_folder, rename_voice
from studio.voices.uploads import stage_recording_upload

# Any: what the controls of a form hold.


def is_unsaved_voice(voice: str) -> bool:
    """Say whether a voice is one that can be kept under a name."""
    return voice == MICROPHONE_VOICE or voice.split("#")[0] == RANDOM_VOICE


def has_recording(studio: Studio) -> bool:
    """Say whether the microphone's voice can speak already."""
    return any(voice.name == MICROPHONE_VOICE for voice in list_voices(studio.layout))


def import_recording(studio: Studio, recording: str | None, brought: str) -> str:
    """Make a fresh recording the microphone's voice before it is spoken with.

    brought: the recording that is that voice already.  Returns the one that now is.
    Raises StudioError where nothing was recorded yet.
    """
    if recording is None:
        if has_recording(studio):
            return brought
        raise AppError(
            "Nothing is recorded yet. Press Record under Microphone Source and speak for 3 to 10 "
            "seconds, or choose another voice."
        )
    if recording != brought:
        wish = stage_recording_upload(
            studio.layout, MICROPHONE_VOICE, Path(recording), replace=True
        )
        studio.submit(wish, title="Listen to the recording")
    return recording


def save_form_voice(studio: Studio, values: Mapping[str, Any], name: str) -> str:
    """Keep the voice that the form names under a name of its own; tell what comes of it.

    Raises StudioError where the name is taken, or the voice is no one to be kept.
    """
    voice, name = str(values.get("voice") or ""), name.strip()
    get_new_voice_folder(studio.layout, name)
    if voice == MICROPHONE_VOICE:
        return _save_recording(studio, values.get("microphone"), name)
    seed = _get_voice_seed(voice, str(values.get("seed") or ""))
    bundle = str(values.get("bundle") or "")
    wish = SaveRandomVoiceRequest(name=name, seed=seed, bundle=bundle)
    studio.submit(wish, title=f"Keep the made-up voice as {name}")
    return f"{name} is being made of seed {seed}; it appears in the list of voices."


def _save_recording(studio: Studio, recording: str | None, name: str) -> str:
    if recording is not None:
        wish = stage_recording_upload(studio.layout, name, Path(recording))
        studio.submit(wish, title=f"Keep the recording as {name}")
        return f"The recording becomes {name}; it appears in the list of voices."
    if not has_recording(studio):
        raise AppError("Nothing is recorded yet. Record 3 to 10 seconds first.")
    rename_voice(studio.layout, MICROPHONE_VOICE, name)
    return f"The recording is now the voice {name}."


def _get_voice_seed(voice: str, typed: str) -> int:
    """Return the seed that a made-up voice follows from."""
    if voice.split("#")[0] != RANDOM_VOICE:
        raise AppError(
            f"{quote_for_message(voice)} has a name already. Kept can be: random, and a recording."
        )
    seed = parse_blend(voice)[0].seed
    if seed is not None:
        return seed
    if not (typed.strip().isascii() and typed.strip().isdecimal()):
        raise AppError(
            "A made-up voice follows from its seed, and none is chosen. Generate with it, press "
            "Keep this seed where you like the voice, then keep it."
        )
    return int(typed)
