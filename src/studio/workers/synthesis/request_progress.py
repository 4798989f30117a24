"""What long work said while one request was spoken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from core.progress import ProgressEvent, ProgressReporter


class RequestProgress(ProgressReporter):
    """Passes everything on to another reporter, and keeps what belongs to one request.

    warnings: for the record of the takes.  scores: of the candidates spoken last, best first.
    resolved: knobs whose value the engine chose itself (a batch size that fits the memory).
    A warning that says what it warns of (`once="memory"`) is passed on the first time only.
    """

    def __init__(self, outer: ProgressReporter) -> None:
        super().__init__(kept=outer.previous_takes)
        self._outer = outer
        self.warnings: list[str] = []
        self.scores: list[float] = []
        self._warned: set[str] = set()
        self.resolved_options: Mapping[str, Any] = {}  # Any: each knob has its own type

    def check(self) -> None:
        """Raise `Cancelled` when the outer work was asked to stop."""
        self._outer.check_cancelled()

    def emit(self, event: ProgressEvent) -> None:
        """Keep what is kept, and pass the event on."""
        if event.kind == "warning" and self._is_repeated(event):
            return
        if event.kind == "warning" and event.message not in self.warnings:
            self.warnings.append(event.message)
        elif event.kind == "candidates":
            self.scores = list(event.data.get("scores", ()))
        elif event.kind == "resolved":
            self.resolved_options = {**self.resolved_options, **event.data}
        self._outer.emit(event)

    def restore_warnings(self, warnings: Iterable[str]) -> None:
        """Keep warnings that were told before, when the same was spoken."""
        self.warnings += [told for told in dict.fromkeys(warnings) if told not in self.warnings]

    def close(self) -> None:
        """Add the seconds of this request to those of the outer work."""
        for stage, spent in self.timings.items():
            self._outer.timings[stage] = self._outer.timings.get(stage, 0.0) + spent

    def _is_repeated(self, event: ProgressEvent) -> bool:
        subject = str(event.data.get("once", ""))
        stale = subject in self._warned
        if subject:
            self._warned.add(subject)
        return stale
