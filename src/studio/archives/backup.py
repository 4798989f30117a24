"""A backup of the whole studio in one zip file: settings, voices, finetunes and clips."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from core.errors import AppError, translate_write_errors
from core.files import atomic_path
from core.paths import ProjectPaths
from core.progress import ProgressReporter

MANIFEST = "testudo-backup.json"
FORMAT_VERSION = 1
MAX_FILES = 1_000_000
COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredBackup:
    """What a restore did.  restored, kept: files written, and files that were there already."""

    created: str
    restored: int
    kept: int


def create_backup(layout: ProjectPaths, path: Path, report: ProgressReporter) -> int:
    """Write a backup to `path`; returns the number of files in it. Links are left out."""
    files = list(_list_files(layout))
    created = datetime.now().astimezone().isoformat(timespec="seconds")
    manifest = {"format": FORMAT_VERSION, "created": created, "files": len(files)}
    with translate_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as part, zipfile.ZipFile(part, "w", strict_timestamps=False) as file:
            file.writestr(MANIFEST, json.dumps(manifest))
            for source, name in report.track(files, "export"):
                file.write(source, name)  # stored: audio and weights do not compress well
    return len(files)


def restore_backup(layout: ProjectPaths, archive: Path, report: ProgressReporter) -> RestoredBackup:
    """Copy the files of a backup into the studio. A file that is there already is kept.

    Raises AppError, before anything is written, for a file that is no backup of this version, that
    names a place outside the studio, or that does not fit on the disk.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            created = _read_manifest(file)
            targets = [(item, _find_target(layout, item)) for item in file.infolist()[1:]]
            _check_space(layout, [item for item, target in targets if not target.exists()])
            restored = 0
            for item, target in report.track(targets, "import"):
                restored += _restore_file(file, item, target)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as cause:
        raise AppError(f"{archive.name} is damaged or not a zip file: {cause}.") from cause
    return RestoredBackup(created=created, restored=restored, kept=len(targets) - restored)


def _list_single_files(layout: ProjectPaths) -> dict[str, Path]:
    return {
        "settings.yaml": layout.settings_file,
        "presets.yaml": layout.presets_file,
        "stars.json": layout.stars,
        "pronunciations.txt": layout.pronunciations,
        "speakers.yaml": layout.speakers,
    }


def _list_folders(layout: ProjectPaths) -> dict[str, Path]:
    return {
        "voices": layout.voices,
        "finetunes": layout.models / "finetunes",
        "results": layout.results,
    }


def _list_files(layout: ProjectPaths) -> Iterator[tuple[Path, str]]:
    """Yield (file, name in the archive)."""
    for name, path in _list_single_files(layout).items():
        if path.is_file():
            yield path, name
    for kind, folder in _list_folders(layout).items():
        for path in _walk(folder):
            yield path, f"{kind}/{path.relative_to(folder).as_posix()}"


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, without hidden ones and links."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(parent) / name for name in sorted(names) if not name.startswith(".")]
        yield from (path for path in paths if not path.is_symlink())


def _read_manifest(file: zipfile.ZipFile) -> str:
    items = file.infolist()
    if not items or items[0].filename != MANIFEST or len(items) > MAX_FILES:
        raise AppError("This zip file is not a backup of Testudo. Choose one made in Settings.")
    try:
        manifest = json.loads(file.read(MANIFEST))
        version, created = manifest["format"], str(manifest["created"])
    except (ValueError, KeyError, TypeError) as cause:
        raise AppError("The list of contents of this backup is damaged.") from cause
    if version != FORMAT_VERSION:
        raise AppError(f"This backup has format {version}; {FORMAT_VERSION} can be restored.")
    return created


def _find_target(layout: ProjectPaths, item: zipfile.ZipInfo) -> Path:
    name = PurePosixPath(item.filename)
    single = _list_single_files(layout)
    if item.filename in single:
        return single[item.filename]
    folder = _list_folders(layout).get(name.parts[0] if name.parts else "")
    inside = name.parts[1:]
    odd = any(part.startswith(".") or "\\" in part or ":" in part for part in inside)
    if folder is None or not inside or odd or name.is_absolute() or item.is_dir():
        raise AppError(f"The backup names {item.filename[:80]!r}, which is no file of a studio.")
    return folder.joinpath(*inside)


def _check_space(layout: ProjectPaths, items: list[zipfile.ZipInfo]) -> None:
    needed, free = sum(item.file_size for item in items), shutil.disk_usage(layout.root).free
    if needed > free:
        raise AppError(
            f"The backup needs {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free. Free some "
            "space, then restore again."
        )


def _restore_file(file: zipfile.ZipFile, item: zipfile.ZipInfo, target: Path) -> bool:
    if target.exists():
        return False
    with translate_write_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            atomic_path(target) as part,
            file.open(item) as source,
            part.open("wb") as written,
        ):
            shutil.copyfileobj(source, written, COPY_BYTES)
    return True
