"""Work of seconds or minutes beside whoever asked for it: not for the worker, which may be busy.

Nobody waits for it when the program ends.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Event as Flag
from threading import Thread
from typing import Generic, TypeVar

from core.progress import ProgressEvent, ProgressReporter

T = TypeVar("T")


def run_in_background(work: Callable[[], T], name: str) -> Future[T]:
    """Do the work in a thread of its own; whatever it raises comes out with its result."""
    coming: Future[T] = Future()
    coming.set_running_or_notify_cancel()  # whoever stops waiting leaves it a place for its result

    def run() -> None:
        with _ExceptionToFuture(coming):
            coming.set_result(work())

    Thread(target=run, name=name, daemon=True).start()
    return coming


class BackgroundTask(Generic[T]):
    """Work that was begun: how far it is, and what comes of it."""

    def __init__(self, work: Callable[[ProgressReporter], T], label: str) -> None:
        self.label = label
        self._stop = Flag()
        self._progress: tuple[int, int] = (0, 0)
        reporter = ProgressReporter(self._on_progress, self._stop.is_set)
        self._future = run_in_background(lambda: work(reporter), label)

    @property
    def progress(self) -> tuple[int, int]:
        """How much is done, and of how much; of 0 where that is not known."""
        return self._progress

    @property
    def is_over(self) -> bool:
        """Whether there is a result, or will be none."""
        return self._future.done()

    def stop(self) -> None:
        """Ask the work to stop; what can be stopped then raises Cancelled."""
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; say whether it is over."""
        return bool(wait([self._future], seconds).done)

    @property
    def problem(self) -> BaseException | None:
        """Why there is no result; waits where it is not over."""
        return self._future.exception()

    def result(self) -> T:
        """Return what came of it, or raise the problem; waits where it is not over."""
        return self._future.result()

    def _on_progress(self, event: ProgressEvent) -> None:
        self._progress = (event.done, event.total or 0)


class _ExceptionToFuture:
    """What goes wrong inside reaches whoever waits for the result."""

    def __init__(self, coming: Future[T]) -> None:
        self._future = coming

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> bool:
        if problem is not None:
            self._future.set_exception(problem)
        return problem is not None
