"""What takes space in the folders of a studio, and what can be deleted without loss."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from core.paths import ProjectPaths


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderUsage:
    """A folder.  can_clean: its files are copies or deleted items."""

    name: str
    path: Path
    bytes: int
    files: int
    can_clean: bool = False


def measure_disk_usage(layout: ProjectPaths) -> list[FolderUsage]:
    """Return the folders of the studio, the largest first."""
    rows = [
        _measure("Generated clips", layout.results),
        _measure("Voices", layout.voices),
        _measure("Models", layout.models),
        _measure("Datasets and trainings", layout.training),
        _measure("Exported zip files", layout.exports, can_clean=True),
        _measure("Trash of clips", layout.trash, can_clean=True),
        _measure("Uploads", layout.state / "uploads"),
    ]
    return sorted(rows, key=lambda row: -row.bytes)


def clean_folders(layout: ProjectPaths) -> int:
    """Delete exported zip files and the trash of clips; returns the bytes that were freed."""
    freed = 0
    for row in measure_disk_usage(layout):
        if row.can_clean and row.files:
            shutil.rmtree(row.path, ignore_errors=True)
            freed += row.bytes - _measure(row.name, row.path).bytes
    return freed


def _measure(name: str, folder: Path, *, can_clean: bool = False) -> FolderUsage:
    size, count = 0, 0
    for parent, _, names in os.walk(folder):
        for file in names:
            path = Path(parent) / file
            try:
                size += path.lstat().st_size
            except OSError:
                continue
            count += 1
    return FolderUsage(name=name, path=folder, bytes=size, files=count, can_clean=can_clean)
