"""Voices that are made on the page: a recording from the microphone, and a random voice kept.

A recording that is only spoken with is the voice `microphone`; the next one takes its place, and
renaming it (studio/voice_bin.py) keeps it for good.
"""

from __future__ import annotations

from dataclasses import dataclass

MICROPHONE_VOICE = "microphone"
MAX_RECORDING_BYTES = 200_000_000  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveRandomVoiceRequest:
    """Make up the voice random#SEED and keep it.  bundle, device: "" as the settings say."""

    name: str
    seed: int
    bundle: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveRecordingRequest:
    """Make a recording a clip of a voice.

    folder: where the recording waits (see `waiting_recording`); it is deleted in the end;
    replace: the voice shall be this recording alone; what it was goes into the bin.
    """

    name: str
    folder: str
    replace: bool = False
