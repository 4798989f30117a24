"""The diary of a run: one line of `events.jsonl` for everything that a person may want to see."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from core.progress import ProgressEvent, ProgressReporter
from training.finetuning.checkpoints.run_layout import EVENTS_FILE, TrainResult

MAX_LOG_INTERVAL_S = 5.0
"""Steps are told at least so often, however rarely they are due."""
MIN_POINTS_PER_CHECKPOINT = 20
"""Points of a curve between two checkpoints, at least."""


@dataclass(kw_only=True, eq=False)
class EventLogger:
    """Writes events of one process; those who do not lead keep silent."""

    run: Path
    is_main_process: bool
    report: ProgressReporter
    log_to_tensorboard: Callable[[Mapping[str, Any]], None] = lambda event: None
    step: int = 0

    def log(self, kind: str, **data: Any) -> None:
        """Add a line. Numbers that are none are written as null.  Any: JSON values."""
        if not self.is_main_process:
            return
        line = {"kind": kind, "time": round(time.time(), 3), "step": self.step}
        line |= {name: _to_json_value(value) for name, value in data.items()}
        with (self.run / EVENTS_FILE).open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        self.log_to_tensorboard(line)
        self.report.emit(ProgressEvent(kind=kind, stage="training", done=self.step, data=line))

    def warn(self, message: str) -> None:
        """Say something the user should know."""
        self.log("warning", message=message)

    def note(self, message: str) -> None:
        """Say something worth showing."""
        self.log("note", message=message)

    def log_end(self, outcome: TrainResult) -> None:
        """Say how the run ended."""
        self.log(
            "end",
            state=outcome.state,
            cause=outcome.cause,
            message=outcome.message,
            best_step=outcome.best_step,
        )


@dataclass(kw_only=True, eq=False)
class MetricAccumulator:
    """Gathers steps until there are enough, or time enough has passed, for a line."""

    event_logger: EventLogger
    log_every: int
    device: torch.device
    step_metrics: list[dict[str, float]] = field(default_factory=list)
    started_at: float = field(default_factory=time.monotonic)

    def add(self, stage: str, figures: dict[str, float], rate: float, last: bool) -> None:
        """Take in the figures of the step that the diary has come to."""
        self.step_metrics.append(figures)
        waited = time.monotonic() - self.started_at
        due = self.event_logger.step % self.log_every == 0 or last or waited >= MAX_LOG_INTERVAL_S
        if not due:
            return
        count = len(self.step_metrics)
        means = {name: sum(f[name] for f in self.step_metrics) / count for name in figures}
        memory = measure_memory_bytes(self.device)
        self.event_logger.log(
            "step", stage=stage, rate=rate, seconds=waited / count, memory=memory, **means
        )
        self.reset()

    def reset(self) -> None:
        """Begin to gather anew; what took time meanwhile was no step."""
        self.step_metrics = []
        self.started_at = time.monotonic()


def create_metric_accumulator(
    diary: EventLogger, checkpoint_every: int, device: torch.device
) -> MetricAccumulator:
    """Gather so that a curve has points enough between two checkpoints."""
    return MetricAccumulator(
        event_logger=diary,
        log_every=max(1, checkpoint_every // MIN_POINTS_PER_CHECKPOINT),
        device=device,
    )


def measure_memory_bytes(device: torch.device) -> int:
    """The most bytes of a GPU that were taken; else those of this process, 0 if nobody tells."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * 4096


def _to_json_value(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 8) if math.isfinite(value) else None
    return value


TENSORBOARD_DIR = "tensorboard"
"""The folder within a run, as `tensorboard --logdir` takes it."""

TENSORBOARD_SCALARS: Mapping[str, tuple[str, ...]] = {
    "step": ("loss", "mel", "text", "noise", "bound", "rate", "gradient", "seconds", "memory"),
    "validation": ("loss", "train_loss"),
    "sample": ("wer", "similarity"),
}
"""Kind of event -> its numbers that make curves."""


def create_tensorboard_logger(run: Path) -> Callable[[Mapping[str, Any]], None]:
    """Return what takes the events of the diary; it does nothing without TensorBoard.

    Any: JSON values.
    """
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
        if kind in ("checkpoint", "end"):
            writer.flush()

    return write
