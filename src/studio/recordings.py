"""Voices that are made on the page: a recording from the microphone, and a random voice kept.

A recording that is only spoken with is the voice `microphone`; the next one takes its place, and
renaming it (studio/voice_bin.py) keeps it for good.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from studio.errors import StudioError, writing_to
from studio.layout import Layout
from studio.voice_bin import free_voice_name

MICROPHONE = "microphone"
LARGEST_RECORDING = 200_000_000  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRandom:
    """Make up the voice random#SEED and keep it.  bundle, device: "" as the settings say."""

    name: str
    seed: int
    bundle: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRecording:
    """Make a recording a clip of a voice.

    folder: where the recording waits (see `waiting_recording`); it is deleted in the end;
    replace: the voice shall be this recording alone; what it was goes into the bin.
    """

    name: str
    folder: str
    replace: bool = False


def waiting_recording(
    layout: Layout, name: str, source: Path, *, replace: bool = False
) -> KeepRecording:
    """Copy a recording to where it waits for its job, and return what to submit.

    source: a file of this process (an upload);  name: the voice, new unless it is replaced or is
    the microphone's. Raises StudioError for a name that cannot be one, or is taken.
    """
    layout.voice(name) if replace else free_voice_name(layout, name)
    if not source.is_file() or not 0 < source.stat().st_size <= LARGEST_RECORDING:
        raise StudioError(
            "There is no recording, or it is too long to be one. Record some seconds again.",
            cause="bad_clip",
        )
    folder = layout.state / "uploads" / secrets.token_hex(8)
    with writing_to(folder):
        folder.mkdir(parents=True, mode=0o700)
        shutil.copyfile(source, folder / f"recording{source.suffix.lower()[:8]}")
    return KeepRecording(name=name, folder=str(folder), replace=replace)
