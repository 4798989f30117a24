"""Uploaded files, stored under state/uploads/<id>/ until a job uses them."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from core.errors import AppError, translate_write_errors
from core.paths import ProjectPaths, fold_name, quote_for_message, slugify, validate_name
from jobs.models import JobError
from jobs.store import read_open_requests
from studio.schemas.voices import MAX_RECORDING_BYTES, SaveRecordingRequest
from studio.voices.catalog import AUDIO_SUFFIXES, check_not_random
from studio.voices.consent import make_consent
from studio.voices.trash import get_new_voice_folder

MAX_UPLOAD_CLIPS = 200
MAX_UPLOAD_BYTES = 600_000_000  # half an hour of 24-bit stereo at 96 kHz
UPLOAD_RETENTION_S = 24 * 3600.0
TRANSCRIPT_SUFFIXES = (".txt", ".csv", ".tsv", ".xlsx", ".srt", ".vtt", ".json")
"""Files that may be uploaded with clips and contain their transcripts."""
_PLAIN_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportVoiceRequest:
    """Copy uploaded clips into a voice.

    folder: of the upload; it is deleted at the end;  sound_only: copy the clip even where its
    metadata contains the latents of a voice.
    """

    name: str
    folder: str
    sound_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportVoiceResult:
    """The voice after the import. clips: how many it has now."""

    voice: str
    clips: int


def create_upload_dir(layout: ProjectPaths, voice: str, names: Sequence[str]) -> Path:
    """Check the names of a voice and of clips for it, and create the folder to upload them into.

    Raises AppError for a name that a voice or a clip cannot have.
    """
    layout.voice(voice)
    check_not_random(voice)
    clips = [name for name in names if not is_transcript(name)]
    if not 0 < len(clips) <= MAX_UPLOAD_CLIPS or len(names) > 2 * MAX_UPLOAD_CLIPS:
        raise AppError(f"{len(clips)} clips were sent; send 1 to {MAX_UPLOAD_CLIPS} at once.")
    for name in names:
        validate_name(name, "clip")
        if Path(name).suffix.lower() not in (*AUDIO_SUFFIXES, *TRANSCRIPT_SUFFIXES):
            raise AppError(
                f"{quote_for_message(name)} is not an audio file. Send files that end in one of "
                f"{', '.join(AUDIO_SUFFIXES)}.",
                code="unsupported_format",
            )
    if len({fold_name(name) for name in names}) < len(names):
        raise AppError("Two of the clips have the same name. Rename one of them.")
    return _create_folder(layout)


def is_transcript(name: str) -> bool:
    """Return whether a file name is that of a transcript."""
    return Path(name).suffix.lower() in TRANSCRIPT_SUFFIXES


def delete_stale_uploads(layout: ProjectPaths) -> None:
    """Delete uploads older than UPLOAD_RETENTION_S, except those that an open job refers to."""
    uploads = layout.state / "uploads"
    stale = []
    for folder in uploads.iterdir() if uploads.is_dir() else ():
        with suppress(OSError):  # deleted by another process in the meantime
            if time.time() - folder.stat().st_mtime > UPLOAD_RETENTION_S:
                stale.append(folder)
    if not stale:
        return
    try:
        requests = read_open_requests(layout.jobs_db)
    except JobError:
        return
    for folder in stale:
        if not any(folder.name in request for request in requests):
            shutil.rmtree(folder, ignore_errors=True)


def store_upload(layout: ProjectPaths, path: Path, name: str = "") -> str:
    """Copy an uploaded file and return its reference: uploads/3f…/my-clip.wav.

    name: the file name on the user's side.  Raises AppError for a missing or too large file.
    """
    if not path.is_file():
        raise AppError("The upload failed. Drop the file again.")
    size = path.stat().st_size
    if size > MAX_UPLOAD_BYTES:
        raise AppError(
            f"The file has {size / 1e6:,.0f} MB; the limit is {MAX_UPLOAD_BYTES / 1e6:,.0f} MB. "
            "Cut it into shorter clips."
        )
    original = Path(name or path.name)
    suffix = original.suffix.lower()
    delete_stale_uploads(layout)
    folder = _create_folder(layout)
    file_name = slugify(original.stem) + (suffix if _PLAIN_SUFFIX.fullmatch(suffix) else ".bin")
    with translate_write_errors(folder):
        shutil.copyfile(path, folder / file_name)
    return f"uploads/{folder.name}/{file_name}"


def resolve_file_ref(layout: ProjectPaths, reference: str) -> Path:
    """Return the file of a reference uploads/…, results/… or voices/….

    Raises AppError for any other reference, one that leads out of these folders, and a missing
    file.
    """
    roots = {
        "uploads": layout.state / "uploads",
        "results": layout.results,
        "voices": layout.voices,
    }
    parts = PurePosixPath(reference).parts
    if len(parts) < 3 or parts[0] not in roots:
        raise AppError(
            f"{quote_for_message(reference)} is not a clip of this studio. Drop the file again."
        )
    root = roots[parts[0]]
    path = root.joinpath(*(validate_name(part, "clip") for part in parts[1:]))
    if not path.resolve().is_relative_to(root.resolve()) and parts[0] != "voices":
        raise AppError(
            f"{quote_for_message(reference)} is outside of this studio. Drop the file itself."
        )
    if not path.is_file():
        raise AppError(f"{quote_for_message(parts[-1])} no longer exists. Drop the file again.")
    return path


def stage_recording_upload(
    layout: ProjectPaths,
    name: str,
    source: Path,
    *,
    replace: bool = False,
    consent: Mapping[str, str] = MappingProxyType({}),
) -> SaveRecordingRequest:
    """Copy a recording into an upload folder and return the request that saves it as a voice.

    source: a file of this process;  name: of a new voice, or of an existing one with `replace`;
    consent: fields of its consent note, none where it is not stated.  Raises AppError for an
    invalid or taken name, and for an invalid note.
    """
    if consent:
        make_consent(consent)
    layout.voice(name) if replace else get_new_voice_folder(layout, name)
    if not source.is_file() or not 0 < source.stat().st_size <= MAX_RECORDING_BYTES:
        raise AppError(
            f"The recording is empty or larger than {MAX_RECORDING_BYTES / 1e6:.0f} MB. Choose a "
            "shorter one, or record a few seconds again.",
            code="bad_clip",
        )
    folder = _create_folder(layout)
    with translate_write_errors(folder):
        shutil.copyfile(source, folder / f"recording{source.suffix.lower()[:8]}")
    return SaveRecordingRequest(
        name=name, folder=str(folder), replace=replace, consent=dict(consent)
    )


def _create_folder(layout: ProjectPaths) -> Path:
    folder = layout.state / "uploads" / secrets.token_hex(8)
    with translate_write_errors(folder):
        folder.mkdir(parents=True, mode=0o700)
    return folder
