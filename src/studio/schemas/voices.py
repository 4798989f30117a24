"""Requests that create voices from the microphone, at random, or as a blend.

A recording without a name is the voice `microphone`; the next one replaces it, renaming keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MICROPHONE_VOICE = "microphone"
MAX_RECORDING_BYTES = 200_000_000  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveRandomVoiceRequest:
    """Save the voice random#SEED.

    bundle, device: "" for those of the settings;  speed: of its default preset, 1 for none.
    """

    name: str
    seed: int
    bundle: str = ""
    device: str = ""
    speed: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveBlendRequest:
    """Save a blend as a voice of its own, for one model.

    voice: the blend, such as alice:0.7+bob:0.3;  bundle, device: "" for those of the settings.
    """

    name: str
    voice: str
    bundle: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveRecordingRequest:
    """Add a recording to a voice.

    folder: where the recording is staged; it is deleted afterwards;
    consent: fields of the consent note of a new voice;
    replace: the voice becomes this recording alone; its earlier clips go to the trash.
    """

    name: str
    folder: str
    replace: bool = False
    consent: Mapping[str, str] = field(default_factory=dict)
