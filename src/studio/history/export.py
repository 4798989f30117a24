"""Clips as one zip file, each with a JSON file of how it was spoken."""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from core.errors import AppError, translate_write_errors
from core.progress import ProgressReporter
from studio.schemas.take_metadata import to_json
from studio.synthesis.audio_metadata import read_metadata

EXPORT_RETENTION_S = 24 * 3600  # how long an older export is still there
MAX_EXPORT_CLIPS = 10_000
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')


def export_zip(folder: Path, clips: Sequence[Path], report: ProgressReporter) -> Path:
    """Write the clips into a new zip file in `folder`, and forget exports of yesterday.

    The voice itself (latents) does not come along in the settings. Raises StudioError for too many
    clips, and when the zip file cannot be written; nothing half-written is left then.
    """
    if not clips:
        raise AppError("No clip was chosen. Choose at least one to export.")
    if len(clips) > MAX_EXPORT_CLIPS:
        raise AppError(f"{len(clips):,} clips were chosen; a zip file takes {MAX_EXPORT_CLIPS:,}.")
    path = _make_unique_path(folder)
    part = path.with_name(f".{path.name}.part")
    with translate_write_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        _delete_old_exports(folder)
        try:
            with zipfile.ZipFile(part, "w", strict_timestamps=False) as archive:
                # sound hardly shrinks: it is stored as it is
                _write_clips(archive, clips, report)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path


def _write_clips(archive: zipfile.ZipFile, clips: Sequence[Path], report: ProgressReporter) -> None:
    taken: set[str] = set()
    for clip in report.track(clips, "export"):
        name = _make_unique_name(clip, taken)
        try:
            archive.write(clip, name)
        except FileNotFoundError:
            raise AppError(f"{clip.name} is not there any more. Choose again.") from None
        with suppress(AppError):  # a clip from elsewhere says nothing of itself
            archive.writestr(f"{name}.json", to_json(read_metadata(clip).without_latents()) + "\n")


def _make_unique_name(clip: Path, taken: set[str]) -> str:
    """Return a name that no other file of the archive has, in any mix of cases."""
    stem = _FORBIDDEN.sub("_", clip.stem)  # the archive may be unpacked on another system
    name, number = stem + clip.suffix, 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem} ({number}){clip.suffix}"
    taken.update((name.casefold(), f"{name}.json".casefold()))
    return name


def _make_unique_path(folder: Path) -> Path:
    stem = f"testudo-{datetime.now():%Y%m%d-%H%M%S}"
    path, number = folder / f"{stem}.zip", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.zip"
    return path


def _delete_old_exports(folder: Path) -> None:
    for path in folder.glob("testudo-*.zip"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > EXPORT_RETENTION_S:
                path.unlink()
