"""The diary of a training run, `events.jsonl`, read as it grows; nothing in it is trusted.

    diary = Diary(folder / "events.jsonl")
    diary.read().points["gpt", "loss"]

A half-written last line waits until it is whole; junk is passed over; a diary that was replaced
is read anew. What a killed run had told of steps that its successor did again is forgotten.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

# Any: values of a diary that may hold anything.

MAX_LINE_BYTES = 1_000_000  # bytes; what is longer is no event
STEP_METRICS = ("loss", "mel", "text", "rate", "gradient", "seconds", "memory")
MAX_MESSAGES = 100
MAX_COUNT = 2**53  # what a browser can count to


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A start of the run, or a going on at `step`. time: seconds since 1970."""

    time: float
    step: int
    steps: int
    stage_steps: Mapping[str, int]  # steps of each stage
    clips: int
    validation_clips: int
    batch: int
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """An end that the run itself told. state: done, stopped or failed."""

    time: float
    state: Literal["done", "stopped", "failed"]
    cause: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleEvent:
    """A sentence that was spoken at a step. path: as the diary has it."""

    step: int
    path: str
    text: str
    wer: float | None
    similarity: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointEvent:
    """A checkpoint that was written. path: as the diary has it."""

    step: int
    path: str
    size: int
    loss: float | None


@dataclass(slots=True, kw_only=True)
class RunMetrics:
    """All that a diary has told so far.

    points: (stage, name) to (step, value), in rising steps;  times: when each step event was told,
    of the latest start only;  junk: lines that were no events.
    """

    start_event: RunStarted | None = None
    first_start_time: float | None = None
    ended: RunEnded | None = None
    stage: str = ""
    step: int = 0
    time: float | None = None
    points: dict[tuple[str, str], list[tuple[int, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    times: list[tuple[float, int, str]] = field(default_factory=list)
    samples: dict[int, SampleEvent] = field(default_factory=dict)
    checkpoints: dict[int, CheckpointEvent] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    invalid_lines: int = 0


class EventLogReader:
    """Reads one diary; what was read before is not read again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._metrics = RunMetrics()

    def read(self) -> RunMetrics:
        """Return all that was told so far; nothing where there is no diary."""
        try:
            with self._path.open("rb") as handle:
                state = self._path.stat()
                if (state.st_dev, state.st_ino) != self._identity or state.st_size < self._offset:
                    self._identity = (state.st_dev, state.st_ino)
                    self._offset, self._metrics = 0, RunMetrics()
                handle.seek(self._offset)
                for line in _read_complete_lines(handle):
                    self._offset += len(line)
                    _handle_line(self._metrics, line)
        except OSError:
            return self._metrics
        return self._metrics


def _read_complete_lines(handle: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a diary; the last one only once it is whole."""
    while line := handle.readline(MAX_LINE_BYTES):
        if not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
            return  # it is still being written
        yield line


def _handle_line(figures: RunMetrics, line: bytes) -> None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        figures.invalid_lines += 1
        return
    take = _EVENT_HANDLERS.get(str(event.get("kind"))) if isinstance(event, dict) else None
    if take is None or not _is_count(event.get("step")):
        figures.invalid_lines += 1
        return
    time, step = _parse_number(event.get("time")), event["step"]
    figures.time = time if time is not None else figures.time
    take(figures, event, step, time if time is not None else figures.time or 0.0)


def _handle_begin(figures: RunMetrics, event: Mapping[str, Any], step: int, time: float) -> None:
    parts = {name: _parse_count(event.get(f"{name}_steps")) for name in ("gpt", "diffusion")}
    resumed = event.get("resumed") is True
    figures.start_event = RunStarted(
        time=time,
        step=step,
        steps=_parse_count(event.get("steps")) or sum(parts.values()),
        stage_steps={name: count for name, count in parts.items() if count},
        clips=_parse_count(event.get("clips")),
        validation_clips=_parse_count(event.get("validation_clips")),
        batch=_parse_count(event.get("batch")),
        device=_parse_text(event.get("device")),
    )
    figures.first_start_time = figures.first_start_time or time
    figures.ended = None
    figures.times.clear()
    _discard_after(figures, step if resumed else -1)


def _discard_after(figures: RunMetrics, step: int) -> None:
    """Forget what was told of later steps: they are done again."""
    for points in figures.points.values():
        while points and points[-1][0] > step:
            points.pop()
    for told in (figures.samples, figures.checkpoints):
        for later in [number for number in told if number > step]:
            told.pop(later)
    figures.step = max(step, 0)
    if step < 0:
        figures.warnings.clear()
        figures.notes.clear()


def _handle_step(figures: RunMetrics, event: Mapping[str, Any], step: int, time: float) -> None:
    figures.stage, figures.step = _parse_text(event.get("stage")) or "gpt", step
    figures.times.append((time, step, figures.stage))
    for name in STEP_METRICS:
        _add_point(figures, name, step, event.get(name))


def _handle_validation(
    figures: RunMetrics, event: Mapping[str, Any], step: int, time: float
) -> None:
    figures.stage = _parse_text(event.get("stage")) or figures.stage or "gpt"
    _add_point(figures, "validation", step, event.get("loss"))
    _add_point(figures, "train_loss", step, event.get("train_loss"))


def _add_point(figures: RunMetrics, name: str, step: int, value: object) -> None:
    number = _parse_number(value)
    points = figures.points[figures.stage, name]
    if number is not None and (not points or points[-1][0] <= step):
        points.append((step, number))


def _handle_sample(figures: RunMetrics, event: Mapping[str, Any], step: int, time: float) -> None:
    figures.samples[step] = SampleEvent(
        step=step,
        path=_parse_text(event.get("path")),
        text=_parse_text(event.get("text")),
        wer=_parse_number(event.get("wer")),
        similarity=_parse_number(event.get("similarity")),
    )


def _handle_checkpoint(
    figures: RunMetrics, event: Mapping[str, Any], step: int, time: float
) -> None:
    figures.checkpoints[step] = CheckpointEvent(
        step=step,
        path=_parse_text(event.get("path")),
        size=_parse_count(event.get("bytes")),
        loss=_parse_number(event.get("loss")),
    )


def _handle_warning(figures: RunMetrics, event: Mapping[str, Any], step: int, time: float) -> None:
    _add_message(figures.warnings, event)


def _handle_note(figures: RunMetrics, event: Mapping[str, Any], step: int, time: float) -> None:
    _add_message(figures.notes, event)


def _add_message(messages: list[str], event: Mapping[str, Any]) -> None:
    message = _parse_text(event.get("message"))
    if message and message not in messages[-3:] and len(messages) < MAX_MESSAGES:
        messages.append(message)


def _handle_end(figures: RunMetrics, event: Mapping[str, Any], step: int, time: float) -> None:
    state = event.get("state")
    if state in ("done", "stopped", "failed"):
        figures.step = max(figures.step, step)
        figures.ended = RunEnded(
            time=time,
            state=state,
            cause=_parse_text(event.get("cause")),
            message=_parse_text(event.get("message")),
        )


_EVENT_HANDLERS = {
    "begin": _handle_begin,
    "step": _handle_step,
    "validation": _handle_validation,
    "sample": _handle_sample,
    "checkpoint": _handle_checkpoint,
    "warning": _handle_warning,
    "note": _handle_note,
    "end": _handle_end,
}


def _parse_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_COUNT


def _parse_count(value: object) -> int:
    return value if isinstance(value, int) and _is_count(value) else 0


def _parse_text(value: object) -> str:
    return value[:2_000] if isinstance(value, str) else ""
