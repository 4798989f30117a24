"""The file of the job store: opened, migrated after a backup, set aside where it cannot be read."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.files import create_private_file, unique_path
from jobs.models import JobError

SCHEMA_VERSION = 1
CREATE_TABLES_SQL = """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, turn INTEGER NOT NULL, number INTEGER NOT NULL,
    task TEXT NOT NULL, request TEXT NOT NULL, title TEXT NOT NULL, state TEXT NOT NULL,
    created REAL NOT NULL, started REAL, ended REAL,
    progress TEXT, result TEXT, failure TEXT, attempts INTEGER NOT NULL DEFAULT 0,
    origin TEXT
);
CREATE INDEX jobs_by_state ON jobs (state, turn);
CREATE INDEX jobs_by_number ON jobs (number);
CREATE TABLE said (
    number INTEGER PRIMARY KEY, job TEXT NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL
);
CREATE INDEX said_by_job ON said (job, number);
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, work TEXT NOT NULL, stage TEXT NOT NULL,
    seconds REAL NOT NULL, units REAL NOT NULL, reached REAL NOT NULL
);
CREATE INDEX runs_by_work ON runs (work, stage, number);
"""
_COLUMNS: Mapping[str, Sequence[str]] = {
    "jobs": (
        *("id", "turn", "number", "task", "request", "title", "state", "created", "started"),
        *("ended", "progress", "result", "failure", "attempts"),
    ),
    "said": ("number", "job", "kind", "data"),
    "runs": ("number", "work", "stage", "seconds", "units", "reached"),
}
PAGE_CACHE_KB = 256
"""Pages that SQLite keeps in memory; its default of 2 MB fills with a job after the other."""
MIGRATIONS: Sequence[tuple[str, str, str]] = (  # table, column that older files lack, statement
    ("jobs", "origin", "ALTER TABLE jobs ADD COLUMN origin TEXT"),
)
_TAKEN_OVER = ("id", "task", "request", "title", "state", "created", "started", "ended", "result",
               "failure", "origin")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAsideStore:
    """A file of jobs that could not be read. version: of its format, 0 where that is unreadable."""

    path: Path
    version: int
    jobs: int

    @property
    def message(self) -> str:
        """What happened, and whether its jobs can be taken over, in sentences."""
        advice = "None of its jobs can be read."
        if self.jobs:
            found = "1 job" if self.jobs == 1 else f"{self.jobs:,} jobs"
            advice = f"{found} in it can be taken over."
        kept = f"a damaged one was kept as state/{self.path.name}."
        if self.version > SCHEMA_VERSION:
            kept = (
                f"one of a newer version of Testudo (format {self.version}, this version reads "
                f"{SCHEMA_VERSION}) was kept as state/{self.path.name}."
            )
        return f"{kept} {advice}"


def connect(path: Path) -> tuple[sqlite3.Connection, Path | None]:
    """Open the file, or create it; return where one that cannot be read was moved to, or None.

    Each commit is flushed to the disk before it returns. Raises sqlite3.Error and OSError.
    """
    create_private_file(path)
    aside = None if _is_intact(path) else _set_aside(path)
    if aside is not None:
        create_private_file(path)
    with ExitStack() as undo:
        connection = sqlite3.connect(path, check_same_thread=False, timeout=10)
        undo.callback(connection.close)
        connection.text_factory = _decode_text
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{PAGE_CACHE_KB}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(
                f"BEGIN; {CREATE_TABLES_SQL} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
        _migrate(connection, path)
        undo.pop_all()
    return connection, aside


def list_set_aside(path: Path) -> list[SetAsideStore]:
    """List the files that were set aside, the oldest first."""
    found = sorted(path.parent.glob(f"{path.stem}.damaged-*{path.suffix}"))
    return [_describe(aside, aside.stat().st_mtime_ns) for aside in found]


def read_taken_over(aside: Path) -> tuple[list[dict[str, Any]], list[tuple[str, str, str]]]:
    """Return what can be read of the jobs of a file, and of their takes and warnings.

    Any: values of SQLite. Reads as far as the file is whole; raises JobError for nothing.
    """
    jobs: dict[str, dict[str, Any]] = {}
    said: list[tuple[str, str, str]] = []
    with closing(sqlite3.connect(f"{aside.absolute().as_uri()}?mode=ro", uri=True)) as db:
        for row in _iter_readable(db, "SELECT * FROM jobs ORDER BY number"):
            job: dict[str, Any] = {name: row.get(name) for name in _TAKEN_OVER}
            if all(isinstance(job[name], str) for name in ("id", "task", "request", "state")):
                created = job["created"] if isinstance(job["created"], (int, float)) else 0.0
                title = str(job["title"] or "")
                jobs[str(job["id"])] = {**job, "title": title, "created": created}
        for row in _iter_readable(db, "SELECT job, kind, data FROM said ORDER BY number"):
            message = row["job"], row["kind"], row["data"]
            if row["job"] in jobs and all(isinstance(value, str) for value in message):
                said.append(message)
    if not jobs:
        raise JobError(f"No job in {aside.name} can be read. Start the jobs again.")
    return list(jobs.values()), said


def mark_taken_over(aside: Path) -> None:
    """Rename a file that was set aside, so that it is not offered again."""
    kept = unique_path(aside.with_name(aside.name.replace(".damaged-", ".restored-")))
    _move(aside, kept)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Add what files of earlier versions lack, after a copy of the file was made beside it."""
    missing = [
        statement
        for table, column, statement in MIGRATIONS
        if column not in [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    ]
    if not missing:
        return
    stamp = time.strftime("%Y%m%d-%H%M%S")
    backup = unique_path(path.with_name(f"{path.stem}.backup-{stamp}{path.suffix}"))
    create_private_file(backup)
    with closing(sqlite3.connect(backup)) as copy:
        connection.backup(copy)
    with connection:
        for statement in missing:
            connection.execute(statement)


def _is_intact(path: Path) -> bool:
    """Return whether the file is a job store that this version reads, or new."""
    try:
        with closing(sqlite3.connect(path, timeout=10)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if version == SCHEMA_VERSION and verdict == "ok":
                _select_columns(connection)
            is_new = (
                version == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone()
            )
        return verdict == "ok" and (version == SCHEMA_VERSION or is_new)
    except sqlite3.OperationalError as cause:
        if any(sign in str(cause) for sign in ("locked", "unable to open", "full", "I/O")):
            raise
        return False
    except sqlite3.DatabaseError:
        return False


def _select_columns(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.OperationalError where a table or column is missing."""
    for table, columns in _COLUMNS.items():
        connection.execute(f"SELECT {', '.join(columns)} FROM {table} LIMIT 1")


def _set_aside(path: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = unique_path(path.with_name(f"{path.stem}.damaged-{stamp}{path.suffix}"))
    _move(path, aside)
    return aside


def _move(path: Path, target: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(target.with_name(target.name + suffix))


@lru_cache(maxsize=16)
def _describe(aside: Path, mtime_ns: int) -> SetAsideStore:
    version, jobs = 0, 0
    with suppress(sqlite3.Error, JobError):
        with closing(sqlite3.connect(f"{aside.absolute().as_uri()}?mode=ro", uri=True)) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
        jobs = len(read_taken_over(aside)[0])
    return SetAsideStore(path=aside, version=version, jobs=jobs)


def _decode_text(raw: bytes) -> str:
    """Decode the text of a column; a damaged one must not hide the other rows."""
    return raw.decode("utf-8", "replace")


def _iter_readable(db: sqlite3.Connection, query: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a query up to the first that is damaged."""
    db.row_factory = sqlite3.Row
    db.text_factory = _decode_text
    with suppress(sqlite3.DatabaseError):
        for row in db.execute(query):
            yield dict(row)
