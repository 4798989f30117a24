"""A voice that comes in from elsewhere: the clips wait in a folder of ours until they are heard."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.errors import StudioError, writing_to
from studio.layout import Layout, plain_name, shown
from studio.voices import AUDIO_SUFFIXES, RANDOM

MOST_CLIPS = 200
TRANSCRIPTS = (".txt", ".csv", ".srt", ".vtt", ".json")
"""What may lie beside clips and say their words; a data set made of the voice reads them."""
KEPT_S = 24 * 3600.0  # an upload that nobody took is swept away after this


@dataclass(frozen=True, slots=True, kw_only=True)
class BringVoice:
    """A wish to copy clips into a voice. folder: where they wait; it is deleted in the end.

    sound_only: hear the clip anew, even where it carries the latents of its voice.
    """

    name: str
    folder: str
    sound_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtVoice:
    """A voice that came in, and how many clips it has now."""

    voice: str
    clips: int


def waiting_folder(layout: Layout, voice: str, names: Sequence[str]) -> Path:
    """Check the names of a voice and of the clips for it, and make the folder where they wait.

    Raises StudioError for whatever cannot be a voice or a clip of it.
    """
    layout.voice(voice)
    if voice.casefold() == RANDOM:
        raise StudioError(f"{voice} always means a made-up voice. Choose another name.")
    clips = [name for name in names if not is_transcript(name)]
    if not 0 < len(clips) <= MOST_CLIPS or len(names) > 2 * MOST_CLIPS:
        raise StudioError(f"{len(clips)} clips were sent; send 1 to {MOST_CLIPS} at once.")
    for name in names:
        plain_name(name, "clip")
        if Path(name).suffix.lower() not in (*AUDIO_SUFFIXES, *TRANSCRIPTS):
            raise StudioError(
                f"{shown(name)} is not named like a recording. Send files that end in one of "
                f"{', '.join(AUDIO_SUFFIXES)}.",
                cause="unsupported_format",
            )
    if len({name.casefold() for name in names}) < len(names):
        raise StudioError("Two of the clips have the same name. Rename one of them.")
    folder = layout.state / "uploads" / secrets.token_hex(8)
    with writing_to(folder):
        folder.mkdir(parents=True, mode=0o700)
    return folder


def is_transcript(name: str) -> bool:
    """Say whether a file tells what is said in clips beside it."""
    return Path(name).suffix.lower() in TRANSCRIPTS


def sweep_uploads(layout: Layout) -> None:
    """Delete uploads that were cut off long ago."""
    uploads = layout.state / "uploads"
    for folder in uploads.iterdir() if uploads.is_dir() else ():
        if time.time() - folder.stat().st_mtime > KEPT_S:
            shutil.rmtree(folder, ignore_errors=True)
