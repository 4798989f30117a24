"""Write the events of a run to `events.jsonl`, and its metrics to TensorBoard where installed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import torch

from core.progress import ProgressEvent, ProgressReporter
from runs.events import (
    EVENTS_FILE,
    EndEvent,
    NoteEvent,
    StepEvent,
    TrainingEvent,
    TrainResult,
    WarningEvent,
)

MAX_LOG_INTERVAL_S = 5.0
"""Steps are logged at least this often, however few they are."""
MIN_POINTS_PER_CHECKPOINT = 20
"""Points of a curve between two checkpoints, at least."""
TENSORBOARD_DIR = "tensorboard"
"""The folder within a run, as `tensorboard --logdir` takes it."""
TENSORBOARD_SCALARS: Mapping[str, tuple[str, ...]] = {
    "step": (
        *("loss", "mel", "text", "noise", "bound", "rate", "gradient", "seconds", "memory"),
        *("attention", "ge2e", "prediction", "accuracy", "eer"),
    ),
    "validation": ("loss", "train_loss", "ge2e", "prediction", "accuracy", "eer"),
    "sample": ("wer", "similarity"),
}
"""Kind of event -> its numbers that make curves."""

# Any: JSON values.


@dataclass(kw_only=True, eq=False)
class EventLogger:
    """Write the events of the main process; the other processes write nothing."""

    run: Path
    is_main_process: bool
    report: ProgressReporter
    log_to_tensorboard: Callable[[Mapping[str, Any]], None] = lambda event: None
    step: int = 0

    def log(self, event: TrainingEvent) -> None:
        """Append an event with the time and the current step; only fields that were set."""
        if not self.is_main_process:
            return
        line = {"kind": event.kind, "time": round(time.time(), 3), "step": self.step}
        line |= event.model_dump(exclude_unset=True, exclude={"kind", "time", "step"})
        with (self.run / EVENTS_FILE).open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        self.log_to_tensorboard(line)
        self.report.emit(
            ProgressEvent(kind=event.kind, stage="training", done=self.step, data=line)
        )

    def warn(self, message: str) -> None:
        """Log a note for the user."""
        self.log(WarningEvent(message=message))

    def note(self, message: str) -> None:
        """Log something worth showing."""
        self.log(NoteEvent(message=message))

    def log_end(self, result: TrainResult) -> None:
        """Log how the run ended."""
        self.log(
            EndEvent(
                state=result.state,
                cause=result.cause,
                message=result.message,
                best_step=result.best_step,
            )
        )


@dataclass(kw_only=True, eq=False)
class MetricAccumulator:
    """Average the metrics of steps until a line is due."""

    event_logger: EventLogger
    checkpoint_every: int
    device: torch.device
    step_metrics: list[dict[str, float]] = field(default_factory=list)
    started_at: float = field(default_factory=time.monotonic)

    def add(self, stage: str, metrics: dict[str, float], lr: float, *, last: bool) -> None:
        """Add the metrics of one step; log their means at each interval."""
        self.step_metrics.append(metrics)
        elapsed, count = time.monotonic() - self.started_at, len(self.step_metrics)
        log_every = max(1, self.checkpoint_every // MIN_POINTS_PER_CHECKPOINT)
        if not (self.event_logger.step % log_every == 0 or last or elapsed >= MAX_LOG_INTERVAL_S):
            return
        means = {name: sum(each[name] for each in self.step_metrics) / count for name in metrics}
        timing = {"rate": lr, "seconds": elapsed / count, "memory": get_memory_bytes(self.device)}
        self.event_logger.log(StepEvent.model_validate({"stage": stage, **timing, **means}))
        self.reset()

    def reset(self) -> None:
        """Start a new average; the time since the last line does not count."""
        self.step_metrics = []
        self.started_at = time.monotonic()


def get_memory_bytes(device: torch.device) -> int:
    """Return the peak memory of a CUDA device; else the resident memory of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return int(psutil.Process().memory_info().rss)


def create_tensorboard_logger(run: Path) -> Callable[[Mapping[str, Any]], None]:
    """Return a function that takes lines of the event log; it does nothing without TensorBoard."""
    if find_spec("tensorboard") is None:
        return lambda event: None
    writer = import_module("torch.utils.tensorboard").SummaryWriter(str(run / TENSORBOARD_DIR))

    def write(event: Mapping[str, Any]) -> None:
        kind = event["kind"]
        group = "/".join(filter(None, (event.get("stage"), kind)))
        numbers = {name: event.get(name) for name in TENSORBOARD_SCALARS.get(kind, ())}
        for name, value in numbers.items():
            if value is not None:
                writer.add_scalar(f"{group}/{name}", value, event["step"])
        if kind == "checkpoint":
            writer.flush()
        elif kind == "end":
            writer.close()  # ends its thread

    return write
