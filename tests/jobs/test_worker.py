"""What a worker says: everything that matters at once, and of progress what can be watched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.serialization import to_dict
from jobs.worker import DoneMessage, EventMessage, FailedMessage, RunCommand, Worker
from support.job_helpers import Chore, bench


def said_by(folder: Path, *chores: Chore) -> list[Any]:
    heard: list[Any] = []
    worker = Worker(bench(folder), heard.append)
    for chore in chores:
        worker.submit(RunCommand(task="chore", request=to_dict(chore)))
    worker.submit(None)
    worker.run()
    return heard


def test_progress_is_reported_seldom_but_where_a_stage_ends(tmp_path: Path) -> None:
    *events, done = said_by(tmp_path, Chore(do="flood"))
    counts = [message.event.done for message in events]
    assert counts[0] == 0 and counts[-1] == 20_000 and counts == sorted(counts)
    assert len(counts) < 40 and isinstance(done, DoneMessage)


def test_takes_and_warnings_are_reported_at_once_and_seconds_at_the_end(tmp_path: Path) -> None:
    *events, done = said_by(tmp_path, Chore(do="take", times=2))
    kinds = [message.event.kind for message in events]
    assert kinds.count("take") == 2 and kinds.count("warning") == 4
    assert done.timings.keys() == {"load", "draft"} and done.spent >= done.timings["draft"]


def test_one_job_after_another_is_answered(tmp_path: Path) -> None:
    heard = said_by(tmp_path, Chore(do="fail"), Chore(do="import"), Chore(times=1))
    answers = [message for message in heard if not isinstance(message, EventMessage)]
    assert [type(answer) for answer in answers] == [FailedMessage, FailedMessage, DoneMessage]
