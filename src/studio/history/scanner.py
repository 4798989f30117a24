"""Scan the results folder and update the index with new, changed and deleted files."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from core.errors import AppError
from core.progress import ProgressEvent, ProgressReporter
from studio.history.index import ColumnValues, HistoryIndex, delete_files, upsert_files
from studio.schemas.speech import AUDIO_FORMATS, MAX_TEXT_CHARS
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.output_paths import ClipFileRole, is_utf8_name, parse_clip_path

MAX_DEPTH = 8  # of folders below the results
BATCH_SIZE = 200  # files per transaction
MTIME_GRANULARITY_S = 2.0  # a folder may change again within this time without a new mtime
UNCERTAIN_MTIME, MISSING_MTIME = -1, -2
_AUDIO_SUFFIXES = tuple(f".{format}" for format in AUDIO_FORMATS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """The results on disk. files: path -> fingerprint;  folders: path -> mtime in ns."""

    files: Mapping[str, str]
    folders: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanCounts:
    """Files that a scan found: changed are in the index now, remaining are not yet."""

    changed: int
    remaining: int = 0


def scan_results(
    results: Path, index: HistoryIndex, report: ProgressReporter, most: int | None = None
) -> ScanCounts:
    """Update the index.

    Reads the newest files first and commits in batches, so a cancelled scan keeps its progress.
    most: files to read at most; the others remain.
    """
    found = list_audio_files(results)
    with index.connection() as db:
        known = {row["path"]: row["seen"] for row in db.execute("select path, seen from files")}
    gone = sorted(known.keys() - found.files.keys())
    new = [path for path, seen in found.files.items() if known.get(path) != seen]
    new.sort(key=lambda path: -int(found.files[path].partition(":")[0]))
    if gone:
        with index.revision_transaction() as db:
            delete_files(db, gone)
    chosen = new[:most]
    for start in range(0, len(chosen), BATCH_SIZE):
        report.check_cancelled()
        batch = {path: found.files[path] for path in chosen[start : start + BATCH_SIZE]}
        index_files(results, index, batch)
        done = start + len(batch)
        report.emit(ProgressEvent(kind="progress", stage="history", done=done, total=len(new)))
    if len(chosen) == len(new):
        _save_folder_times(index, found.folders)
    return ScanCounts(changed=len(gone) + len(chosen), remaining=len(new) - len(chosen))


def index_files(results: Path, index: HistoryIndex, files: Mapping[str, str]) -> None:
    """Read files (path -> fingerprint) into the index, and remove those that no longer exist."""
    values, gone = [], []
    for path, fingerprint in files.items():
        role = parse_clip_path(path)
        row = read_column_values(results, path, role, fingerprint) if role is not None else None
        if row is None:
            gone.append(path)
        else:
            values.append(row)
    with index.revision_transaction() as db:
        delete_files(db, gone)
        upsert_files(db, values)


def has_folder_changes(results: Path, index: HistoryIndex) -> bool:
    """Return whether files may have been added or deleted; compares the mtimes of folders only."""
    with index.connection() as db:
        times = {row["path"]: row["mtime"] for row in db.execute("select * from folders")}
    if not times:
        return results.is_dir()
    return any(_get_folder_mtime(results / path) != mtime for path, mtime in times.items())


def list_audio_files(results: Path) -> ScanResult:
    """List the audio files below the results; links are not followed."""
    files: dict[str, str] = {}
    folders: dict[str, int] = {}
    now = time.time_ns()
    waiting = [""] if results.is_dir() else []
    while waiting:
        folder = waiting.pop()
        changed = _get_folder_mtime(results / folder)
        fresh = now - changed < MTIME_GRANULARITY_S * 1e9
        folders[folder] = UNCERTAIN_MTIME if fresh else changed
        inner, own = _list_folder(results, folder)
        files.update(own)
        if folder.count("/") < MAX_DEPTH:
            waiting += inner
    return ScanResult(files=files, folders=folders)


def compute_fingerprint(path: Path) -> str:
    """Return mtime and size of a file and its sidecar; "" for a missing file."""
    try:
        own = path.stat()
    except OSError:
        return ""
    try:
        sidecar = path.with_name(path.name + ".json").stat()
    except OSError:
        return f"{own.st_mtime_ns}:{own.st_size}"
    return f"{own.st_mtime_ns}:{own.st_size}:{sidecar.st_mtime_ns}:{sidecar.st_size}"


def read_column_values(
    results: Path, path: str, role: ClipFileRole, fingerprint: str
) -> ColumnValues | None:
    """Read the index columns of one file, also without metadata; None for a missing file."""
    file = results / path
    try:
        state = file.stat()
    except OSError:
        return None
    stem = PurePosixPath(role.stem)
    values: dict[str, str | int | float | None] = {
        "path": path,
        "stem": role.stem,
        "suffix": role.suffix,
        "rank": role.rank,
        "seen": fingerprint,
        "size": state.st_size,
        "name": stem.name,
        "voice": stem.parts[0] if len(stem.parts) > 1 else "",
    }
    try:
        return values | _metadata_to_columns(read_metadata(file), state.st_mtime)
    except (AppError, OSError):
        unknown = ("speaker", "text", "engine", "bundle", "seed")
        values |= dict.fromkeys(unknown, "") | {"score": None, "seconds": _read_duration(file)}
        return values | {"created": state.st_mtime, "foreign_": 1}


def _metadata_to_columns(
    metadata: TakeMetadata, mtime: float
) -> dict[str, str | int | float | None]:
    return {
        "speaker": _sanitize_text(metadata.voice, 500),
        "text": _sanitize_text(metadata.text, MAX_TEXT_CHARS),
        "engine": _sanitize_text(metadata.engine, 100),
        "bundle": _sanitize_text(metadata.bundle, 200),
        "seed": str(metadata.seed)[:40],
        "score": metadata.score,
        "seconds": metadata.duration_s,
        "created": _parse_time(metadata.created, mtime),
        "foreign_": 0,
    }


def _sanitize_text(text: str, longest: int) -> str:
    return text[:longest].encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def _parse_time(created: str, mtime: float) -> float:
    try:
        return datetime.fromisoformat(created).timestamp()
    except (ValueError, OverflowError, OSError):
        return mtime


def _read_duration(file: Path) -> float | None:
    import soundfile  # imports numpy; most clips have their duration in the metadata

    try:
        return float(soundfile.info(file).duration)
    except (RuntimeError, OSError, TypeError, ValueError, ArithmeticError):
        return None


def _list_folder(results: Path, folder: str) -> tuple[list[str], dict[str, str]]:
    """Return the subfolders of a folder, and its audio files with their fingerprints."""
    inner: list[str] = []
    entries: dict[str, os.stat_result] = {}
    for entry in _list_entries(results / folder):
        name = f"{folder}/{entry.name}" if folder else entry.name
        try:
            if entry.is_dir(follow_symlinks=False):
                inner.append(name)
            elif entry.is_file(follow_symlinks=False):
                entries[name] = entry.stat(follow_symlinks=False)
        except OSError:  # deleted in the meantime
            continue
    files = {}
    for name, state in entries.items():
        if not name.lower().endswith(_AUDIO_SUFFIXES):
            continue
        sidecar = entries.get(f"{name}.json")
        more = f":{sidecar.st_mtime_ns}:{sidecar.st_size}" if sidecar else ""
        files[name] = f"{state.st_mtime_ns}:{state.st_size}{more}"
    return inner, files


def _list_entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:  # missing, or not readable
        return []
    return [entry for entry in found if not entry.name.startswith(".") and is_utf8_name(entry.name)]


def _get_folder_mtime(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return MISSING_MTIME


def _save_folder_times(index: HistoryIndex, folders: Mapping[str, int]) -> None:
    with index.connection() as db:
        known = {row["path"]: row["mtime"] for row in db.execute("select * from folders")}
    if known == folders:
        return
    rows: Sequence[tuple[str, int]] = sorted(folders.items())
    with index.transaction() as db:
        db.execute("delete from folders")
        db.executemany("insert into folders values(?, ?)", rows)
