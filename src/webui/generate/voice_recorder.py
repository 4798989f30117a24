"""Voices made on the page: a microphone recording, or a random voice that is saved."""

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

ORIGIN = "generate"  # of the jobs that the Generate tab submits


def is_unsaved_voice(voice: str) -> bool:
    """Return whether a voice can be saved under a name."""
    return voice == MICROPHONE_VOICE or voice.split("#")[0] == RANDOM_VOICE


def has_recording(studio: Studio) -> bool:
    """Return whether there is a recording for the microphone voice."""
    return any(voice.name == MICROPHONE_VOICE for voice in list_voices(studio.layout))


def import_recording(studio: Studio, recording: str | None, imported: str) -> str:
    """Use a new recording as the microphone voice.

    imported: the recording that is that voice already.  Returns the one that now is.
    Raises AppError where nothing was recorded yet.
    """
    if recording is None:
        if has_recording(studio):
            return imported
        raise AppError(
            "Nothing recorded yet. Press Record under Microphone Source and speak for 3 to 10 "
            "seconds, or choose another voice."
        )
    if recording != imported:
        request = stage_recording_upload(
            studio.layout, MICROPHONE_VOICE, Path(recording), replace=True
        )
        studio.submit(request, title="Import the recording", origin=ORIGIN)
    return recording


def save_form_voice(studio: Studio, values: Mapping[str, Any], name: str) -> str:
    """Save the voice of the form under a name; returns a message.

    values: of the form (Any: each control has its own type).  Raises AppError where the name is
    taken, or the voice cannot be saved.
    """
    voice, name = str(values.get("voice") or ""), name.strip()
    get_new_voice_folder(studio.layout, name)
    if voice == MICROPHONE_VOICE:
        return _save_recording(studio, values.get("microphone"), name)
    seed = _get_voice_seed(voice, str(values.get("seed") or ""))
    request = SaveRandomVoiceRequest(name=name, seed=seed, bundle=str(values.get("bundle") or ""))
    studio.submit(request, title=f"Save the random voice as {name}", origin=ORIGIN)
    return f"Saving {name} from seed {seed}. It will appear in the list of voices."


def _save_recording(studio: Studio, recording: str | None, name: str) -> str:
    if recording is not None:
        request = stage_recording_upload(studio.layout, name, Path(recording))
        studio.submit(request, title=f"Save the recording as {name}", origin=ORIGIN)
        return f"Saving the recording as {name}. It will appear in the list of voices."
    if not has_recording(studio):
        raise AppError("Nothing recorded yet. Record 3 to 10 seconds first.")
    rename_voice(studio.layout, MICROPHONE_VOICE, name)
    return f"The recording is now the voice {name}."


def _get_voice_seed(voice: str, typed: str) -> int:
    if voice.split("#")[0] != RANDOM_VOICE:
        raise AppError(
            f"{quote_for_message(voice)} is saved already. Only a random voice or a recording can "
            "be saved."
        )
    seed = parse_blend(voice)[0].seed
    if seed is not None:
        return seed
    typed = typed.strip()
    if not (typed.isascii() and typed.isdecimal()):
        raise AppError(
            "A random voice is made from the seed, and none is set. Generate a clip, press Reuse "
            "seed on one whose voice you like, then save the voice."
        )
    return int(typed)
