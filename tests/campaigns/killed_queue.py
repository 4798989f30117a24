"""A queue of many jobs that is ended while it works: order and requests are kept."""

from __future__ import annotations

import io
import os
import random
import signal
import sys
import threading
from pathlib import Path

from campaigns.figures import Figures
from campaigns.processes import run_until_killed
from core.serialization import to_dict
from jobs.queue import JobQueue
from jobs.store import JobStore
from support.inline_worker import WorkerThread
from support.job_helpers import TASKS, Errand, bench

MAX_RESTARTS = 50


def end_queues(folder: Path, jobs: int, ends: int) -> Figures:
    """Submit jobs, then end the queue so many times by SIGKILL and SIGTERM, then let it finish."""
    folder.mkdir(parents=True, exist_ok=True)
    run_until_killed(_submit, (folder, jobs), None)
    chance, killed = random.Random("queue"), 0
    for number in range(ends):
        how = signal.SIGTERM if number % 2 else signal.SIGKILL
        killed += run_until_killed(_run, (folder, jobs, chance.uniform(0.2, 0.8), how), 30) is None
    run_until_killed(_run, (folder, jobs, None, signal.SIGTERM), None)
    return Figures(kills=ends, requests=jobs) + _count(folder, jobs)


def _queue(folder: Path) -> tuple[JobQueue, JobStore]:
    store = JobStore.open(folder / "journal.sqlite")
    return JobQueue(TASKS, store, lambda: WorkerThread(bench(folder))), store


def _submit(folder: Path, jobs: int) -> None:
    queue, store = _queue(folder)
    for number in range(jobs):
        errand = Errand(do="count", times=number % 5 + 1, name=f"job {number}")
        queue.submit("errand", to_dict(errand), errand.name)
    store.close()


def _run(folder: Path, jobs: int, end_after_s: float | None, how: signal.Signals) -> None:
    sys.stdout = io.StringIO()  # the errands print
    queue, store = _queue(folder)
    queue.start()
    if end_after_s is not None:
        if how == signal.SIGKILL:
            threading.Timer(end_after_s, lambda: os._exit(0)).start()
        else:
            threading.Event().wait(end_after_s)
            queue.close()
            store.close()
            return
    for job in reversed(queue.jobs(jobs)):
        queue.wait(job.id, 60)
    queue.close()
    store.close()


def _count(folder: Path, jobs: int) -> Figures:
    queue, store = _queue(folder)
    found = list(reversed(queue.jobs(jobs * 2)))
    store.close()
    begun = [
        line.removeprefix("begin ")
        for line in (folder / "log").read_text().splitlines()
        if line.startswith("begin ")
    ]
    order = list(dict.fromkeys(begun))
    wanted = [f"job {number}" for number in range(jobs)]
    kept = [dict(job.request).get("times") for job in found]
    assert order == wanted, "the order changed"
    assert kept == [number % 5 + 1 for number in range(jobs)], "a request changed"
    done = [job.title for job in found if job.state == "done"]
    return Figures(lost=jobs - len(set(done)), doubled=len(found) - jobs)
