"""The job list on disk: nothing in it is lost, and a damaged one does not stop the studio."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from core.serialization import from_dict, to_dict
from jobs.eta import StageTiming
from jobs.models import Job, JobError, JobFailure, JobProgress
from jobs.store import MAX_TIMINGS_PER_STAGE, JobStore
from jobs.store_file import PAGE_CACHE_KB

JOB = Job(id="one", task="chore", request={"a": [1, "ä"]}, title="t", state="waiting", created=1.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


def test_a_job_reads_back_as_it_was_written_after_the_file_was_closed(path: Path) -> None:
    journal = JobStore.open(path)
    assert journal.add(JOB) == replace(JOB, place=1)
    journal.mark_running("one")
    journal.add_take("one", {"index": 0, "path": "p"})
    journal.add_warning("one", "careful")
    failure = JobFailure(cause="crashed", message="m", details="d")
    journal.mark_ended(
        "one", "failed", failure=failure, progress=JobProgress(stage="draft", done=2)
    )
    journal.close()
    job = JobStore.open(path).job("one")
    assert job.request == {"a": [1, "ä"]} and job.failure == failure
    assert job.progress.done == 2 and job.takes == ({"index": 0, "path": "p"},)
    assert job.warnings == ("careful",) and job.started is not None and job.ended is not None


def test_a_take_that_was_spoken_again_stands_in_the_place_of_the_first(path: Path) -> None:
    journal = JobStore.open(path)
    journal.add(JOB)
    for index, file in ((0, "a"), (1, "b"), (0, "c")):
        journal.add_take("one", {"index": index, "path": file})
    assert [take["path"] for take in journal.job("one").takes] == ["c", "b"]


def test_a_job_that_waits_again_is_last_or_keeps_its_place(path: Path) -> None:
    journal = JobStore.open(path)
    for name in "abc":
        journal.add(replace(JOB, id=name))
    journal.mark_running("a")
    journal.requeue("a", at_end=False, attempts=1)
    assert [job.id for job in journal.list_jobs_in_state("waiting")] == ["a", "b", "c"]
    journal.mark_ended("a", "stopped")
    journal.requeue("a", at_end=True, attempts=0)
    assert [job.id for job in journal.list_jobs_in_state("waiting")] == ["b", "c", "a"]
    assert [job.id for job in journal.jobs(9)] == ["c", "b", "a"], "listed by when they came"


def test_a_store_without_origins_is_used_on_and_its_jobs_have_none(path: Path) -> None:
    store = JobStore.open(path)
    store.add(JOB)
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE jobs DROP COLUMN origin")
    connection.close()
    store = JobStore.open(path)
    assert store.damaged_file is None and store.job("one") == replace(JOB, place=1)
    store.add(replace(JOB, id="two", origin="utilities"))
    store.close()
    assert [job.origin for job in JobStore.open(path).jobs(9)] == ["utilities", ""]


def test_attempts_are_counted_until_the_work_gets_on(path: Path) -> None:
    journal = JobStore.open(path)
    journal.add(JOB)
    assert [journal.mark_running("one") for _ in range(3)] == [1, 2, 3]
    journal.add_take("one", {"index": 0})
    assert journal.attempts("one") == 1


def test_of_each_stage_only_the_latest_runs_are_kept(path: Path) -> None:
    journal = JobStore.open(path)
    for number in range(MAX_TIMINGS_PER_STAGE + 5):
        run = StageTiming(seconds=float(number))
        journal.add_timings("speak", {"draft": run, "vocode": StageTiming(seconds=1.0, units=2.0)})
    runs = journal.get_timings("speak")
    assert list(runs) == ["draft", "vocode"] and len(runs["draft"]) == MAX_TIMINGS_PER_STAGE
    assert runs["draft"][-1] == run and journal.get_timings("other") == {}


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"this is no database, whatever its name says" * 99),
        lambda path: path.write_bytes(path.read_bytes()[:5000] + b"\xff" * 9000),
        lambda path: sqlite3.connect(path).execute("DROP TABLE said"),
        lambda path: sqlite3.connect(path).execute("PRAGMA user_version = 99"),
    ],
    ids=["no database", "torn pages", "no table", "of a later version"],
)
def test_a_file_that_cannot_be_used_is_kept_beside_a_new_one(path: Path, damage: object) -> None:
    journal = JobStore.open(path)
    for number in range(50):
        journal.add(replace(JOB, id=str(number)))
    journal.close()
    assert callable(damage)
    damage(path)
    damaged = path.read_bytes()
    journal = JobStore.open(path)
    assert journal.jobs(9) == [] and journal.add(JOB).place == 1
    assert journal.damaged_file is not None and journal.damaged_file.read_bytes() == damaged
    assert journal.damaged_file.name.startswith("journal.damaged-")


def test_a_sound_or_empty_file_is_not_set_aside(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    for _ in range(2):
        journal = JobStore.open(path)
        journal.close()
        assert journal.damaged_file is None


def test_a_place_that_cannot_be_written_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    with pytest.raises(JobError, match=r"job list .* cannot be written: .*Free some space"):
        JobStore.open(tmp_path / "state" / "journal.sqlite")


def test_many_threads_write_at_once_and_nothing_is_lost(path: Path) -> None:
    journal = JobStore.open(path)

    def add(name: str) -> None:
        for number in range(20):
            journal.add(replace(JOB, id=f"{name}{number}"))

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    jobs = journal.list_jobs_in_state("waiting")
    assert len(jobs) == 80 and [job.place for job in jobs] == list(range(1, 81))


def write_progress(path: Path, id: str, progress: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE jobs SET progress = ? WHERE id = ?", (progress, id))
    connection.close()


@pytest.mark.parametrize("progress", ['{"stage": "draft", "mood": "new"}', "{", "[1]"])
def test_a_waiting_job_that_cannot_be_read_fails_with_a_message(path: Path, progress: str) -> None:
    store = JobStore.open(path)
    store.add(JOB)
    store.add(replace(JOB, id="two"))
    write_progress(path, "one", progress)
    following = store.next_waiting()
    assert following is not None and (following.id, following.place) == ("two", 1)
    failed = store.job("one")
    assert failed.state == "failed" and failed.failure is not None and failed.title == JOB.title
    assert "cannot be read" in failed.failure.message
    assert [job.id for job in store.jobs(9)] == ["two", "one"]


COLUMNS = ("task", "request", "title", "state", "created", "started", "ended", "progress",
           "result", "failure", "turn", "origin")  # fmt: skip
ODD_VALUES = (
    *("'x'", "''", "x'ff00'", "CAST(x'ff' AS TEXT)", "9e999", "-1", "'null'", "'[1]'", "'{}'"),
    *("""'{"a": NaN}'""", """'{"a": 1e999}'""", """'{"fraction": Infinity}'"""),
    *(f"'{'[' * 20_000}'", """'{"message": 7, "cause": "x"}'"""),
)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("state", ["waiting", "running", "done", "failed"])
def test_an_odd_value_in_any_column_hides_no_other_job(
    column: str, state: str, tmp_path: Path
) -> None:
    for number, value in enumerate(ODD_VALUES):
        store = JobStore.open(tmp_path / f"{number}.sqlite")
        for name in ("odd", "plain"):
            store.add(replace(JOB, id=name))
        if state == "running":
            store.mark_running("odd")
        elif state != "waiting":
            store.mark_ended("odd", state)  # type: ignore[arg-type]
        with suppress(sqlite3.IntegrityError):  # the column allows no such value
            store._connection.execute(f"UPDATE jobs SET {column} = {value} WHERE id = 'odd'")
        store._connection.commit()
        plain, odd = store.jobs(9)
        assert (plain.id, odd.id, plain.request) == ("plain", "odd", JOB.request), value
        told = json.dumps(to_dict([plain, odd]), allow_nan=False)
        assert from_dict(Job, json.loads(told)[1]).id == "odd", value
        assert {job.id for job in store.list_jobs_in_state("waiting")} >= {"plain"}
        assert store.next_waiting() is not None
        store.close()


@pytest.mark.parametrize("data", ODD_VALUES)
def test_an_odd_take_or_warning_hides_no_other_job(data: str, path: Path) -> None:
    store = JobStore.open(path)
    for name in ("odd", "plain"):
        store.add(replace(JOB, id=name))
        store.add_take(name, {"index": 0})
        store.add_warning(name, "careful")
    store._connection.execute(f"UPDATE said SET data = {data} WHERE job = 'odd'")
    store._connection.commit()
    plain, odd = store.jobs(9)
    assert plain.takes == ({"index": 0},) and odd.id == "odd"
    json.dumps(to_dict([plain, odd]), allow_nan=False)


def test_a_finished_job_of_a_newer_version_is_still_listed(path: Path) -> None:
    store = JobStore.open(path)
    store.add(JOB)
    store.mark_ended("one", "done", result={"a": 1})
    write_progress(path, "one", '{"mood": "new"}')
    assert [job.state for job in store.jobs(9)] == ["done"]


def test_a_full_queue_takes_no_job_until_one_has_ended(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.store.MAX_WAITING_JOBS", 2)
    store = JobStore.open(path)
    for name in "ab":
        store.add(replace(JOB, id=name))
    with pytest.raises(JobError, match="2 jobs wait already") as refusal:
        store.add(replace(JOB, id="c"))
    assert refusal.value.code == "queue_full"
    store.mark_running("a")
    store.add(replace(JOB, id="c"))
    assert [job.id for job in store.jobs(9)] == ["c", "b", "a"]


def test_only_the_newest_finished_jobs_are_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.store.MAX_FINISHED_JOBS", 2)
    store = JobStore.open(path)
    for name in ("waits", "runs", "a", "b", "c"):
        store.add(replace(JOB, id=name))
        store.add_warning(name, "careful")
    store.mark_running("runs")
    for name in ("b", "a", "c"):
        store.mark_ended(name, "done")
    assert [job.id for job in store.jobs(9)] == ["c", "a", "runs", "waits"]
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT COUNT(*) FROM said").fetchone() == (4,)
    connection.close()


def test_the_pages_of_many_jobs_do_not_stay_in_memory(path: Path) -> None:
    store = JobStore.open(path)
    (pages,) = store._connection.execute("PRAGMA cache_size").fetchone()
    assert pages == -PAGE_CACHE_KB and PAGE_CACHE_KB <= 256  # negative: in KB


def test_a_listing_takes_as_many_queries_for_many_jobs_as_for_one(path: Path) -> None:
    def count_queries() -> int:
        queries: list[str] = []
        store._connection.set_trace_callback(queries.append)
        store.jobs(50)
        store._connection.set_trace_callback(None)
        return len(queries)

    store = JobStore.open(path)
    store.add(JOB)
    few = count_queries()
    for number in range(20):
        store.add(replace(JOB, id=str(number)))
    assert count_queries() == few
