"""Queues in a temporary folder, each with its own journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.serialization import to_dict
from jobs.models import Job
from jobs.queue import JobQueue
from jobs.store import JobStore
from jobs.task import get_task_name
from jobs.worker_process import WorkerProcess
from support.inline_worker import WorkerThread
from support.job_helpers import TASKS, Chore, bench


class Queue:
    """A runner, what it keeps, and what its chores left behind."""

    def __init__(self, folder: Path, *, inline: bool) -> None:
        self.folder = folder
        self.hands: list[WorkerProcess] = []
        self.journal = JobStore.open(folder / "journal.sqlite")
        self._inline = inline
        self.runner = JobQueue(TASKS, self.journal, self._hire)

    def _hire(self) -> WorkerProcess:
        work = bench(self.folder)
        hand = WorkerThread(work) if self._inline else WorkerProcess(work, self.folder / "w.log")
        self.hands.append(hand)
        return hand

    def submit(self, chore: Chore) -> Job:
        return self.runner.submit(get_task_name(TASKS, chore), to_dict(chore), chore.name)

    def run(self, chore: Chore) -> Job:
        return self.runner.wait(self.submit(chore).id, 60)

    def until(self, id: str, ready: Callable[[Job], bool]) -> Job:
        deadline = time.monotonic() + 60
        while not ready(job := self.runner.job(id)):
            assert time.monotonic() < deadline, job
            time.sleep(0.01)
        return job

    def go(self) -> None:
        (self.folder / "go").touch()

    @property
    def log(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()

    def close(self) -> None:
        self.runner.close()
        self.journal.close()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., Queue]]:
    """Make queues in one folder; all are closed at the end."""
    queues: list[Queue] = []

    def make(*, inline: bool = True, start: bool = True) -> Queue:
        queues.append(Queue(tmp_path, inline=inline))
        if start:
            queues[-1].runner.start()
        return queues[-1]

    yield make
    for queue in queues:
        queue.close()


@pytest.fixture
def queue(made: Callable[..., Queue]) -> Queue:
    """A queue whose worker is a thread."""
    return made()


@pytest.fixture
def real(made: Callable[..., Queue]) -> Queue:
    """A queue with a real worker process."""
    return made(inline=False)
