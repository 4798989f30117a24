"""The status of a training run, read from its folder alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median
from types import MappingProxyType

from core.error_classifier import get_error_info
from jobs.detached import (
    ProcessStatus,
    describe_exit_code,
    is_alive,
    read_log_tail,
    read_process_status,
)
from runs.event_log_reader import EventLogReader, RunMetrics
from runs.events import BeginEvent
from runs.launch import TrainingState, find_run_state
from studio.training_runs.metrics import Curve, CurvePoints, build_curves
from training.finetuning.checkpoints.selection import (
    BestCheckpoint,
    SampleScores,
    ValidationResult,
    select_best_checkpoint,
)
from training.finetuning.config.schema import CONFIG_FILE, ConfigError, read_config

FINISHED_STATES: frozenset[TrainingState] = frozenset({"done", "stopped", "failed", "died"})
PACE_WINDOW_STEPS = 200  # latest step events that the seconds per step are measured over
SAMPLES_DIR, CHECKPOINTS_DIR = "samples", "checkpoints"

ERROR_CODES: Mapping[str, str] = MappingProxyType(
    {
        "asked": "cancelled",
        "diverged": "not_finite",
        "disk": "no_disk",
        "memory": "out_of_memory",
        "refused": "refused",
        "files": "refused",
    }
)
"""Cause of a `TrainResult` -> its key in the error catalogue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSample:
    """The sample synthesized at a step. wer, similarity: None where not measured."""

    step: int
    path: Path
    text: str
    wer: float | None
    similarity: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCheckpoint:
    """A checkpoint. size: bytes;  loss: of validation;  there: whether it was not pruned."""

    step: int
    path: Path
    size: int
    loss: float | None
    wer: float | None
    similarity: float | None
    there: bool
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run in a list.

    began, ended: seconds since 1970;  eta_s: seconds left;  best: the step of the best checkpoint.
    """

    dataset: str
    name: str
    state: TrainingState
    step: int = 0
    steps: int = 0
    began: float | None = None
    ended: float | None = None
    eta_s: float | None = None
    best: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus(RunSummary):
    """A run with all facts that its folder contains.

    stage: "gpt" or "diffusion";  memory: bytes;  overfitting, message: a sentence or "";
    cause: a key of the error catalogue, of a run that failed or died;  details: the end of its
    console log.
    """

    folder: Path
    stage: str = ""
    seconds_per_step: float | None = None
    memory: int | None = None
    device: str = ""
    clips: int = 0
    validation_clips: int = 0
    curves: tuple[Curve, ...] = ()
    samples: tuple[RunSample, ...] = ()
    checkpoints: tuple[RunCheckpoint, ...] = ()
    why_best: str = ""
    overfitting: str = ""
    overfit_since: int | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    message: str = ""
    cause: str = ""
    details: str = ""
    config_file: str = CONFIG_FILE

    @property
    def is_over(self) -> bool:
        """Return whether the run has ended."""
        return self.state in FINISHED_STATES

    @property
    def can_resume(self) -> bool:
        """Return whether the run can be resumed."""
        return self.is_over and self.state != "done" and (self.folder / self.config_file).is_file()

    def curve(self, name: str, stage: str = "gpt") -> CurvePoints:
        """Return the points of one curve, () where there is no such curve."""
        found = (c.points for c in self.curves if (c.stage, c.name) == (stage, name))
        return next(found, ())


def get_run_summary(dataset: str, folder: Path, event_log: EventLogReader) -> RunSummary:
    """Return the status of a run for a list."""
    process, alive = read_process_status(folder), is_alive(folder)
    metrics = event_log.read()  # after `alive`
    state = find_run_state(folder, metrics, process, alive)
    start, is_running = metrics.start_event, state in ("running", "stopping")
    return RunSummary(
        dataset=dataset,
        name=folder.name,
        state=state,
        step=metrics.step,
        steps=start.total_steps if start else read_planned_steps(folder),
        began=metrics.first_start_time or process.launched,
        ended=_get_end_time(metrics, process) if state in FINISHED_STATES else None,
        eta_s=_estimate_remaining_s(metrics) if is_running else None,
        best=select_run_checkpoint(folder, metrics).step,
    )


def get_run_status(dataset: str, folder: Path, event_log: EventLogReader) -> RunStatus:
    """Return the whole status of a run."""
    summary, metrics = get_run_summary(dataset, folder, event_log), event_log.read()
    message, cause, details = _describe_end(
        summary.state, folder, metrics, read_process_status(folder)
    )
    start, choice = metrics.start_event or BeginEvent(), select_run_checkpoint(folder, metrics)
    return RunStatus(
        **{one.name: getattr(summary, one.name) for one in fields(summary)},
        folder=folder,
        stage=metrics.stage,
        seconds_per_step=_get_recent_median(metrics, "seconds")
        or _measure_seconds_per_step(metrics),
        memory=int(_get_recent_median(metrics, "memory") or 0) or None,
        device=start.device,
        clips=start.clips,
        validation_clips=start.validation_clips,
        curves=build_curves(metrics.points),
        samples=_list_samples(folder, metrics),
        checkpoints=_list_checkpoints(folder, metrics, choice),
        why_best=choice.why,
        overfitting=choice.overfitting,
        overfit_since=choice.overfit_since,
        warnings=tuple(metrics.warnings),
        notes=tuple(metrics.notes),
        message=message,
        cause=cause,
        details=details,
    )


def read_planned_steps(folder: Path) -> int:
    """Return the number of steps of the configuration; 0 where it cannot be read."""
    try:
        return read_config(folder / CONFIG_FILE).total_steps
    except (ConfigError, OSError):
        return 0


def select_run_checkpoint(folder: Path, metrics: RunMetrics) -> BestCheckpoint:
    """Return the best checkpoint on disk of the last stage that has one there."""
    stages = {
        step: metrics.checkpoint_stages[step]
        for step, saved in sorted(metrics.checkpoints.items())
        if _resolve_inside(folder / CHECKPOINTS_DIR, saved.path).is_dir()
    }
    stage = next(reversed(stages.values()), "gpt")
    train_losses = dict(metrics.points.get((stage, "train_loss"), ()))
    validations = [
        ValidationResult(step=step, loss=loss, train_loss=train_losses.get(step))
        for step, loss in metrics.points.get((stage, "validation"), ())
    ]
    scores = [
        SampleScores(step=sample.step, wer=sample.wer, similarity=sample.similarity)
        for sample in metrics.samples.values()
    ]
    available = [step for step, writer in stages.items() if writer == stage]
    return select_best_checkpoint(validations, scores, available, stage)


def _describe_end(
    state: TrainingState, folder: Path, metrics: RunMetrics, process: ProcessStatus
) -> tuple[str, str, str]:
    if state == "died":
        message = f"The training ended unexpectedly: {describe_exit_code(process.code)}."
        saved = " Resume continues from the last saved state." if metrics.checkpoints else ""
        cause = "out_of_host_memory" if process.code == -9 else "worker_died"
        return message + saved, cause, read_log_tail(folder)
    if metrics.ended is None or state not in FINISHED_STATES:
        return "", "", ""
    if state != "failed":
        return metrics.ended.message, "", ""
    cause = ERROR_CODES.get(metrics.ended.cause, "crashed")
    return metrics.ended.message or get_error_info(cause).title, cause, read_log_tail(folder)


def _get_end_time(metrics: RunMetrics, process: ProcessStatus) -> float | None:
    return metrics.ended.time if metrics.ended else process.ended or metrics.time


def _measure_seconds_per_step(metrics: RunMetrics) -> float | None:
    recent = [item for item in metrics.times[-PACE_WINDOW_STEPS:] if item[2] == metrics.stage]
    if len(recent) < 2 or recent[-1][1] <= recent[0][1]:
        return None
    return max(0.0, recent[-1][0] - recent[0][0]) / (recent[-1][1] - recent[0][1])


def _estimate_remaining_s(metrics: RunMetrics) -> float | None:
    pace, start = _measure_seconds_per_step(metrics), metrics.start_event
    if pace is None or start is None or not start.total_steps:
        return None
    before, last = metrics.times[-2][0], metrics.times[-1][0]
    since = min(max(0.0, time.time() - last), last - before)  # longer: a checkpoint, no step
    return max(0.0, (start.total_steps - metrics.step) * pace - since)


def _get_recent_median(metrics: RunMetrics, name: str) -> float | None:
    points = metrics.points.get((metrics.stage, name), [])
    return median(value for _, value in points[-20:]) if points else None


def _list_samples(folder: Path, metrics: RunMetrics) -> tuple[RunSample, ...]:
    return tuple(
        RunSample(
            step=sample.step,
            path=_resolve_inside(folder / SAMPLES_DIR, sample.path),
            text=sample.text,
            wer=sample.wer,
            similarity=sample.similarity,
        )
        for _, sample in sorted(metrics.samples.items())
        if _resolve_inside(folder / SAMPLES_DIR, sample.path).is_file()
    )


def _list_checkpoints(
    folder: Path, metrics: RunMetrics, choice: BestCheckpoint
) -> tuple[RunCheckpoint, ...]:
    views = []
    for step, saved in sorted(metrics.checkpoints.items()):
        path = _resolve_inside(folder / CHECKPOINTS_DIR, saved.path)
        sample = metrics.samples.get(step)
        views.append(
            RunCheckpoint(
                step=step,
                path=path,
                size=saved.bytes,
                loss=saved.loss,
                wer=sample.wer if sample else None,
                similarity=sample.similarity if sample else None,
                there=path.is_dir(),
                best=step == choice.step,
            )
        )
    return tuple(views)


def _resolve_inside(folder: Path, logged: str) -> Path:
    """Return a logged path as a file directly in `folder`, whatever folder the log names."""
    name = logged.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return folder / (name if name not in ("", ".", "..") and "\0" not in name else "missing")
