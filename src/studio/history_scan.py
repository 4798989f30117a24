"""Looking at the results on disk: which clips came, changed or went, and what each tells."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from jobs.report import Event, Reporter
from studio.errors import StudioError
from studio.history_family import Place, is_text, place_of
from studio.history_index import Facts, Index, drop_files, put_files
from studio.results import FORMATS
from studio.speaking import LONGEST_TEXT
from studio.tags import read_record
from studio.takes import TakeRecord

DEEPEST = 8  # folders below the results; nobody sorts clips deeper, and links could go round
BATCH = 200  # files read before they are written down, so that the first are seen soon
TICK_S = 2.0  # a folder that changed less long ago may change again without its time showing it
_SOUNDS = tuple(f".{format}" for format in FORMATS)
UNSURE, GONE = -1, -2  # instead of a time: of a folder to be looked at again, and of no folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What lies below the results: path -> what shows a change, folder -> time of its change."""

    files: Mapping[str, str]
    folders: Mapping[str, int]


def scan(results: Path, index: Index, report: Reporter) -> int:
    """Bring the index up to date with the disk; return how many files came, changed or went.

    The newest are read first. Stopping in the middle loses nothing: what is read is kept.
    """
    found = look(results)
    with index.reading() as db:
        known = {row["path"]: row["seen"] for row in db.execute("select path, seen from files")}
    gone = sorted(known.keys() - found.files.keys())
    new = [path for path, seen in found.files.items() if known.get(path) != seen]
    new.sort(key=lambda path: _age(found.files[path]))
    if gone:
        with index.writing() as db:
            drop_files(db, gone)
    for start in range(0, len(new), BATCH):
        report.check()
        batch = {path: found.files[path] for path in new[start : start + BATCH]}
        read_files(results, index, batch)
        done = min(start + BATCH, len(new))
        report.emit(Event(kind="progress", stage="history", done=done, total=len(new)))
    _remember_folders(index, found.folders)
    return len(gone) + len(new)


def read_files(results: Path, index: Index, files: Mapping[str, str]) -> None:
    """Read these files anew into the index; those that are gone are forgotten."""
    facts, gone = [], []
    for path, seen in files.items():
        place = place_of(path)
        read = facts_of(results, path, place, seen) if place is not None else None
        if read is None:
            gone.append(path)
        else:
            facts.append(read)
    with index.writing() as db:
        drop_files(db, gone)
        put_files(db, facts)


def anything_changed(results: Path, index: Index) -> bool:
    """Say whether a file may have come or gone: a look at the folders' times only."""
    with index.reading() as db:
        times = {row["path"]: row["mtime"] for row in db.execute("select * from folders")}
    if not times:
        return results.is_dir()
    return any(_changed(results / path) != mtime for path, mtime in times.items())


def look(results: Path) -> Found:
    """List the clips below the results; links are not followed."""
    files: dict[str, str] = {}
    folders: dict[str, int] = {}
    now = time.time_ns()
    waiting = [""] if results.is_dir() else []
    while waiting:
        folder = waiting.pop()
        changed = _changed(results / folder)
        fresh = now - changed < TICK_S * 1e9
        folders[folder] = UNSURE if fresh else changed
        inner, own = _listed(results, folder)
        files.update(own)
        if folder.count("/") < DEEPEST:
            waiting += inner
    return Found(files=files, folders=folders)


def seen_of(path: Path) -> str:
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


def facts_of(results: Path, path: str, place: Place, seen: str) -> Facts | None:
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
        return facts | _told_by(read_record(file), state.st_mtime)
    except (StudioError, OSError):
        unknown = ("speaker", "text", "engine", "bundle", "seed")
        facts |= dict.fromkeys(unknown, "") | {"score": None, "seconds": _length(file)}
        return facts | {"created": state.st_mtime, "foreign_": 1}


def _told_by(record: TakeRecord, written: float) -> dict[str, str | int | float | None]:
    return {
        "speaker": _clean(record.voice, 500),
        "text": _clean(record.text, LONGEST_TEXT),
        "engine": _clean(record.engine, 100),
        "bundle": _clean(record.bundle, 200),
        "seed": str(record.seed)[:40],
        "score": record.score,
        "seconds": record.duration_s,
        "created": _time(record.created, written),
        "foreign_": 0,
    }


def _clean(text: str, longest: int) -> str:
    """Cut what somebody wrote to what a database can hold."""
    return text[:longest].encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def _time(created: str, written: float) -> float:
    try:
        return datetime.fromisoformat(created).timestamp()
    except (ValueError, OverflowError, OSError):
        return written


def _length(file: Path) -> float | None:
    import soundfile  # brings numpy, which few clips are worth: most tell their length

    try:
        return float(soundfile.info(file).duration)
    except (RuntimeError, OSError, TypeError, ValueError, ArithmeticError):
        return None


def _listed(results: Path, folder: str) -> tuple[list[str], dict[str, str]]:
    """Return the folders in a folder, and its clips with what shows a change."""
    inner: list[str] = []
    entries: dict[str, os.stat_result] = {}
    for entry in _entries(results / folder):
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
        if not name.lower().endswith(_SOUNDS):
            continue
        beside = entries.get(f"{name}.json")
        also = f":{beside.st_mtime_ns}:{beside.st_size}" if beside else ""
        files[name] = f"{state.st_mtime_ns}:{state.st_size}{also}"
    return inner, files


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:  # gone, or not ours to read
        return []
    return [entry for entry in found if not entry.name.startswith(".") and is_text(entry.name)]


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return GONE


def _age(seen: str) -> int:
    return -int(seen.split(":")[0])


def _remember_folders(index: Index, folders: Mapping[str, int]) -> None:
    with index.reading() as db:
        known = {row["path"]: row["mtime"] for row in db.execute("select * from folders")}
    if known == folders:
        return
    rows: Sequence[tuple[str, int]] = sorted(folders.items())
    with index.noting() as db:
        db.execute("delete from folders")
        db.executemany("insert into folders values(?, ?)", rows)
