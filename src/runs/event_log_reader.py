"""Read the event log of a training run, `events.jsonl`, while it grows.

    reader = EventLogReader(folder / "events.jsonl")
    reader.read().points["gpt", "loss"]

A half-written last line is read once it is complete, invalid lines are skipped, and a log that was
replaced is read from its start. Steps that a resumed run repeats replace those logged before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from runs.events import (
    BeginEvent,
    CheckpointEvent,
    EndEvent,
    NoteEvent,
    SampleEvent,
    StepEvent,
    TrainingEvent,
    ValidationEvent,
    WarningEvent,
    parse_event,
)

MAX_LINE_BYTES = 1_000_000  # a longer line is no event
STEP_METRICS = (
    *("loss", "mel", "text", "rate", "gradient", "seconds", "memory", "attention"),
    *("ge2e", "prediction", "accuracy", "eer"),
)
VALIDATION_METRICS = ("mel", "attention", "ge2e", "prediction", "accuracy", "eer")
MAX_MESSAGES = 100


@dataclass(slots=True, kw_only=True)
class RunMetrics:
    """Everything that an event log holds so far.

    points: (stage, name) to (step, value), steps ascending;  times: (time, step, stage) of each
    step event since the latest start;  checkpoint_stages: step to the stage that wrote it.
    """

    start_event: BeginEvent | None = None
    first_start_time: float | None = None
    ended: EndEvent | None = None
    stage: str = ""
    step: int = 0
    time: float | None = None
    points: dict[tuple[str, str], list[tuple[int, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    times: list[tuple[float, int, str]] = field(default_factory=list)
    samples: dict[int, SampleEvent] = field(default_factory=dict)
    checkpoints: dict[int, CheckpointEvent] = field(default_factory=dict)
    checkpoint_stages: dict[int, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    invalid_lines: int = 0

    def add_line(self, line: bytes) -> None:
        """Process the next line of the log."""
        try:
            self.add(parse_event(line))
        except ValidationError:
            self.invalid_lines += 1

    def add(self, event: TrainingEvent) -> None:
        """Process the next event of the log."""
        self.time = self.time if event.time is None else event.time
        match event:
            case BeginEvent():
                self._begin(event)
            case StepEvent():
                self.stage, self.step = event.stage or "gpt", event.step
                self.times.append((self.time or 0.0, self.step, self.stage))
                for name in STEP_METRICS:
                    self._add_point(name, event.step, getattr(event, name))
            case ValidationEvent():
                self.stage = event.stage or self.stage or "gpt"
                self._add_point("validation", event.step, event.loss)
                self._add_point("train_loss", event.step, event.train_loss)
                for name in VALIDATION_METRICS:
                    self._add_point(f"validation_{name}", event.step, getattr(event, name))
            case SampleEvent():
                self.samples[event.step] = event
            case CheckpointEvent():
                self.checkpoints[event.step] = event
                self.checkpoint_stages[event.step] = self.stage or "gpt"
            case WarningEvent():
                _add_message(self.warnings, event.message)
            case NoteEvent():
                _add_message(self.notes, event.message)
            case EndEvent():
                self.step = max(self.step, event.step)
                self.ended = event.model_copy(update={"time": self.time or 0.0})

    def _begin(self, event: BeginEvent) -> None:
        self.start_event = event.model_copy(update={"time": self.time or 0.0})
        self.first_start_time = self.first_start_time or self.start_event.time
        self.ended = None
        self.times.clear()
        last = event.step if event.resumed else -1  # later steps are repeated
        for points in self.points.values():
            while points and points[-1][0] > last:
                points.pop()
        self.samples = {step: one for step, one in self.samples.items() if step <= last}
        self.checkpoints = {step: one for step, one in self.checkpoints.items() if step <= last}
        self.step = max(last, 0)
        if not event.resumed:
            self.warnings.clear()
            self.notes.clear()

    def _add_point(self, name: str, step: int, value: float | None) -> None:
        points = self.points[self.stage, name]
        if value is not None and (not points or points[-1][0] <= step):
            points.append((step, value))


class EventLogReader:
    """Read one event log; lines that were read before are not read again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._metrics = RunMetrics()

    def read(self) -> RunMetrics:
        """Return everything logged so far; nothing where there is no log."""
        try:
            with self._path.open("rb") as handle:
                state = self._path.stat()
                if (state.st_dev, state.st_ino) != self._identity or state.st_size < self._offset:
                    self._identity = (state.st_dev, state.st_ino)
                    self._offset, self._metrics = 0, RunMetrics()
                handle.seek(self._offset)
                for line in _read_complete_lines(handle):
                    self._offset += len(line)
                    self._metrics.add_line(line)
        except OSError:
            return self._metrics
        return self._metrics


def _read_complete_lines(handle: IO[bytes]) -> Iterator[bytes]:
    while line := handle.readline(MAX_LINE_BYTES):
        if not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
            return  # it is still being written
        yield line


def _add_message(messages: list[str], message: str) -> None:
    if message and message not in messages[-3:] and len(messages) < MAX_MESSAGES:
        messages.append(message)
