"""Start and watch trainings, each a detached process with a folder. Light.

start_process(run, [sys.executable, "-m", "speakers.training.trainer", …])
read_training_status(run).eta_s
request_stop(run)                                   from jobs.detached
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Literal

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from jobs.detached import (
    STOP_FILE,
    ProcessStatus,
    describe_exit_code,
    is_alive,
    read_process_status,
    start_detached,
)
from jobs.models import JobError
from runs.event_log_reader import EventLogReader, RunMetrics
from runs.events import EVENTS_FILE

PACE_EVENTS = 50

TrainingState = Literal["waiting", "running", "stopping", "done", "stopped", "failed", "died"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStatus:
    """A training as its folder shows it.

    step_s: seconds of a step, eta_s: seconds left, None where unknown;  curves: name to (step,
    value): loss, ge2e, prediction, accuracy, eer, validation, validation_eer, rate, gradient.
    """

    state: TrainingState
    step: int
    steps: int
    step_s: float | None
    eta_s: float | None
    curves: Mapping[str, tuple[tuple[int, float], ...]]
    message: str = ""
    notes: tuple[str, ...] = ()


def start_process(
    run: Path, command: Sequence[str], prepare: Callable[[], object], turn: Path | None = None
) -> None:
    """Start the process of a training.

    run: its folder, which is made;  prepare: called before the start, to write its files;  turn: a
    lock file of which one holder trains at a time. Raises AppError where it runs already.
    """
    if is_alive(run):
        raise AppError(f"{run.name} is already running. Wait for it, or stop it first.")
    with reraise_as_app_error(JobError), translate_write_errors(run):
        run.mkdir(parents=True, exist_ok=True)
        prepare()
        start_detached(list(command), run, turn=turn)


def read_training_status(run: Path, reader: EventLogReader | None = None) -> TrainingStatus:
    """Return the status of a training. reader: one that is kept between calls reads less."""
    process, alive = read_process_status(run), is_alive(run)
    metrics = (reader or EventLogReader(run / EVENTS_FILE)).read()
    steps = metrics.start_event.total_steps if metrics.start_event else 0
    step_s = _measure_pace(metrics)
    state = find_run_state(run, metrics, process, alive)
    is_running = state in ("running", "stopping")
    return TrainingStatus(
        state=state,
        step=metrics.step,
        steps=steps,
        step_s=step_s,
        eta_s=step_s * max(0, steps - metrics.step) if step_s and is_running else None,
        curves={name: tuple(points) for (_, name), points in metrics.points.items() if points},
        message=_find_message(state, metrics, process),
        notes=tuple(metrics.notes + metrics.warnings),
    )


def find_run_state(
    folder: Path, metrics: RunMetrics, process: ProcessStatus, alive: bool
) -> TrainingState:
    """Combine the states of supervisor and trainer; the lock shows whether the run died.

    metrics: read after `alive`, as a run that ends in between has logged its end.
    """
    ended = metrics.ended
    if ended and process.state != "waiting" and (ended.time or 0.0) >= (process.launched or 0.0):
        return ended.state  # by the latest start, not by one before
    if alive and (folder / STOP_FILE).exists():
        return "stopping"
    if alive:
        return "waiting" if process.state == "waiting" else "running"
    stopped_while_waiting = process.state == "exited" and process.launched is None
    return "stopped" if stopped_while_waiting else "died"


def _find_message(state: TrainingState, metrics: RunMetrics, process: ProcessStatus) -> str:
    if metrics.ended is not None and state not in ("running", "waiting", "stopping"):
        return metrics.ended.message
    return describe_exit_code(process.code) if state == "died" else ""


def _measure_pace(metrics: RunMetrics) -> float | None:
    """Return the median seconds of a step over the latest points of the log."""
    latest = [(time, step) for time, step, _ in metrics.times][-PACE_EVENTS:]
    paces = [
        (after[0] - before[0]) / (after[1] - before[1])
        for before, after in pairwise(latest)
        if after[1] > before[1]
    ]
    return median(paces) if paces else None
