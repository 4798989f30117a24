"""One stage on its way, from step to step: told of, saved, judged and thinned out as it goes.

Everything that a step does follows from the seed and its number, and everything else from what is
saved, so it makes no difference where a run was interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.progress import Cancelled, ProgressReporter
from training.finetuning.checkpoints.retention import CheckpointInfo, find_best_step
from training.finetuning.checkpoints.run_layout import (
    TEMPORARY_MODEL_DIR,
    get_checkpoint_dir,
    get_sample_path,
    read_checkpoints,
)
from training.finetuning.checkpoints.state import (
    StateError,
    link_or_copy,
    mark_state_good,
    save_state,
)
from training.finetuning.checkpoints.store import (
    begin_checkpoint,
    finish_checkpoint,
    is_checkpoint_complete,
    list_network_files,
    prune_checkpoints,
)
from training.finetuning.config.lr_schedule import compute_lr
from training.finetuning.config.schema import FinetuneConfig
from training.finetuning.config.suggest import list_checkpoint_steps
from training.finetuning.dataset import DatasetSplits
from training.finetuning.evaluation import SampleScorer
from training.finetuning.event_log import EventLogger, create_metric_accumulator
from training.finetuning.optim.divergence import DivergenceDetector, DivergenceError
from training.finetuning.sample_speech import SampleSynthesizer, temporary_model
from training.finetuning.train_step import StepExecutor, TrainingTask, training_step

SAVE_INTERVAL_S = 120.0
MAX_VALIDATION_CLIPS = 64
"""Clips that are judged at each checkpoint; more tell little more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRange:
    """The steps of a stage among those of the run. rate: its highest learning rate."""

    first: int
    last: int
    rate: float

    @property
    def steps(self) -> int:
        """How many there are."""
        return self.last - self.first


@dataclass(kw_only=True, eq=False)
class StageTrainer:
    """A stage with all that walks it.

    base: the bundle it began with;  gpt: the checkpoint whose GPT this stage goes with, if any;
    identity: what the state belongs to, so that it is not gone on from with something else.
    """

    run: Path
    base: Path
    config: FinetuneConfig
    task: TrainingTask
    step_range: StepRange
    clips: DatasetSplits
    executor: StepExecutor
    event_logger: EventLogger
    cancellation: ProgressReporter
    identity: Mapping[str, str]
    gpt_checkpoint: Path | None = None
    synthesize_sample: SampleSynthesizer | None = None
    score_sample: SampleScorer | None = None
    divergence: DivergenceDetector = field(default_factory=DivergenceDetector)
    current_step: int = 0

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Go on from a saved state, None for the stage's beginning.

        Raises StateError for one of another choice.
        """
        self.current_step = self.event_logger.step = self.step_range.first
        if state is None or state["stage"] != self.task.name:
            return
        if state["identity"] != dict(self.identity):
            raise StateError(
                "The saved state belongs to another model, method or choice of frozen parts. "
                "Put the configuration back, or begin a new run."
            )
        for name, part in self.task.stateful_parts.items():
            part.load_state_dict(state["parts"][name])
        self.divergence.load_state_dict(state["watch"])
        self.executor.scaler.load_state_dict(state["scaler"])
        self.executor.micro_batch_size = min(self.executor.micro_batch_size, state["rows"])
        self.current_step = self.event_logger.step = state["step"]

    def save(self) -> None:
        """Write down where the course is; only the leading process does."""
        if not self.executor.distributed.is_main_process:
            return
        parts = {name: part.state_dict() for name, part in self.task.stateful_parts.items()}
        state = {
            "step": self.current_step,
            "stage": self.task.name,
            "identity": dict(self.identity),
            "rows": self.executor.micro_batch_size,
            "watch": self.divergence.state_dict(),
            "scaler": self.executor.scaler.state_dict(),
            "parts": parts,
        }
        save_state(self.run, state)

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` in every process when one was asked to stop."""
        if self.executor.distributed.any_process(is_cancel_requested(self.cancellation)):
            raise Cancelled("stopped on request")


def train_stage(course: StageTrainer) -> None:
    """Take every step that is left of a stage.

    Raises Cancelled when asked to stop, after saving; Diverged, DiskFull and OutOfMemory.
    """
    stretch, schedule = course.step_range, course.config.schedule
    due = set(list_checkpoint_steps(course.config))
    notes = create_metric_accumulator(
        course.event_logger, course.config.checkpoints.every, course.executor.distributed.device
    )
    saved_at = time.monotonic()
    if course.current_step == stretch.first:
        validate(course)
    try:
        while True:
            if course.current_step in due and course.current_step > stretch.first:
                checkpoint_and_evaluate(course)
                notes.reset()
                saved_at = time.monotonic()
            course.raise_if_cancelled()
            if course.current_step >= stretch.last:
                return
            step = course.current_step - stretch.first
            rate = compute_lr(schedule, stretch.rate, step, stretch.steps)
            figures = training_step(course.task, step, rate, course.executor)
            course.current_step = course.event_logger.step = course.current_step + 1
            course.divergence.update(figures["loss"], figures[course.task.validation_metric])
            notes.add(course.task.name, figures, rate, course.current_step == stretch.last)
            if time.monotonic() - saved_at > SAVE_INTERVAL_S:
                course.save()
                saved_at = time.monotonic()
    except Cancelled:
        course.save()
        raise


def checkpoint_and_evaluate(course: StageTrainer) -> None:
    """Save; then judge, speak and keep the checkpoint of this step, unless that was done.

    Asked to stop meanwhile, it ends early and is done again when the run goes on.
    """
    course.save()
    if course.executor.distributed.is_main_process and not is_checkpoint_complete(
        course.run, course.current_step
    ):
        with suppress(Cancelled):
            make_checkpoint(course)
            course.divergence.recent = []
    else:
        course.divergence.recent = []


def make_checkpoint(course: StageTrainer) -> None:
    """Judge the stage as it is, speak with it, keep it, and let go of what is not needed.

    Raises Cancelled when asked to stop, leaving nothing.
    """
    train_loss = course.divergence.mean
    loss = validate(course, train_loss)
    mark_state_good(course.run)
    folder = begin_checkpoint(
        course.run, course.current_step, course.task.checkpoint_files(), course.base
    )
    for network in list_network_files(course.gpt_checkpoint) if course.gpt_checkpoint else ():
        link_or_copy(network, folder / network.name)
    wer, similarity = _synthesize_sample(course, folder)
    point = CheckpointInfo(
        step=course.current_step,
        stage=course.task.name,
        loss=loss,
        train_loss=train_loss,
        wer=wer,
        similarity=similarity,
    )
    size = finish_checkpoint(course.run, point)
    best = find_best_step(read_checkpoints(course.run), course.task.name) == course.current_step
    told = _relative_to_run(course.run, get_checkpoint_dir(course.run, course.current_step))
    course.event_logger.log("checkpoint", path=told, bytes=size, loss=loss, best=best)
    kept = course.config.checkpoints
    prune_checkpoints(course.run, kept.keep_last, kept.keep_best)


def validate(course: StageTrainer, train_loss: float | None = None) -> float | None:
    """Judge the stage on clips it never learned from, None where there are none.

    Raises Diverged where what it says is not a number.
    """
    clips = course.clips.validation[:MAX_VALIDATION_CLIPS]
    if not clips or not course.executor.distributed.is_main_process:
        return None
    course.cancellation.check_cancelled()
    with course.executor.autocast():
        loss = course.task.validate(clips)
    course.event_logger.log("validation", stage=course.task.name, loss=loss, train_loss=train_loss)
    if not math.isfinite(loss):
        raise DivergenceError("the validation loss is not a number")
    return loss


def _synthesize_sample(course: StageTrainer, folder: Path) -> tuple[float | None, float | None]:
    """Speak the sentence with the networks of a checkpoint; returns how it was judged."""
    text, path = (
        course.config.samples.text.strip(),
        get_sample_path(course.run, course.current_step),
    )
    if not text or course.synthesize_sample is None:
        return None, None
    try:
        with temporary_model(
            course.base, list_network_files(folder), course.run / TEMPORARY_MODEL_DIR
        ) as bundle:
            course.synthesize_sample(bundle, text, path)
        wer, similarity = course.score_sample(path, text) if course.score_sample else (None, None)
    except (ValueError, RuntimeError, MemoryError, OSError) as error:  # no reason to end a run
        course.event_logger.warn(f"The sentence could not be spoken: {error}")
        return None, None
    told = _relative_to_run(course.run, path)
    course.event_logger.log("sample", path=told, text=text, wer=wer, similarity=similarity)
    return wer, similarity


def _relative_to_run(run: Path, path: Path) -> str:
    return path.relative_to(run).as_posix()


def is_cancel_requested(report: ProgressReporter) -> bool:
    """Whether the work was asked to stop."""
    try:
        report.check_cancelled()
    except Cancelled:
        return True
    return False
