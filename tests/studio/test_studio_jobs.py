"""What every door relies on: requests become jobs that survive the worker and the studio."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from core.serialization import to_dict
from jobs.models import Job
from studio.app.studio import Studio
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechRequest
from studio.synthesis.output_paths import reserve_output_path
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from support.fake_engine_process import WORKSHOP, spoken
from support.inline_worker import InlineStudio

HERE = Path(__file__).resolve().parent
PATIENCE_S = 240.0  # a worker imports torch, which a busy machine takes its time for

SERVER = f"""
import json, sys, time
sys.path[:0] = {[str(HERE.parent), str(HERE.parents[1] / "src")]!r}
import studio.app.job_service
from pathlib import Path
from core.serialization import from_dict
from studio.schemas.speech import SpeechRequest
from studio.app.studio import Studio
studio.app.job_service.CONTEXT_FACTORY = {WORKSHOP!r}
root, request = sys.argv[1:]
job = Studio.open(Path(root)).submit(from_dict(SpeechRequest, json.loads(request)))
sys.stdout.write(job.id + "\\n")
sys.stdout.flush()
time.sleep(600)
"""


@pytest.fixture
def opened(layout: ProjectPaths) -> Iterator[Studio]:
    """A studio whose jobs run in a thread of this process."""
    made = InlineStudio(layout, Settings())
    yield made
    made.close()


@pytest.fixture
def real(layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Studio]]:
    """Open studios with a worker process that hums."""
    monkeypatch.setattr("studio.app.job_service.CONTEXT_FACTORY", WORKSHOP)
    made: list[Studio] = []

    def open_one() -> Studio:
        made.append(Studio(layout, Settings()))
        return made[-1]

    yield open_one
    for one in made:
        one.close()


def ask(layout: ProjectPaths, text: str, **options: Any) -> SpeechRequest:
    wish = SpeechRequestInput(
        text=text, voice="alice", delivery={"delimiter": "|"}, options=options
    )
    return build_request(Settings(), wish, layout)


def until(studio: Studio, id: str, ready: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + PATIENCE_S
    while not ready(job := studio.job(id)):
        assert time.monotonic() < deadline and not job.is_over, job
        time.sleep(0.02)
    return job


def test_a_submitted_text_is_spoken_where_the_job_says(
    opened: Studio, layout: ProjectPaths
) -> None:
    job = opened.submit(ask(layout, "Good evening.|And good night."), title="evening")
    done = opened.wait(job.id, 60)
    assert done.state == "done" and done.result is not None and done.title == "evening"
    assert done.result["path"] == done.request["out"] and Path(done.request["out"]).is_file()
    assert [take["text"] for take in done.takes] == ["Good evening.", "And good night."]
    assert all(Path(take["path"]).is_file() for take in done.takes)
    assert opened.jobs() == [done] and opened.job(done.id) == done


def test_every_job_has_a_file_of_its_own_before_it_runs(
    opened: Studio, layout: ProjectPaths
) -> None:
    jobs = [opened.submit(ask(layout, "The same words.")) for _ in range(3)]
    assert len({job.request["out"] for job in jobs}) == 3
    for job in jobs:
        assert opened.wait(job.id, 60).state == "done"


def test_the_reserved_name_of_a_job_that_is_set_aside_is_released(
    opened: Studio, layout: ProjectPaths
) -> None:
    poison = opened.submit(ask(layout, "Good evening."))
    opened.close()
    destination = reserve_output_path(layout, "alice", "Good night.", "wav")
    with sqlite3.connect(layout.jobs_db) as connection:
        connection.execute(
            "UPDATE jobs SET state = 'waiting', progress = '[1]',"
            " request = json_set(request, '$.out', ?)",
            (str(destination.clip_path),),
        )
    connection.close()
    assert destination.lines_folder.is_dir()
    reopened = InlineStudio(layout, Settings())
    try:
        assert reopened.job(poison.id).state == "failed"
        assert not destination.lines_folder.exists()
    finally:
        reopened.close()


def test_a_refusal_is_a_failed_job_that_leaves_nothing_behind(
    opened: Studio, layout: ProjectPaths
) -> None:
    wish = SpeechRequestInput(text="Hello.", voice="nobody")
    job = opened.wait(opened.submit(build_request(Settings(), wish, layout)).id, 60)
    assert job.failure is not None and job.failure.cause == "missing_voice"
    assert "nobody" in job.failure.message and "Traceback" not in job.failure.message
    assert not list((layout.results / "nobody").iterdir())


def test_an_unknown_job_and_an_unknown_request_are_refused(opened: Studio) -> None:
    with pytest.raises(AppError, match="There is no job 'x'"):
        opened.job("x")
    with pytest.raises(AppError, match="There is no task for a dict"):
        opened.submit({"text": "hello"})


def test_a_second_studio_over_the_same_folder_is_refused_until_the_first_is_closed(
    opened: Studio, layout: ProjectPaths
) -> None:
    opened.start()
    other = InlineStudio(layout, Settings())
    with pytest.raises(AppError, match="already open in another process") as refusal:
        other.jobs()
    assert refusal.value.code == "busy"
    opened.close()
    assert other.jobs() == []
    other.close()
    with pytest.raises(AppError, match="The studio is closed"):
        other.jobs()


def test_many_threads_may_ask_at_once(opened: Studio, layout: ProjectPaths) -> None:
    ids: list[str] = []

    def ask_one(number: int) -> None:
        ids.append(opened.submit(ask(layout, f"Number {number}.")).id)
        opened.jobs()

    threads = [Thread(target=ask_one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {opened.wait(id, 60).state for id in ids} == {"done"}


def test_the_time_is_reported_once_something_like_it_was_spoken(
    opened: Studio, layout: ProjectPaths
) -> None:
    request = ask(layout, "How long will this take?")
    assert opened.estimate_stage_seconds(request) is None
    opened.wait(opened.submit(request).id, 60)
    expected = opened.estimate_stage_seconds(request)
    assert expected is not None and set(expected) >= {"draft"} and "load" not in expected
    assert all(seconds >= 0 for seconds in expected.values())


def test_a_damaged_list_of_jobs_is_set_aside_and_reported(layout: ProjectPaths) -> None:
    layout.jobs_db.parent.mkdir(parents=True)
    layout.jobs_db.write_bytes(b"no database at all" * 400)
    opened = InlineStudio(layout, Settings())
    assert opened.jobs() == []
    assert opened.unreadable_job_store is not None and opened.unreadable_job_store.exists()
    opened.close()


def test_a_worker_that_is_killed_mid_way_costs_no_line(
    real: Callable[[], Studio], layout: ProjectPaths
) -> None:
    opened = real()
    job = opened.submit(ask(layout, "The first.|A deadly one.|The third."))
    done = opened.wait(job.id, PATIENCE_S)
    assert done.state == "done" and len(done.takes) == 3
    assert spoken(layout.root) == ["The first.", "A deadly one.", "A deadly one.", "The third."]
    assert any("SIGKILL" in warning for warning in done.warnings)


def test_stop_frees_the_worker_though_a_line_is_stuck(
    real: Callable[[], Studio], layout: ProjectPaths
) -> None:
    opened = real()
    job = opened.submit(ask(layout, "The first.|A stuck one.|The third."))
    until(opened, job.id, lambda job: len(job.takes) == 1 and len(spoken(layout.root)) == 2)
    opened.cancel(job.id)
    stopped = opened.wait(job.id, PATIENCE_S)
    assert stopped.state == "stopped"
    assert len(stopped.takes) == 1 and Path(stopped.takes[0]["path"]).is_file()


def test_a_studio_that_is_killed_goes_on_at_the_next_unspoken_line_when_it_is_opened_again(
    real: Callable[[], Studio], layout: ProjectPaths
) -> None:
    request = json.dumps(to_dict(ask(layout, "The first.|A patient one.|Last.")))
    command = [sys.executable, "-c", SERVER, str(layout.root), request]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        id = server.stdout.readline().strip()
        deadline = time.monotonic() + PATIENCE_S
        while len(spoken(layout.root)) < 2:
            assert time.monotonic() < deadline and server.poll() is None
            time.sleep(0.02)
        workers = children_of(server.pid)
        with pytest.raises(AppError, match="already open"):
            real().jobs()
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
        server.stdout.close()
    gone_by = time.monotonic() + PATIENCE_S
    while any(Path(f"/proc/{worker}/cmdline").exists() for worker in workers):
        assert time.monotonic() < gone_by, "the worker outlives its studio"
        time.sleep(0.02)
    (layout.root / "go").touch()
    done = real().wait(id, PATIENCE_S)
    assert done.state == "done" and len(done.takes) == 3
    assert spoken(layout.root) == ["The first.", "A patient one.", "A patient one.", "Last."]


def children_of(pid: int) -> list[int]:
    """The processes that a process started, as far as this system tells."""
    task = Path(f"/proc/{pid}/task")
    if not task.is_dir():
        pytest.skip(f"{os.name} does not say which processes a process started")
    return [int(one) for path in task.glob("*/children") for one in path.read_text().split()]
