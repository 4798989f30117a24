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

LONGEST_LINE = 1_000_000  # bytes; what is longer is no event
MEASURED = ("loss", "mel", "text", "rate", "gradient", "seconds", "memory")
MOST_MESSAGES = 100
LARGEST = 2**53  # what a browser can count to


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A start of the run, or a going on at `step`. time: seconds since 1970."""

    time: float
    step: int
    steps: int
    parts: Mapping[str, int]  # steps of each stage
    clips: int
    validation_clips: int
    batch: int
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An end that the run itself told. state: done, stopped or failed."""

    time: float
    state: Literal["done", "stopped", "failed"]
    cause: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A sentence that was spoken at a step. path: as the diary has it."""

    step: int
    path: str
    text: str
    wer: float | None
    similarity: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A checkpoint that was written. path: as the diary has it."""

    step: int
    path: str
    size: int
    loss: float | None


@dataclass(slots=True, kw_only=True)
class Figures:
    """All that a diary has told so far.

    points: (stage, name) to (step, value), in rising steps;  times: when each step event was told,
    of the latest start only;  junk: lines that were no events.
    """

    begun: Begun | None = None
    first_begun: float | None = None
    ended: Ended | None = None
    stage: str = ""
    step: int = 0
    time: float | None = None
    points: dict[tuple[str, str], list[tuple[int, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    times: list[tuple[float, int, str]] = field(default_factory=list)
    samples: dict[int, Spoken] = field(default_factory=dict)
    checkpoints: dict[int, Saved] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    junk: int = 0


class Diary:
    """Reads one diary; what was read before is not read again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None
        self._at = 0
        self._figures = Figures()

    def read(self) -> Figures:
        """Return all that was told so far; nothing where there is no diary."""
        try:
            with self._path.open("rb") as handle:
                state = self._path.stat()
                if (state.st_dev, state.st_ino) != self._identity or state.st_size < self._at:
                    self._identity = (state.st_dev, state.st_ino)
                    self._at, self._figures = 0, Figures()
                handle.seek(self._at)
                for line in _whole_lines(handle):
                    self._at += len(line)
                    _take_line(self._figures, line)
        except OSError:
            return self._figures
        return self._figures


def _whole_lines(handle: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a diary; the last one only once it is whole."""
    while line := handle.readline(LONGEST_LINE):
        if not line.endswith(b"\n") and len(line) < LONGEST_LINE:
            return  # it is still being written
        yield line


def _take_line(figures: Figures, line: bytes) -> None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        figures.junk += 1
        return
    take = _TAKES.get(str(event.get("kind"))) if isinstance(event, dict) else None
    if take is None or not _is_count(event.get("step")):
        figures.junk += 1
        return
    time, step = _number(event.get("time")), event["step"]
    figures.time = time if time is not None else figures.time
    take(figures, event, step, time if time is not None else figures.time or 0.0)


def _begin(figures: Figures, event: Mapping[str, Any], step: int, time: float) -> None:
    parts = {name: _count(event.get(f"{name}_steps")) for name in ("gpt", "diffusion")}
    resumed = event.get("resumed") is True
    figures.begun = Begun(
        time=time,
        step=step,
        steps=_count(event.get("steps")) or sum(parts.values()),
        parts={name: count for name, count in parts.items() if count},
        clips=_count(event.get("clips")),
        validation_clips=_count(event.get("validation_clips")),
        batch=_count(event.get("batch")),
        device=_words(event.get("device")),
    )
    figures.first_begun = figures.first_begun or time
    figures.ended = None
    figures.times.clear()
    _forget_after(figures, step if resumed else -1)


def _forget_after(figures: Figures, step: int) -> None:
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


def _step(figures: Figures, event: Mapping[str, Any], step: int, time: float) -> None:
    figures.stage, figures.step = _words(event.get("stage")) or "gpt", step
    figures.times.append((time, step, figures.stage))
    for name in MEASURED:
        _add(figures, name, step, event.get(name))


def _validation(figures: Figures, event: Mapping[str, Any], step: int, time: float) -> None:
    figures.stage = _words(event.get("stage")) or figures.stage or "gpt"
    _add(figures, "validation", step, event.get("loss"))
    _add(figures, "train_loss", step, event.get("train_loss"))


def _add(figures: Figures, name: str, step: int, value: object) -> None:
    number = _number(value)
    points = figures.points[figures.stage, name]
    if number is not None and (not points or points[-1][0] <= step):
        points.append((step, number))


def _sample(figures: Figures, event: Mapping[str, Any], step: int, time: float) -> None:
    figures.samples[step] = Spoken(
        step=step,
        path=_words(event.get("path")),
        text=_words(event.get("text")),
        wer=_number(event.get("wer")),
        similarity=_number(event.get("similarity")),
    )


def _checkpoint(figures: Figures, event: Mapping[str, Any], step: int, time: float) -> None:
    figures.checkpoints[step] = Saved(
        step=step,
        path=_words(event.get("path")),
        size=_count(event.get("bytes")),
        loss=_number(event.get("loss")),
    )


def _warning(figures: Figures, event: Mapping[str, Any], step: int, time: float) -> None:
    _tell(figures.warnings, event)


def _note(figures: Figures, event: Mapping[str, Any], step: int, time: float) -> None:
    _tell(figures.notes, event)


def _tell(messages: list[str], event: Mapping[str, Any]) -> None:
    message = _words(event.get("message"))
    if message and message not in messages[-3:] and len(messages) < MOST_MESSAGES:
        messages.append(message)


def _end(figures: Figures, event: Mapping[str, Any], step: int, time: float) -> None:
    state = event.get("state")
    if state in ("done", "stopped", "failed"):
        figures.step = max(figures.step, step)
        figures.ended = Ended(
            time=time,
            state=state,
            cause=_words(event.get("cause")),
            message=_words(event.get("message")),
        )


_TAKES = {
    "begin": _begin,
    "step": _step,
    "validation": _validation,
    "sample": _sample,
    "checkpoint": _checkpoint,
    "warning": _warning,
    "note": _note,
    "end": _end,
}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST


def _count(value: object) -> int:
    return value if isinstance(value, int) and _is_count(value) else 0


def _words(value: object) -> str:
    return value[:2_000] if isinstance(value, str) else ""
