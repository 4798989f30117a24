"""The jobs on disk (SQLite): requests, takes, outcomes, and how long each stage took."""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import Any

from core.errors import describe_sqlite_error
from core.files import make_private_folder, parse_finite_json
from core.serialization import from_dict, to_dict
from jobs.eta import StageTiming, TimingHistory
from jobs.models import FINAL_STATES, Job, JobError, JobFailure, JobProgress, JobState
from jobs.store_file import connect, list_set_aside, mark_taken_over, read_taken_over

MAX_TIMINGS_PER_STAGE = 12  # older ones are not representative
MAX_WAITING_JOBS = 2_000  # a text may have 400,000 characters
MAX_FINISHED_JOBS = 500  # the newest are kept
UNREADABLE_JOB_MESSAGE = (
    "This job cannot be read: another version of Testudo wrote it, or it is damaged. Start it "
    "again."
)
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
        self._latest: list[Job] = []  # the newest jobs, until a change
        self._latest_limit = 0  # how many were asked for at most

    @classmethod
    def open(cls, path: Path) -> JobStore:
        """Open the file, or create it; one that cannot be read is moved aside."""
        try:
            make_private_folder(path.parent)
            return cls(*connect(path))
        except (sqlite3.Error, OSError) as cause:
            reason = describe_sqlite_error(cause) if isinstance(cause, sqlite3.Error) else cause
            raise JobError(
                f"The job list {path} cannot be written: {reason}. Free some space, or make the "
                "folder writable."
            ) from cause

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def add(self, job: Job) -> Job:
        """Append a new job to the queue; raises JobError for a full one."""
        with self._transaction() as db:
            (waiting,) = db.execute("SELECT COUNT(*) FROM jobs WHERE state = 'waiting'").fetchone()
            if waiting >= MAX_WAITING_JOBS:
                raise JobError(
                    f"{MAX_WAITING_JOBS:,} jobs wait already, the most that the queue takes. Wait "
                    "until some have ended, or cancel them.",
                    code="queue_full",
                )
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
        """Return the newest jobs, newest first; read from the file only after a change."""
        with self._lock:
            if limit > self._latest_limit:
                self._latest = self._select_jobs("ORDER BY number DESC LIMIT ?", (limit,))
                self._latest_limit = limit
            return self._latest[:limit]

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
                " progress = NULL, attempts = attempts + 1 WHERE id = ?",
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

    def mark_begun(self, id: str) -> None:
        """Write down that the worker has begun a running job."""
        with self._transaction() as db:
            begun = _to_json(JobProgress(stage="starting"))
            db.execute("UPDATE jobs SET progress = ? WHERE id = ?", (begun, id))

    def has_begun(self, id: str) -> bool:
        """Return whether the worker had begun a job that is marked as running."""
        with self._locked_connection() as db:
            found = db.execute("SELECT progress FROM jobs WHERE id = ?", (id,)).fetchone()
        return found is not None and found[0] is not None

    def take_over(self, path: Path) -> int:
        """Add the jobs of the files that were set aside beside `path`; return how many.

        Jobs that waited or ran wait again, after those that are here. Files without a readable job
        stay. Raises JobError where there is nothing to take over.
        """
        found = [aside for aside in list_set_aside(path) if aside.jobs]
        if not found:
            raise JobError("There is no job list that was set aside and has readable jobs.")
        added = 0
        for aside in found:
            jobs, said = read_taken_over(aside.path)
            with self._transaction() as db:
                known = {id for (id,) in db.execute("SELECT id FROM jobs")}
                new = {job["id"]: job for job in jobs if job["id"] not in known}
                for job in new.values():
                    is_over = job["state"] in FINAL_STATES
                    values = {**job, "state": job["state"] if is_over else "waiting"}
                    db.execute(
                        f"INSERT INTO jobs ({', '.join(values)}, turn, number) VALUES"
                        f" ({', '.join(f':{name}' for name in values)},"
                        " (SELECT COALESCE(MAX(turn), 0) + 1 FROM jobs),"
                        " (SELECT COALESCE(MAX(number), 0) + 1 FROM jobs))",
                        values,
                    )
                db.executemany(
                    "INSERT INTO said (job, kind, data) VALUES (?, ?, ?)",
                    [row for row in said if row[0] in new],
                )
            mark_taken_over(aside.path)
            added += len(new)
        return added

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

    def move(self, id: str, place: int) -> None:
        """Put a waiting job at a place in the queue, from 1; raises JobError for any other job."""
        waiting = [job.id for job in self.list_jobs_in_state("waiting")]
        if id not in waiting:
            raise JobError("This job does not wait any more, so it cannot be moved.")
        order = [other for other in waiting if other != id]
        order.insert(max(0, place - 1), id)
        with self._transaction() as db:
            turns = [turn for (turn,) in db.execute(
                "SELECT turn FROM jobs WHERE state = 'waiting' ORDER BY turn")]  # fmt: skip
            rows = zip(turns, order, strict=True)
            db.executemany("UPDATE jobs SET turn = ? WHERE id = ?", rows)

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
        times = {"created": created, "started": started, "ended": ended}
        try:
            progress, result, failure = (
                parse_finite_json(text) if text else None for text in plain
            )
            messages = [(kind, parse_finite_json(data)) for kind, data in events]
            values = {
                **{"id": id, "task": task, "title": title, "state": state, "origin": origin or ""},
                **times,
                **({"progress": progress} if progress else {}),
                "request": parse_finite_json(request),
                "result": result,
                "failure": failure or None,
                "takes": [data for kind, data in messages if kind == "take"],
                "warnings": [data for kind, data in messages if kind == "warning"],
                "place": turns.index(turn) + 1 if state == "waiting" else 0,
            }
            if not all(value is None or math.isfinite(value) for value in times.values()):
                raise ValueError("a time is not finite")
            return from_dict(Job, values)
        except (ValueError, TypeError):
            return self._set_aside(dict(zip(_JOB_COLUMNS.split(", "), row, strict=False)))

    def _set_aside(self, row: Mapping[str, Any]) -> Job:
        """Return what can be shown of a row that cannot be read; mark one that is not over."""
        state = row["state"]
        unreadable = JobFailure(cause="crashed", message=UNREADABLE_JOB_MESSAGE)
        is_over = state in FINAL_STATES
        times = {name: _to_seconds(row[name]) for name in ("created", "started", "ended")}
        job = Job(
            id=_to_text(row["id"]),
            task=_to_text(row["task"]),
            title=_to_text(row["title"]),
            request={},
            state=state if is_over else "failed",
            created=times["created"] or 0.0,
            started=times["started"],
            ended=times["ended"] if is_over else time.time(),
            failure=None if state in ("done", "stopped") else unreadable,
        )
        if not is_over:
            self.mark_ended(row["id"], "failed", failure=unreadable)
            self.on_job_set_aside(replace(job, request=_parse_request(row["request"])))
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
                raise JobError(
                    f"The job list cannot be used: {describe_sqlite_error(cause)}."
                ) from cause

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._locked_connection() as db, db:
            self._latest, self._latest_limit = [], 0
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


def _to_seconds(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and math.isfinite(value)
    return float(value) if is_number else None


def _to_text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _parse_request(text: str) -> Mapping[str, Any]:
    try:
        request = parse_finite_json(text)
    except (ValueError, TypeError):
        return {}
    return request if isinstance(request, dict) else {}


def _to_json(value: Any) -> str | None:
    return None if value is None else json.dumps(to_dict(value), ensure_ascii=False)
