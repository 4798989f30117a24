"""Progress events out of long work, and cancellation into it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


class Cancelled(Exception):
    """Raised in work that was cancelled; caught only at process borders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressEvent:
    """One event of long work.

    kind is "progress", "note", "warning" or one of the work's own ("take"); `data` holds plain
    values only, since events cross process borders as JSON.
    """

    kind: str
    stage: str
    done: int = 0
    total: int | None = None
    message: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON values of the work's choosing


class ProgressReporter:
    """Reports events of long work to a listener, and raises Cancelled on a stop request.

    `ProgressReporter()` is silent and never cancelled. `timings` holds seconds per stage;
    `previous_takes` the data of the "take" events of an earlier run that this work continues.
    """

    def __init__(
        self,
        listener: Callable[[ProgressEvent], None] | None = None,
        stopped: Callable[[], bool] | None = None,
        kept: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._listener = listener
        self._stopped = stopped
        self.previous_takes = tuple(kept)
        self.timings: dict[str, float] = {}
        self._open_stages: set[str] = set()

    def check_cancelled(self) -> None:
        """Raise `Cancelled` if a stop was requested."""
        if self._stopped is not None and self._stopped():
            raise Cancelled("stopped on request")

    def track(self, items: Iterable[T], stage: str, total: int | None = None) -> Iterator[T]:
        """Yield the items and report how many are done; raise `Cancelled` between two of them."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        with self._timed(stage):
            self._emit_progress(stage, 0, total)
            for done, item in enumerate(items, start=1):
                yield item
                self._emit_progress(stage, done, total)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Report that a stage begins, and add the seconds of the block to `timings[name]`."""
        self._emit_progress(name, 0, None)
        with self._timed(name):
            yield

    def note(self, message: str, *, stage: str = "", **data: Any) -> None:
        """Report a message to show."""
        self.emit(ProgressEvent(kind="note", stage=stage, message=message, data=data))

    def warn(self, message: str, *, stage: str = "", **data: Any) -> None:
        """Report a warning about the result."""
        self.emit(ProgressEvent(kind="warning", stage=stage, message=message, data=data))

    def emit(self, event: ProgressEvent) -> None:
        """Pass an event to the listener."""
        if self._listener is not None:
            self._listener(event)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        if name in self._open_stages:  # a stage inside itself takes no time twice
            yield
            return
        started = time.perf_counter()
        self._open_stages.add(name)
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self._open_stages.discard(name)
            self.timings[name] = self.timings.get(name, 0.0) + spent

    def _emit_progress(self, stage: str, done: int, total: int | None) -> None:
        self.emit(ProgressEvent(kind="progress", stage=stage, done=done, total=total))
        self.check_cancelled()
