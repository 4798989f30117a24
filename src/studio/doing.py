"""The studio's queue: made when first needed, held by one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from jobs.job import Job, JobError
from jobs.journal import Journal
from jobs.plain import to_plain
from jobs.process import Hand, WorkerProcess, WorkerThread
from jobs.runner import Runner
from jobs.task import name_of_task
from jobs.worker import Bench
from studio.errors import StudioError
from studio.layout import Layout
from studio.results import Destination, reserved_destination
from studio.settings import Settings
from studio.speaking import SpeakRequest
from studio.voices import folder_name
from studio.work import TASKS

WORKSHOP, EXPLAIN = "studio.tasks.workshop:open_workshop", "studio.work:failure_of"


class Doing:
    """A runner and the lock that says whose it is."""

    def __init__(self, layout: Layout, settings: Callable[[], Settings], *, inline: bool) -> None:
        """Take the queue of this folder and begin to serve it.

        inline: the worker is a thread of this process, for tests.
        Raises StudioError where another studio has it.
        """
        self._layout = layout
        self._lock = _locked(layout.journal.with_suffix(".lock"), layout.root)
        try:
            self.journal = Journal.open(layout.journal)
        except JobError:
            self._lock.release()
            raise
        tasks = {name: (task.request, task.run) for name, task in TASKS.items()}

        def hire() -> Hand:
            setting = {"layout": to_plain(layout), "settings": to_plain(settings())}
            bench = Bench(workshop=WORKSHOP, setting=setting, tasks=tasks, explain=EXPLAIN)
            return (
                WorkerThread(bench) if inline else WorkerProcess(bench, layout.state / "worker.log")
            )

        self.runner = Runner(TASKS, self.journal, hire, give_name_back)
        self.runner.start()

    def submit(self, request: Any, title: str) -> Job:
        """Put a request into the queue.  Raises StudioError where no task takes it."""
        task = name_of_task(TASKS, request)
        if not isinstance(request, SpeakRequest) or request.out is not None:
            return self.runner.submit(task, to_plain(request), title)
        place = folder_name(request.voice), request.text, request.delivery.format
        destination = reserved_destination(self._layout, *place)
        try:
            request = replace(request, out=str(destination.final.absolute()))
            return self.runner.submit(task, to_plain(request), title)
        except JobError:
            destination.release()
            raise

    def expected_s(self, request: Any) -> Mapping[str, float] | None:
        """Say how many seconds each stage of a request will take; None if nothing is known."""
        return self.runner.expected_s(name_of_task(TASKS, request), to_plain(request))

    def close(self) -> None:
        """End the worker and let another studio have the queue."""
        self.runner.close()
        self.journal.close()
        self._lock.release()


def give_name_back(job: Job) -> None:
    """Free the name that was reserved for a clip, should nothing have come of it."""
    if job.is_over and job.request.get("out"):
        Destination(final=Path(job.request["out"])).release()


def _locked(path: Path, root: Path) -> FileLock:
    lock = FileLock(path, thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise StudioError(
            f"The studio in {root} is already open in another program. Use that one, close it, or "
            "set TESTUDO_ROOT to another folder.",
            cause="busy",
        ) from None
    except OSError as cause:
        raise StudioError(
            f"Cannot write {path.parent}: {cause.strerror or cause}. "
            "Make it a folder that you may write to."
        ) from cause
    return lock
