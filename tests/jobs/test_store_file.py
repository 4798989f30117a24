"""A list of jobs that this version cannot read is reported, kept, and can be taken over."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from core.serialization import to_dict
from jobs.models import Job, JobError
from jobs.store import JobStore
from jobs.store_file import MIGRATIONS, SCHEMA_VERSION, list_set_aside

JOB = Job(id="one", task="chore", request={"a": 1}, title="t", state="waiting", created=1.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


def fill(path: Path, jobs: int = 50) -> None:
    store = JobStore.open(path)
    for number in range(jobs):
        store.add(replace(JOB, id=str(number)))
    store.mark_running("0")
    store.add_take("0", {"index": 0})
    store.mark_ended("1", "done", result={"path": "x"})
    store.close()


def run_sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(statement)


def test_a_list_of_a_newer_version_is_reported_and_its_jobs_are_taken_over(path: Path) -> None:
    fill(path)
    run_sql(path, "ALTER TABLE jobs ADD COLUMN later TEXT", "PRAGMA user_version = 7")
    store = JobStore.open(path)
    store.add(replace(JOB, id="new"))
    (aside,) = list_set_aside(path)
    assert (aside.version, aside.jobs) == (7, 50)
    assert "one of a newer version of Testudo (format 7, this version reads 1)" in aside.message
    assert "50 jobs in it can be taken over" in aside.message
    assert store.take_over(path) == 50 and list_set_aside(path) == []
    waiting = store.list_jobs_in_state("waiting")
    assert [job.id for job in waiting[:3]] == ["new", "0", "2"] and len(waiting) == 50
    assert store.job("0").takes == ({"index": 0},) and store.job("1").result == {"path": "x"}
    with pytest.raises(JobError, match="no job list that was set aside"):
        store.take_over(path)


def test_of_a_damaged_list_the_readable_jobs_are_taken_over(path: Path) -> None:
    fill(path, 400)
    content = bytearray(path.read_bytes())
    content[-12_000:-8_000] = b"\xff" * 4_000
    path.write_bytes(content)
    store = JobStore.open(path)
    (aside,) = list_set_aside(path)
    assert "a damaged one was kept as state/journal.damaged-" in aside.message
    assert 0 < aside.jobs <= 400 and store.take_over(path) == aside.jobs
    assert len(store.jobs(500)) == aside.jobs


@pytest.mark.parametrize("value", ["NULL", "'x'", "x'ff'", "9e999", "CAST(x'ff' AS TEXT)"])
def test_what_is_taken_over_can_be_listed_whatever_its_columns_hold(value: str, path: Path) -> None:
    fill(path, 3)
    columns = ("id TEXT", "turn", "number", "task", "request", "title", "state", "created")
    columns += ("started", "ended", "progress", "result", "failure", "attempts", "origin")
    names = ", ".join(column.split()[0] for column in columns)
    changed = ("title", "created", "started", "ended", "result", "failure", "origin")
    run_sql(
        path,
        "ALTER TABLE jobs RENAME TO old",
        f"CREATE TABLE jobs ({', '.join(columns)})",  # any value in any column
        f"INSERT INTO jobs ({names}) SELECT {names} FROM old",
        f"UPDATE jobs SET {', '.join(f'{name} = {value}' for name in changed)} WHERE id = '2'",
        "CREATE TABLE notes (number, job, kind, data)",
        f"INSERT INTO notes VALUES (1, '2', 'take', {value}), (2, '2', {value}, '1')",
        "DROP TABLE said",
        "ALTER TABLE notes RENAME TO said",
        "PRAGMA user_version = 7",
    )
    store = JobStore.open(path)
    assert store.take_over(path) == 3
    assert sorted(job.id for job in store.jobs(9)) == ["0", "1", "2"]
    json.dumps(to_dict(store.jobs(9)), allow_nan=False)
    assert store.next_waiting() is not None


def test_a_file_without_readable_jobs_is_kept_and_not_offered(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 999)
    store = JobStore.open(path)
    (aside,) = list_set_aside(path)
    assert aside.jobs == 0 and aside.message.endswith("None of its jobs can be read.")
    with pytest.raises(JobError, match="no job list that was set aside"):
        store.take_over(path)
    assert aside.path.is_file()


@pytest.mark.parametrize("first", range(len(MIGRATIONS)))
def test_every_earlier_file_is_copied_before_it_is_migrated(path: Path, first: int) -> None:
    fill(path)
    for table, column, _ in MIGRATIONS[first:]:
        run_sql(path, f"ALTER TABLE {table} DROP COLUMN {column}")
    for _ in range(2):
        store = JobStore.open(path)
        assert store.damaged_file is None and len(store.jobs(99)) == 50
        assert [job.origin for job in store.jobs(1)] == [""]
        store.close()
    (backup,) = path.parent.glob("journal.backup-*.sqlite")
    with closing(sqlite3.connect(backup)) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(jobs)")]
        assert db.execute("SELECT count(*) FROM jobs").fetchone() == (50,)
    assert MIGRATIONS[first][1] not in columns
    assert SCHEMA_VERSION == 1, "a new version needs a migration from each earlier one, and a test"


def test_the_list_is_closed_to_other_users_and_flushed_at_each_commit(path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    path.touch(mode=0o644)
    store = JobStore.open(path)
    store.add(JOB)
    assert path.parent.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in path.parent.iterdir())
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_a_list_is_read_from_the_file_only_after_a_change(path: Path) -> None:
    store = JobStore.open(path)
    store.add(JOB)
    queries: list[str] = []
    store._connection.set_trace_callback(queries.append)
    for _ in range(60):
        assert [job.id for job in store.jobs(50)] == ["one"]
    assert len(queries) <= 3
    store.add(replace(JOB, id="two"))
    assert [job.id for job in store.jobs(50)] == ["two", "one"]
    store.mark_running("one")
    assert store.jobs(50)[1].state == "running"


def test_lists_of_any_length_share_the_jobs_that_were_read(path: Path) -> None:
    store = JobStore.open(path)
    for number in range(40):
        store.add(replace(JOB, id=str(number)))
    lists = [store.jobs(limit) for limit in (40, *range(1, 60))]
    assert [len(jobs) for jobs in lists] == [40, *range(1, 41), *[40] * 19]
    queries: list[str] = []
    store._connection.set_trace_callback(queries.append)
    lists += [store.jobs(limit) for limit in range(1, 60)]
    assert queries == []
    assert len({id(job) for jobs in lists[60:] for job in jobs}) == 40


def test_a_full_disk_is_reported_in_a_sentence(path: Path) -> None:
    store = JobStore.open(path)
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JobError, match=r"cannot be used: the disk is full\.$"):
        for number in range(500):
            store.add(replace(JOB, id=str(number), title="x" * 999))
    assert store.jobs(1)[0].title == "x" * 999
