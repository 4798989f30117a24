"""Short work in a thread of this process, for what must not wait for the busy worker."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import ExitStack
from contextvars import copy_context
from threading import Event as Flag
from threading import Thread
from typing import Generic, TypeVar

from core.progress import ProgressEvent, ProgressReporter

T = TypeVar("T")


def run_in_background(work: Callable[[], T], name: str) -> Future[T]:
    """Run the work in a thread of its own; the future holds its result, or what it raised.

    The thread has the context variables of the caller, such as the language of its request.
    Unlike the threads of ThreadPoolExecutor, it does not keep the program from ending.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # a caller that stops waiting does not cancel it

    def run() -> None:
        with ExitStack() as stack:
            stack.push(lambda kind, error, trace: _set_exception(future, error))
            future.set_result(work())

    Thread(target=copy_context().run, args=(run,), name=name, daemon=True).start()
    return future


class BackgroundTask(Generic[T]):
    """Work in a thread: its progress and its result."""

    def __init__(self, work: Callable[[ProgressReporter], T], label: str) -> None:
        self.label = label
        self._stop = Flag()
        self._progress: tuple[int, int] = (0, 0)
        reporter = ProgressReporter(self._on_progress, self._stop.is_set)
        self._future = run_in_background(lambda: work(reporter), label)

    @property
    def progress(self) -> tuple[int, int]:
        """Finished steps and total steps; 0 where unknown."""
        return self._progress

    @property
    def is_over(self) -> bool:
        """Return whether it has ended."""
        return self._future.done()

    def stop(self) -> None:
        """Request that the work stops at its next report."""
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; return whether it is over."""
        return bool(wait([self._future], seconds).done)

    @property
    def problem(self) -> BaseException | None:
        """Wait for the end of the work; return its exception, or None."""
        return self._future.exception()

    def result(self) -> T:
        """Return the result, or raise the problem; waits until it is over."""
        return self._future.result()

    def _on_progress(self, event: ProgressEvent) -> None:
        self._progress = (event.done, event.total or 0)


def _set_exception(future: Future[T], error: BaseException | None) -> bool:
    if error is not None:
        future.set_exception(error)
    return error is not None
