"""A voice that comes in from elsewhere: the clips wait in a folder of ours until they are heard."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.errors import AppError, translate_write_errors
from core.paths import ProjectPaths, quote_for_message, slugify, validate_name
from studio.schemas.voices import MAX_RECORDING_BYTES, SaveRecordingRequest
from studio.voices.catalog import AUDIO_SUFFIXES, RANDOM_VOICE
from studio.voices.trash import get_new_voice_folder

MAX_UPLOAD_CLIPS = 200
TRANSCRIPT_SUFFIXES = (".txt", ".csv", ".srt", ".vtt", ".json")
"""What may lie beside clips and say their words; a data set made of the voice reads them."""
UPLOAD_RETENTION_S = 24 * 3600.0  # an upload that nobody took is swept away after this


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportVoiceRequest:
    """A wish to copy clips into a voice. folder: where they wait; it is deleted in the end.

    sound_only: hear the clip anew, even where it carries the latents of its voice.
    """

    name: str
    folder: str
    sound_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportVoiceResult:
    """A voice that came in, and how many clips it has now."""

    voice: str
    clips: int


def create_upload_dir(layout: ProjectPaths, voice: str, names: Sequence[str]) -> Path:
    """Check the names of a voice and of the clips for it, and make the folder where they wait.

    Raises StudioError for whatever cannot be a voice or a clip of it.
    """
    layout.voice(voice)
    if voice.casefold() == RANDOM_VOICE:
        raise AppError(f"{voice} always means a made-up voice. Choose another name.")
    clips = [name for name in names if not is_transcript(name)]
    if not 0 < len(clips) <= MAX_UPLOAD_CLIPS or len(names) > 2 * MAX_UPLOAD_CLIPS:
        raise AppError(f"{len(clips)} clips were sent; send 1 to {MAX_UPLOAD_CLIPS} at once.")
    for name in names:
        validate_name(name, "clip")
        if Path(name).suffix.lower() not in (*AUDIO_SUFFIXES, *TRANSCRIPT_SUFFIXES):
            raise AppError(
                f"{quote_for_message(name)} is not named like a recording. Send files that end "
                f"in one of "
                f"{', '.join(AUDIO_SUFFIXES)}.",
                code="unsupported_format",
            )
    if len({name.casefold() for name in names}) < len(names):
        raise AppError("Two of the clips have the same name. Rename one of them.")
    folder = layout.state / "uploads" / secrets.token_hex(8)
    with translate_write_errors(folder):
        folder.mkdir(parents=True, mode=0o700)
    return folder


def is_transcript(name: str) -> bool:
    """Say whether a file tells what is said in clips beside it."""
    return Path(name).suffix.lower() in TRANSCRIPT_SUFFIXES


def delete_stale_uploads(layout: ProjectPaths) -> None:
    """Delete uploads that were cut off long ago."""
    uploads = layout.state / "uploads"
    for folder in uploads.iterdir() if uploads.is_dir() else ():
        if time.time() - folder.stat().st_mtime > UPLOAD_RETENTION_S:
            shutil.rmtree(folder, ignore_errors=True)


MAX_UPLOAD_BYTES = 600_000_000  # bytes; half an hour of the finest recording
_PLAIN_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


def store_upload(layout: ProjectPaths, path: Path, name: str = "") -> str:
    """Copy a file that arrived here and return its reference: uploads/3f…/my-clip.wav.

    name: what its owner calls it.  Raises StudioError for what is no file or too large.
    """
    if not path.is_file():
        raise AppError("The file did not arrive. Drop it again.")
    size = path.stat().st_size
    if size > MAX_UPLOAD_BYTES:
        raise AppError(
            f"The file takes {size / 1e6:,.0f} MB; at most {MAX_UPLOAD_BYTES / 1e6:,.0f} MB are "
            f"taken. "
            "Cut it into shorter clips."
        )
    called = Path(name or path.name)
    suffix = called.suffix.lower() if _PLAIN_SUFFIX.fullmatch(called.suffix.lower()) else ".bin"
    delete_stale_uploads(layout)
    folder = layout.state / "uploads" / secrets.token_hex(8)
    kept = folder / f"{slugify(called.stem)}{suffix}"
    with translate_write_errors(folder):
        folder.mkdir(parents=True, mode=0o700)
        shutil.copyfile(path, kept)
    return f"uploads/{folder.name}/{kept.name}"


def resolve_file_ref(layout: ProjectPaths, reference: str) -> Path:
    """Return the file behind uploads/…, results/… or voices/…; refuse whatever leaves these.

    Raises StudioError for a reference of any other form, and for a file that is gone.
    """
    roots = {
        "uploads": layout.state / "uploads",
        "results": layout.results,
        "voices": layout.voices,
    }
    parts = PurePosixPath(reference).parts
    if len(parts) < 3 or parts[0] not in roots:
        raise AppError(
            f"{quote_for_message(reference)} names no clip of this studio. Drop the file again."
        )
    root = roots[parts[0]]
    path = root.joinpath(*(validate_name(part, "clip") for part in parts[1:]))
    if not path.resolve().is_relative_to(root.resolve()) and parts[0] != "voices":
        raise AppError(
            f"{quote_for_message(reference)} lies outside of this studio. Drop the file itself."
        )
    if not path.is_file():
        raise AppError(
            f"{quote_for_message(parts[-1])} is not there any more. Drop the file again."
        )
    return path


def stage_recording_upload(
    layout: ProjectPaths, name: str, source: Path, *, replace: bool = False
) -> SaveRecordingRequest:
    """Copy a recording to where it waits for its job, and return what to submit.

    source: a file of this process (an upload);  name: the voice, new unless it is replaced or is
    the microphone's. Raises StudioError for a name that cannot be one, or is taken.
    """
    layout.voice(name) if replace else get_new_voice_folder(layout, name)
    if not source.is_file() or not 0 < source.stat().st_size <= MAX_RECORDING_BYTES:
        raise AppError(
            "There is no recording, or it is too long to be one. Record some seconds again.",
            code="bad_clip",
        )
    folder = layout.state / "uploads" / secrets.token_hex(8)
    with translate_write_errors(folder):
        folder.mkdir(parents=True, mode=0o700)
        shutil.copyfile(source, folder / f"recording{source.suffix.lower()[:8]}")
    return SaveRecordingRequest(name=name, folder=str(folder), replace=replace)
