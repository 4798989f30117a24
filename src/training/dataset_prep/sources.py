"""Find the recordings in a folder, and whether they changed. Light."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from audio.formats import READABLE_SUFFIXES
from training.dataset_prep.manifest import (
    AUDIO_DIR,
    DATASET_FILE,
    TRAIN_FILE,
    VALIDATION_FILE,
    ManifestError,
    SourceRow,
)

MAX_FILES = 100_000
DEFAULT_BYTES_PER_S = 16_000  # of a file of unknown kind: 128 kbit/s
BYTES_PER_S = {".wav": 88_200, ".flac": 40_000, ".aif": 88_200, ".aiff": 88_200}


def find_recordings(folder: Path) -> list[Path]:
    """Return the audio files in a folder and below it, in natural order.

    Hidden files and links to folders are skipped. Raises ManifestError for a folder that is
    missing, unreadable or without recordings.
    """
    if not folder.is_dir():
        raise ManifestError(f"There is no folder {folder}. Give a folder of recordings.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ManifestError(f"{folder} cannot be read: permission denied. Change its permissions.")
    found = sorted(
        _iter_recordings(folder), key=lambda path: _natural_sort_key(path.relative_to(folder))
    )
    if not found:
        known = " ".join(sorted(READABLE_SUFFIXES))
        raise ManifestError(
            f"There are no recordings in {folder}. Put audio files there ({known})."
        )
    if len(found) > MAX_FILES:
        raise ManifestError(
            f"{folder} holds more than {MAX_FILES:,} audio files. Give the folder of one speaker."
        )
    return found


def estimate_file_duration_s(path: Path) -> float:
    """Estimate the duration of a file from its size."""
    try:
        return path.stat().st_size / BYTES_PER_S.get(path.suffix.lower(), DEFAULT_BYTES_PER_S)
    except OSError:
        return 0.0


def make_source_row(path: Path, folder: Path) -> SourceRow:
    """Return the row of a file that was not read yet."""
    status = path.stat()
    return SourceRow(
        path=path.relative_to(folder).as_posix(),
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
    )


def check_target_dir(target: Path) -> None:
    """Raise ManifestError for a folder with files of another program."""
    if target.is_dir() and not (target / DATASET_FILE).is_file():
        foreign = [
            name for name in (AUDIO_DIR, TRAIN_FILE, VALIDATION_FILE) if _is_nonempty(target / name)
        ]
        if foreign:
            raise ManifestError(
                f"{target} holds {', '.join(foreign)} but no {DATASET_FILE}: it is not a dataset. "
                "Choose another name, or move that folder away."
            )


def _is_nonempty(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.is_file() and path.stat().st_size > 0


def is_same_file(before: SourceRow, now: SourceRow) -> bool:
    """Return whether a file is unchanged."""
    return (before.size, before.modified_ns) == (now.size, now.modified_ns)


def _iter_recordings(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(place, name)
            hidden = name.startswith((".", "~")) or _is_not_utf8(name)
            if path.suffix.lower() in READABLE_SUFFIXES and not hidden and path.is_file():
                yield path


def _is_not_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _natural_sort_key(path: Path) -> list[tuple[int, str]]:
    """Sort chapter 2 before chapter 10."""
    parts = re.split(r"(\d+)", path.as_posix().casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
