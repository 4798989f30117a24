"""Looking at the results on disk: which clips came, changed or went, and what each tells."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from core.errors import AppError
from core.progress import ProgressEvent, ProgressReporter
from studio.history.file_groups import ClipFileRole, is_utf8_name, parse_clip_path
from studio.history.index import ColumnValues, HistoryIndex, delete_files, upsert_files
from studio.schemas.speech import AUDIO_FORMATS, MAX_TEXT_CHARS
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import read_metadata

MAX_DEPTH = 8  # folders below the results; nobody sorts clips deeper, and links could go round
BATCH_SIZE = 200  # files read before they are written down, so that the first are seen soon
MTIME_GRANULARITY_S = (
    2.0  # a folder that changed less long ago may change again without its time showing it
)
_AUDIO_SUFFIXES = tuple(f".{format}" for format in AUDIO_FORMATS)
UNCERTAIN_MTIME, MISSING_MTIME = (
    -1,
    -2,
)  # instead of a time: of a folder to be looked at again, and of no folder


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """What lies below the results: path -> what shows a change, folder -> time of its change."""

    files: Mapping[str, str]
    folders: Mapping[str, int]


def scan_results(results: Path, index: HistoryIndex, report: ProgressReporter) -> int:
    """Bring the index up to date with the disk; return how many files came, changed or went.

    The newest are read first. Stopping in the middle loses nothing: what is read is kept.
    """
    found = list_audio_files(results)
    with index.connection() as db:
        known = {row["path"]: row["seen"] for row in db.execute("select path, seen from files")}
    gone = sorted(known.keys() - found.files.keys())
    new = [path for path, seen in found.files.items() if known.get(path) != seen]
    new.sort(key=lambda path: _get_newest_first_key(found.files[path]))
    if gone:
        with index.revision_transaction() as db:
            delete_files(db, gone)
    for start in range(0, len(new), BATCH_SIZE):
        report.check_cancelled()
        batch = {path: found.files[path] for path in new[start : start + BATCH_SIZE]}
        index_files(results, index, batch)
        done = min(start + BATCH_SIZE, len(new))
        report.emit(ProgressEvent(kind="progress", stage="history", done=done, total=len(new)))
    _save_folder_times(index, found.folders)
    return len(gone) + len(new)


def index_files(results: Path, index: HistoryIndex, files: Mapping[str, str]) -> None:
    """Read these files anew into the index; those that are gone are forgotten."""
    facts, gone = [], []
    for path, seen in files.items():
        place = parse_clip_path(path)
        read = read_column_values(results, path, place, seen) if place is not None else None
        if read is None:
            gone.append(path)
        else:
            facts.append(read)
    with index.revision_transaction() as db:
        delete_files(db, gone)
        upsert_files(db, facts)


def has_folder_changes(results: Path, index: HistoryIndex) -> bool:
    """Say whether a file may have come or gone: a look at the folders' times only."""
    with index.connection() as db:
        times = {row["path"]: row["mtime"] for row in db.execute("select * from folders")}
    if not times:
        return results.is_dir()
    return any(_get_folder_mtime(results / path) != mtime for path, mtime in times.items())


def list_audio_files(results: Path) -> ScanResult:
    """List the clips below the results; links are not followed."""
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
    """Say what shows that a file, or the settings beside it, has changed; empty when it is gone."""
    try:
        own = path.stat()
    except OSError:
        return ""
    try:
        beside = path.with_name(path.name + ".json").stat()
    except OSError:
        return f"{own.st_mtime_ns}:{own.st_size}"
    return f"{own.st_mtime_ns}:{own.st_size}:{beside.st_mtime_ns}:{beside.st_size}"


def read_column_values(
    results: Path, path: str, place: ClipFileRole, seen: str
) -> ColumnValues | None:
    """Read what the index holds of one clip, whatever the file is; None when it is gone."""
    file = results / path
    try:
        state = file.stat()
    except OSError:
        return None
    stem = PurePosixPath(place.stem)
    facts: dict[str, str | int | float | None] = {
        "path": path,
        "stem": place.stem,
        "suffix": place.suffix,
        "rank": place.rank,
        "seen": seen,
        "size": state.st_size,
        "name": stem.name,
        "voice": stem.parts[0] if len(stem.parts) > 1 else "",
    }
    try:
        return facts | _metadata_to_columns(read_metadata(file), state.st_mtime)
    except (AppError, OSError):
        unknown = ("speaker", "text", "engine", "bundle", "seed")
        facts |= dict.fromkeys(unknown, "") | {"score": None, "seconds": _read_duration(file)}
        return facts | {"created": state.st_mtime, "foreign_": 1}


def _metadata_to_columns(
    record: TakeMetadata, written: float
) -> dict[str, str | int | float | None]:
    return {
        "speaker": _sanitize_text(record.voice, 500),
        "text": _sanitize_text(record.text, MAX_TEXT_CHARS),
        "engine": _sanitize_text(record.engine, 100),
        "bundle": _sanitize_text(record.bundle, 200),
        "seed": str(record.seed)[:40],
        "score": record.score,
        "seconds": record.duration_s,
        "created": _parse_time(record.created, written),
        "foreign_": 0,
    }


def _sanitize_text(text: str, longest: int) -> str:
    """Cut what somebody wrote to what a database can hold."""
    return text[:longest].encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def _parse_time(created: str, written: float) -> float:
    try:
        return datetime.fromisoformat(created).timestamp()
    except (ValueError, OverflowError, OSError):
        return written


def _read_duration(file: Path) -> float | None:
    import soundfile  # brings numpy, which few clips are worth: most tell their length

    try:
        return float(soundfile.info(file).duration)
    except (RuntimeError, OSError, TypeError, ValueError, ArithmeticError):
        return None


def _list_folder(results: Path, folder: str) -> tuple[list[str], dict[str, str]]:
    """Return the folders in a folder, and its clips with what shows a change."""
    inner: list[str] = []
    entries: dict[str, os.stat_result] = {}
    for entry in _list_entries(results / folder):
        name = f"{folder}/{entry.name}" if folder else entry.name
        try:
            if entry.is_dir(follow_symlinks=False):
                inner.append(name)
            elif entry.is_file(follow_symlinks=False):
                entries[name] = entry.stat(follow_symlinks=False)
        except OSError:  # it went while we looked
            continue
    files = {}
    for name, state in entries.items():
        if not name.lower().endswith(_AUDIO_SUFFIXES):
            continue
        beside = entries.get(f"{name}.json")
        also = f":{beside.st_mtime_ns}:{beside.st_size}" if beside else ""
        files[name] = f"{state.st_mtime_ns}:{state.st_size}{also}"
    return inner, files


def _list_entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:  # gone, or not ours to read
        return []
    return [entry for entry in found if not entry.name.startswith(".") and is_utf8_name(entry.name)]


def _get_folder_mtime(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return MISSING_MTIME


def _get_newest_first_key(seen: str) -> int:
    return -int(seen.split(":")[0])


def _save_folder_times(index: HistoryIndex, folders: Mapping[str, int]) -> None:
    with index.connection() as db:
        known = {row["path"]: row["mtime"] for row in db.execute("select * from folders")}
    if known == folders:
        return
    rows: Sequence[tuple[str, int]] = sorted(folders.items())
    with index.transaction() as db:
        db.execute("delete from folders")
        db.executemany("insert into folders values(?, ?)", rows)
