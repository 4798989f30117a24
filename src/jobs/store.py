"""The jobs on disk (SQLite): requests, takes, outcomes, and how long each stage took."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import Any

from core.files import unique_path
from core.serialization import from_dict, to_dict
from jobs.eta import StageTiming, TimingHistory
from jobs.models import FINAL_STATES, Job, JobError, JobFailure, JobProgress, JobState

SCHEMA_VERSION = 1
MAX_TIMINGS_PER_STAGE = 12  # older ones are not representative
MAX_FINISHED_JOBS = 500  # the newest are kept
UNREADABLE_JOB_MESSAGE = (
    "This job cannot be read: another version of Testudo wrote it, or it is damaged. Start it "
    "again."
)
_CREATE_TABLES_SQL = """
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
_JOB_COLUMNS = (
    "id, task, request, title, state, created, started, ended, progress, result, failure, turn"
)


class JobStore:
    """A SQLite file of jobs; safe to use from several threads of one process.

    Raises JobError where the disk refuses. damaged_file: where an unreadable file was moved.
    on_job_set_aside: called with a job that cannot be read, once, when it is marked as failed; its
    request is {} where that is what cannot be read.
    """

    def __init__(self, connection: sqlite3.Connection, damaged_file: Path | None) -> None:
        self._connection = connection
        self._lock = RLock()
        self.damaged_file = damaged_file
        self.on_job_set_aside: Callable[[Job], None] = lambda job: None

    @classmethod
    def open(cls, path: Path) -> JobStore:
        """Open the file, or create it; one that cannot be read is moved aside."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = None if _is_intact(path) else _move_damaged_file(path)
            return cls(_connect(path), aside)
        except (sqlite3.Error, OSError) as cause:
            raise JobError(
                f"The job list {path} cannot be written: {cause}. Free some space, or make the "
                "folder writable."
            ) from cause

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def add(self, job: Job) -> Job:
        """Append a new job to the queue."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO jobs (id, turn, number, task, request, title, state, created, origin)"
                " VALUES (?, (SELECT COALESCE(MAX(turn), 0) + 1 FROM jobs),"
                " (SELECT COALESCE(MAX(number), 0) + 1 FROM jobs), ?, ?, ?, ?, ?, ?)",
                (job.id, job.task, _to_json(job.request), job.title, job.state, job.created,
                 job.origin),
            )  # fmt: skip
        return self.job(job.id)

    def job(self, id: str) -> Job:
        """Return a job; raises JobError for an id that is none."""
        found = self._select_jobs("WHERE id = ?", (id,))
        if not found:
            raise JobError(f"There is no job {id[:40]!r}. It may be older than the job list.")
        return found[0]

    def jobs(self, limit: int) -> list[Job]:
        """Return the newest jobs, newest first."""
        return self._select_jobs("ORDER BY number DESC LIMIT ?", (limit,))

    def list_jobs_in_state(self, *states: JobState) -> list[Job]:
        """Return the jobs in these states, in the order of their turns."""
        marks = ", ".join("?" * len(states))
        return self._select_jobs(f"WHERE state IN ({marks}) ORDER BY turn", states)

    def next_waiting(self) -> Job | None:
        """Return the first waiting job."""
        while found := self._select_jobs("WHERE state = 'waiting' ORDER BY turn LIMIT 1", ()):
            if not found[0].is_over:  # over: it could not be read, and was set aside
                return found[0]
        return None

    def mark_running(self, id: str) -> int:
        """Mark a job as running; return how often it was started since its last take."""
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET state = 'running', started = COALESCE(started, ?), ended = NULL,"
                " attempts = attempts + 1 WHERE id = ?",
                (time.time(), id),
            )
            (attempts,) = db.execute("SELECT attempts FROM jobs WHERE id = ?", (id,)).fetchone()
        return int(attempts)

    def mark_ended(
        self,
        id: str,
        state: JobState,
        *,
        result: Mapping[str, Any] | None = None,
        failure: JobFailure | None = None,
        progress: JobProgress | None = None,
    ) -> None:
        """Write down how a job ended; the oldest of more than MAX_FINISHED_JOBS are deleted."""
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET state = ?, ended = ?, result = ?, failure = ?, progress = ?"
                " WHERE id = ?",
                (state, time.time(), _to_json(result), _to_json(failure), _to_json(progress), id),
            )
            deleted = db.execute(
                "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE state IN"
                " ('done', 'failed', 'stopped') ORDER BY ended DESC LIMIT -1 OFFSET ?)",
                (MAX_FINISHED_JOBS,),
            )
            if deleted.rowcount:
                db.execute("DELETE FROM said WHERE job NOT IN (SELECT id FROM jobs)")

    def attempts(self, id: str) -> int:
        """Return how often a job was started since its last take."""
        with self._locked_connection() as db:
            found = db.execute("SELECT attempts FROM jobs WHERE id = ?", (id,)).fetchone()
        return int(found[0]) if found else 0

    def requeue(self, id: str, *, at_end: bool, attempts: int) -> None:
        """Requeue a job: at the end of the queue or at its old position."""
        last = "(SELECT MAX(turn) + 1 FROM jobs)" if at_end else "turn"
        with self._transaction() as db:
            db.execute(
                f"UPDATE jobs SET state = 'waiting', turn = {last}, attempts = ?,"
                " ended = NULL, result = NULL, failure = NULL WHERE id = ?",
                (attempts, id),
            )

    def add_take(self, id: str, take: Mapping[str, Any]) -> bool:
        """Add a take, or replace the one with the same "index"; return whether it is new."""
        with self._transaction() as db:
            older = db.execute(
                "SELECT number FROM said WHERE job = ? AND kind = 'take'"
                " AND json_extract(data, '$.index') = ?",
                (id, take.get("index")),
            ).fetchone()
            if older is not None:
                db.execute("UPDATE said SET data = ? WHERE number = ?", (_to_json(take), *older))
                return False
            db.execute("UPDATE jobs SET attempts = 1 WHERE id = ?", (id,))
            self._insert_message(db, id, "take", take)
            return True

    def add_warning(self, id: str, message: str) -> None:
        """Add a warning, once."""
        with self._transaction() as db:
            known = db.execute(
                "SELECT 1 FROM said WHERE job = ? AND kind = 'warning' AND data = ?",
                (id, _to_json(message)),
            )
            if known.fetchone() is None:
                self._insert_message(db, id, "warning", message)

    def add_timings(self, work: str, stages: Mapping[str, StageTiming]) -> None:
        """Add how long each stage of some work took."""
        with self._transaction() as db:
            for stage, run in stages.items():
                db.execute(
                    "INSERT INTO runs (work, stage, seconds, units, reached)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (work, stage, run.seconds, run.units, 1.0),
                )
                db.execute(
                    "DELETE FROM runs WHERE work = ? AND stage = ? AND number NOT IN"
                    " (SELECT number FROM runs WHERE work = ? AND stage = ?"
                    " ORDER BY number DESC LIMIT ?)",
                    (work, stage, work, stage, MAX_TIMINGS_PER_STAGE),
                )

    def get_timings(self, work: str) -> TimingHistory:
        """Return the timings of earlier runs, stages in the order in which they come."""
        with self._locked_connection() as db:
            rows = db.execute(
                "SELECT stage, seconds, units FROM runs WHERE work = ? ORDER BY number", (work,)
            ).fetchall()
        found: dict[str, list[StageTiming]] = {}
        for stage, seconds, units in rows:
            found.setdefault(stage, []).append(StageTiming(seconds=seconds, units=units))
        return found

    def _select_jobs(self, where: str, values: Sequence[Any]) -> list[Job]:
        with self._locked_connection() as db:
            rows = db.execute(f"SELECT {_JOB_COLUMNS}, origin FROM jobs {where}", values).fetchall()
            turns = [turn for (turn,) in db.execute(
                "SELECT turn FROM jobs WHERE state = 'waiting' ORDER BY turn")]  # fmt: skip
            marks = ", ".join("?" * len(rows))
            said: dict[str, list[tuple[str, str]]] = {}
            for job, kind, data in db.execute(
                f"SELECT job, kind, data FROM said WHERE job IN ({marks}) ORDER BY number",
                [row[0] for row in rows],
            ):
                said.setdefault(job, []).append((kind, data))
        return [self._row_to_job(row, said.get(row[0], []), turns) for row in rows]

    def _row_to_job(
        self, row: Sequence[Any], events: Sequence[tuple[str, str]], turns: Sequence[int]
    ) -> Job:
        """Read a row. One that cannot be read is set aside: it failed, and no longer waits."""
        id, task, request, title, state, created, started, ended, *plain, turn, origin = row
        known = {"id": id, "task": task, "title": title, "created": created, "started": started,
                 "origin": origin or ""}  # fmt: skip
        try:
            progress, result, failure = (json.loads(text) if text else None for text in plain)
            messages = [(kind, json.loads(data)) for kind, data in events]
            return Job(
                **known,
                request=json.loads(request),
                state=state,
                ended=ended,
                progress=from_dict(JobProgress, progress) if progress else JobProgress(),
                result=result,
                failure=from_dict(JobFailure, failure) if failure else None,
                takes=tuple(data for kind, data in messages if kind == "take"),
                warnings=tuple(data for kind, data in messages if kind == "warning"),
                place=turns.index(turn) + 1 if state == "waiting" else 0,
            )
        except (ValueError, TypeError, KeyError):
            unreadable = JobFailure(cause="crashed", message=UNREADABLE_JOB_MESSAGE)
            if state in FINAL_STATES:
                failure = unreadable if state == "failed" else None
                return Job(**known, request={}, state=state, ended=ended, failure=failure)
            job = Job(**known, request={}, state="failed", ended=time.time(), failure=unreadable)
            self.mark_ended(id, "failed", failure=unreadable)
            self.on_job_set_aside(replace(job, request=_parse_request(request)))
            return job

    def _insert_message(self, db: sqlite3.Connection, id: str, kind: str, data: Any) -> None:
        db.execute(
            "INSERT INTO said (job, kind, data) VALUES (?, ?, ?)", (id, kind, _to_json(data))
        )

    @contextmanager
    def _locked_connection(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as cause:
                raise JobError(f"The job list cannot be used: {cause}.") from cause

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._locked_connection() as db, db:
            yield db


def read_open_requests(path: Path) -> list[str]:
    """Return the JSON requests of jobs that wait or run, also while another process has the store.

    Raises JobError for a file that cannot be read.
    """
    if not path.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            found = db.execute("SELECT request FROM jobs WHERE state IN ('waiting', 'running')")
            return [request for (request,) in found]
    except sqlite3.Error as cause:
        raise JobError(f"The list of jobs {path} cannot be read: {cause}.") from cause


def _parse_request(text: str) -> Mapping[str, Any]:
    try:
        request = json.loads(text)
    except (ValueError, TypeError):
        return {}
    return request if isinstance(request, dict) else {}


def _to_json(value: Any) -> str | None:
    return None if value is None else json.dumps(to_dict(value), ensure_ascii=False)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=10)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        with connection:
            connection.executescript(
                f"BEGIN; {_CREATE_TABLES_SQL} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
    _add_origin_column(connection)
    return connection


def _add_origin_column(connection: sqlite3.Connection) -> None:
    """Add the column that files of earlier versions lack; those versions ignore it."""
    names = [name for _, name, *_ in connection.execute("PRAGMA table_info(jobs)")]
    if "origin" not in names:
        with connection:
            connection.execute("ALTER TABLE jobs ADD COLUMN origin TEXT")


def _is_intact(path: Path) -> bool:
    """Return whether the file is a job store of this version, or does not exist."""
    if not path.exists():
        return True
    try:
        with closing(sqlite3.connect(path, timeout=10)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if version == SCHEMA_VERSION and verdict == "ok":
                connection.execute(f"SELECT {_JOB_COLUMNS}, attempts, number FROM jobs LIMIT 1")
                connection.execute("SELECT number, job, kind, data FROM said LIMIT 1")
                connection.execute(
                    "SELECT number, work, stage, seconds, units, reached FROM runs LIMIT 1"
                )
            is_new = (
                version == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone()
            )
        return verdict == "ok" and (version == SCHEMA_VERSION or is_new)
    except sqlite3.OperationalError as cause:
        if "locked" in str(cause) or "unable to open" in str(cause):
            raise
        return False
    except sqlite3.DatabaseError:
        return False


def _move_damaged_file(path: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = unique_path(path.with_name(f"{path.stem}.damaged-{stamp}{path.suffix}"))
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    return aside
