"""Export clips into a zip file, each with its metadata as JSON."""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from core.errors import AppError, translate_write_errors
from core.files import atomic_path, unique_path
from core.paths import CONSENT_FILE, find_same_name, validate_name
from core.progress import ProgressReporter
from studio.schemas.take_metadata import to_json
from studio.synthesis.audio_metadata import read_metadata
from studio.voices.catalog import parse_blend
from studio.voices.consent import read_consent

EXPORT_RETENTION_S = 24 * 3600
MAX_EXPORT_CLIPS = 10_000
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')


def export_zip(folder: Path, clips: Sequence[Path], voices: Path, report: ProgressReporter) -> Path:
    """Write clips into a new zip file in `folder` and delete exports older than a day.

    voices: the folder of the voices, whose consent notes go with the clips.  The metadata go
    without speaker latents. Raises AppError for no or too many clips and for a
    full disk; no partial file is left then.
    """
    if not clips:
        raise AppError("No clip is selected. Select at least one to export.")
    if len(clips) > MAX_EXPORT_CLIPS:
        raise AppError(f"{len(clips):,} clips are selected; the limit is {MAX_EXPORT_CLIPS:,}.")
    path = unique_path(folder / f"testudo-{datetime.now():%Y%m%d-%H%M%S}.zip")
    with translate_write_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        _delete_old_exports(folder)
        with atomic_path(path) as part, zipfile.ZipFile(part, "w", strict_timestamps=False) as file:
            spoken_by = _write_clips(file, clips, report)
            _write_consent_notes(file, voices, spoken_by)
    return path


def _write_clips(
    archive: zipfile.ZipFile, clips: Sequence[Path], report: ProgressReporter
) -> set[str]:
    """Write the clips and their metadata; return the voices and blends that speak in them."""
    used: set[str] = set()
    spoken_by: set[str] = set()
    for clip in report.track(clips, "export"):
        name = _make_unique_name(clip, used)
        try:
            archive.write(clip, name)  # stored: audio does not compress well
        except FileNotFoundError:
            raise AppError(f"{clip.name} no longer exists. Select again.") from None
        with suppress(AppError):  # a file without metadata
            record = read_metadata(clip).without_latents()
            archive.writestr(f"{name}.json", to_json(record) + "\n")
            spoken_by.update([record.voice, *record.speakers])
    return spoken_by


def _write_consent_notes(archive: zipfile.ZipFile, voices: Path, spoken_by: set[str]) -> None:
    names: set[str] = set()
    for voice in spoken_by:
        with suppress(AppError):  # what a clip says may be anything
            names.update(validate_name(part.voice, "voice") for part in parse_blend(voice))
    for name in sorted(names):
        if read_consent(find_same_name(voices, name)) is not None:
            archive.write(find_same_name(voices, name) / CONSENT_FILE, f"consent/{name}.yaml")


def _make_unique_name(clip: Path, used: set[str]) -> str:
    """Return a name that is valid on any system and unique in the archive, ignoring case."""
    stem = _FORBIDDEN.sub("_", clip.stem)
    name, number = stem + clip.suffix, 1
    while name.casefold() in used:
        number += 1
        name = f"{stem} ({number}){clip.suffix}"
    used.update((name.casefold(), f"{name}.json".casefold()))
    return name


def _delete_old_exports(folder: Path) -> None:
    for path in folder.glob("testudo-*.zip"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > EXPORT_RETENTION_S:
                path.unlink()
