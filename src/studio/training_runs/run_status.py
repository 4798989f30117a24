"""A training run as everybody sees it, made from its folder alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Literal

from core.error_classifier import ERROR_CATALOG
from jobs.detached import (
    STOP_FILE,
    ProcessRecord,
    describe_exit_code,
    is_alive,
    read_log_tail,
    read_process_record,
)
from studio.training_runs.event_log_reader import EventLogReader, RunMetrics
from studio.training_runs.metrics import Curve, CurvePoints, build_curves
from training.finetuning.checkpoints.selection import (
    BestCheckpoint,
    SampleScores,
    ValidationResult,
    select_best_checkpoint,
)
from training.finetuning.config.schema import CONFIG_FILE, ConfigError, read_config

RunState = Literal["waiting", "running", "stopping", "done", "stopped", "failed", "died"]
FINISHED_STATES: frozenset[RunState] = frozenset({"done", "stopped", "failed", "died"})
PACE_WINDOW_STEPS = 200  # step events from which the pace is taken
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
"""The trainer's word for why it ended, as the catalogue of causes has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSample:
    """The sentence as it was spoken at a step. wer, similarity: None where nobody judged."""

    step: int
    path: Path
    text: str
    wer: float | None
    similarity: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCheckpoint:
    """A checkpoint. size: bytes;  loss: of validation;  there: it has not been pruned since."""

    step: int
    path: Path
    size: int
    loss: float | None
    wer: float | None
    similarity: float | None
    there: bool
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """One run at one moment.

    stage: "gpt" or "diffusion";  began, ended: seconds since 1970;  eta_s: seconds left;
    memory: bytes;  best: the step to take and why;  overfitting, message: a sentence or "";
    cause: a key of core.error_classifier, of one that failed or died;
    details: the end of its console.
    """

    dataset: str
    name: str
    folder: Path
    state: RunState
    stage: str = ""
    step: int = 0
    steps: int = 0
    began: float | None = None
    ended: float | None = None
    eta_s: float | None = None
    seconds_per_step: float | None = None
    memory: int | None = None
    device: str = ""
    clips: int = 0
    validation_clips: int = 0
    curves: tuple[Curve, ...] = ()
    samples: tuple[RunSample, ...] = ()
    checkpoints: tuple[RunCheckpoint, ...] = ()
    best: int | None = None
    why_best: str = ""
    overfitting: str = ""
    overfit_since: int | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    message: str = ""
    cause: str = ""
    details: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it by itself."""
        return self.state in FINISHED_STATES

    @property
    def can_resume(self) -> bool:
        """Whether it can go on where it ended."""
        return self.is_over and self.state != "done" and (self.folder / CONFIG_FILE).is_file()

    def curve(self, name: str, stage: str = "gpt") -> CurvePoints:
        """Return the points of one curve; none where there is no such curve."""
        found = (c.points for c in self.curves if (c.stage, c.name) == (stage, name))
        return next(found, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run as a list shows it."""

    dataset: str
    name: str
    state: RunState
    step: int
    steps: int
    began: float | None
    ended: float | None
    eta_s: float | None
    best: int | None


def get_run_summary(dataset: str, folder: Path, event_log: EventLogReader) -> RunSummary:
    """Describe a run for a list."""
    kept, figures = read_process_record(folder), event_log.read()
    state = _get_run_state(folder, figures, kept, is_alive(folder))
    begun = figures.start_event
    return RunSummary(
        dataset=dataset,
        name=folder.name,
        state=state,
        step=figures.step,
        steps=begun.total_steps if begun else read_planned_steps(folder),
        began=figures.first_start_time or kept.launched,
        ended=_get_end_time(figures, kept) if state in FINISHED_STATES else None,
        eta_s=_estimate_remaining_s(figures, _measure_seconds_per_step(figures))
        if state in ("running", "stopping")
        else None,
        best=select_run_checkpoint(folder, figures).step,
    )


def get_run_status(dataset: str, folder: Path, diary: EventLogReader) -> RunStatus:
    """Describe a run."""
    kept, alive = read_process_record(folder), is_alive(folder)
    figures = diary.read()
    state = _get_run_state(folder, figures, kept, alive)
    message, cause, details = _describe_end(state, folder, figures, kept)
    begun, choice = figures.start_event, select_run_checkpoint(folder, figures)
    pace = _measure_seconds_per_step(figures)
    return RunStatus(
        dataset=dataset,
        name=folder.name,
        folder=folder,
        state=state,
        stage=figures.stage,
        step=figures.step,
        steps=begun.total_steps if begun else read_planned_steps(folder),
        began=figures.first_start_time or kept.launched,
        ended=_get_end_time(figures, kept) if state in FINISHED_STATES else None,
        eta_s=_estimate_remaining_s(figures, pace) if state in ("running", "stopping") else None,
        seconds_per_step=_get_recent_median(figures, "seconds") or pace,
        memory=int(_get_recent_median(figures, "memory") or 0) or None,
        device=begun.device if begun else "",
        clips=begun.clips if begun else 0,
        validation_clips=begun.validation_clips if begun else 0,
        curves=build_curves(figures.points),
        samples=_list_samples(folder, figures),
        checkpoints=_list_checkpoints(folder, figures, choice),
        best=choice.step,
        why_best=choice.why,
        overfitting=choice.overfitting,
        overfit_since=choice.overfit_since,
        warnings=tuple(figures.warnings),
        notes=tuple(figures.notes),
        message=message,
        cause=cause,
        details=details,
    )


def read_planned_steps(folder: Path) -> int:
    """Say how many steps a run that has not begun will take; 0 where its plan cannot be read."""
    try:
        return read_config(folder / CONFIG_FILE).total_steps
    except (ConfigError, OSError):
        return 0


def select_run_checkpoint(folder: Path, figures: RunMetrics) -> BestCheckpoint:
    """Say which checkpoint that is there to take: by the last stage that was validated."""
    stages = [stage for (stage, name), points in figures.points.items()
              if name == "validation" and points]  # fmt: skip
    stage = stages[-1] if stages else "gpt"
    trained = dict(figures.points.get((stage, "train_loss"), ()))
    validations = [
        ValidationResult(step=step, loss=loss, train_loss=trained.get(step))
        for step, loss in figures.points.get((stage, "validation"), ())
    ]
    judgements = [
        SampleScores(step=spoken.step, wer=spoken.wer, similarity=spoken.similarity)
        for spoken in figures.samples.values()
    ]
    kept = [step for step, saved in figures.checkpoints.items()
            if _resolve_inside(folder / CHECKPOINTS_DIR, saved.path).is_dir()]  # fmt: skip
    return select_best_checkpoint(validations, judgements, kept)


def _get_run_state(folder: Path, figures: RunMetrics, kept: ProcessRecord, alive: bool) -> RunState:
    """The supervisor says whether a run waits, the trainer how it ended, the lock if it died."""
    is_waiting = alive and kept.group > 0 and kept.launched is None
    ended = figures.ended
    if ended and not is_waiting and (ended.time or 0.0) >= (kept.launched or 0.0):
        return ended.state  # by the latest start, not by one before
    if alive and (folder / STOP_FILE).exists():
        return "stopping"
    if alive:
        return "waiting" if is_waiting else "running"
    stopped_while_waiting = kept.launched is None and kept.code == 0
    return "stopped" if stopped_while_waiting else "died"


def _describe_end(
    state: RunState, folder: Path, figures: RunMetrics, kept: ProcessRecord
) -> tuple[str, str, str]:
    """Say why a run ended: message, cause, details."""
    if state == "died":
        message = f"The training ended unexpectedly: {describe_exit_code(kept.code)}."
        saved = " Resume goes on from the last saved state." if figures.checkpoints else ""
        cause = "out_of_host_memory" if kept.code == -9 else "worker_died"
        return message + saved, cause, read_log_tail(folder)
    if figures.ended is None or state not in FINISHED_STATES:
        return "", "", ""
    if state != "failed":
        return figures.ended.message, "", ""
    cause = ERROR_CODES.get(figures.ended.cause, "crashed")
    return figures.ended.message or ERROR_CATALOG[cause].title, cause, read_log_tail(folder)


def _get_end_time(figures: RunMetrics, kept: ProcessRecord) -> float | None:
    return figures.ended.time if figures.ended else kept.ended or figures.time


def _measure_seconds_per_step(figures: RunMetrics) -> float | None:
    """Seconds per step of late, with all that happens between steps."""
    recent = [item for item in figures.times[-PACE_WINDOW_STEPS:] if item[2] == figures.stage]
    if len(recent) < 2 or recent[-1][1] <= recent[0][1]:
        return None
    return max(0.0, recent[-1][0] - recent[0][0]) / (recent[-1][1] - recent[0][1])


def _estimate_remaining_s(figures: RunMetrics, pace: float | None) -> float | None:
    if pace is None or figures.start_event is None or not figures.start_event.total_steps:
        return None
    before, last = figures.times[-2][0], figures.times[-1][0]
    since = min(max(0.0, time.time() - last), last - before)  # longer: a checkpoint, no step
    return max(0.0, (figures.start_event.total_steps - figures.step) * pace - since)


def _get_recent_median(figures: RunMetrics, name: str) -> float | None:
    points = figures.points.get((figures.stage, name), [])
    return median(value for _, value in points[-20:]) if points else None


def _list_samples(folder: Path, figures: RunMetrics) -> tuple[RunSample, ...]:
    return tuple(
        RunSample(
            step=spoken.step,
            path=_resolve_inside(folder / SAMPLES_DIR, spoken.path),
            text=spoken.text,
            wer=spoken.wer,
            similarity=spoken.similarity,
        )
        for _, spoken in sorted(figures.samples.items())
        if _resolve_inside(folder / SAMPLES_DIR, spoken.path).is_file()
    )


def _list_checkpoints(
    folder: Path, figures: RunMetrics, choice: BestCheckpoint
) -> tuple[RunCheckpoint, ...]:
    views = []
    for step, saved in sorted(figures.checkpoints.items()):
        path = _resolve_inside(folder / CHECKPOINTS_DIR, saved.path)
        judged = figures.samples.get(step)
        views.append(
            RunCheckpoint(
                step=step,
                path=path,
                size=saved.bytes,
                loss=saved.loss,
                wer=judged.wer if judged else None,
                similarity=judged.similarity if judged else None,
                there=path.is_dir(),
                best=step == choice.step,
            )
        )
    return tuple(views)


def _resolve_inside(folder: Path, told: str) -> Path:
    """Return a path of the diary as a file of this folder, whatever it says."""
    name = told.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return folder / (name if name not in ("", ".", "..") and "\0" not in name else "missing")
