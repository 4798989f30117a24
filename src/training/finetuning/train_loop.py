"""The training loop of one stage: steps, event log, saved states, checkpoints and validation.

A step follows from the seed and its number, everything else from the saved state; so a resumed run
gives the same numbers as one that was not interrupted.
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
from runs.event_log import EventLogger, MetricAccumulator
from runs.events import CheckpointEvent, SampleEvent, ValidationEvent
from runs.state import (
    StateError,
    link_or_copy,
    mark_state_good,
    save_state,
)
from training.finetuning.checkpoints.run_layout import (
    TEMPORARY_MODEL_DIR,
    RunPaths,
    get_checkpoint_dir,
    get_sample_path,
    read_checkpoints,
)
from training.finetuning.checkpoints.selection import CheckpointInfo, find_best_step
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
from training.finetuning.distributed import DistributedContext
from training.finetuning.evaluation import SampleScorer
from training.finetuning.optim.divergence import DivergenceDetector, DivergenceError
from training.finetuning.sample_speech import SampleSynthesizer, temporary_model
from training.finetuning.train_step import StepExecutor, TrainingTask, training_step

SAVE_INTERVAL_S = 120.0
MAX_VALIDATION_CLIPS = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainContext:
    """Context of all stages of a run.

    cancellation: `check_cancelled` raises on a stop request. synthesize_sample: None for the
    engine's default; score_sample: None to turn scores off.
    """

    run: Path
    paths: RunPaths
    config: FinetuneConfig
    distributed: DistributedContext
    event_logger: EventLogger
    cancellation: ProgressReporter
    synthesize_sample: SampleSynthesizer | None
    score_sample: SampleScorer | None

    @property
    def stages(self) -> list[str]:
        """The names of the stages that have steps, in order."""
        steps = {"gpt": self.config.schedule.steps, "diffusion": self.config.diffusion.steps}
        return [name for name, count in steps.items() if count]

    def find_best_step(self, stage: str) -> int | None:
        """Return the step of the best checkpoint of a stage, None where it has none."""
        points = read_checkpoints(self.run)
        return find_best_step(points, stage, self.config.checkpoints.keep_best)

    def find_final_step(self) -> int | None:
        """Return the step of the best checkpoint of the last stage that has any."""
        found = (self.find_best_step(name) for name in reversed(self.stages))
        return next((step for step in found if step is not None), None)


@dataclass(kw_only=True, eq=False)
class StageTrainer:
    """The state of one stage.

    identity: what a saved state must have been made with;  gpt_checkpoint: the checkpoint whose
    GPT a diffusion stage uses, if any.
    """

    context: TrainContext
    task: TrainingTask
    executor: StepExecutor
    identity: Mapping[str, str]
    gpt_checkpoint: Path | None = None
    divergence: DivergenceDetector = field(default_factory=DivergenceDetector)
    current_step: int = 0

    @property
    def first_step(self) -> int:
        """The step of the run at which the stage begins."""
        return 0 if self.task.name == "gpt" else self.context.config.schedule.steps

    @property
    def last_step(self) -> int:
        """The step of the run at which the stage ends."""
        config = self.context.config
        return config.schedule.steps if self.task.name == "gpt" else config.total_steps

    @property
    def max_lr(self) -> float:
        """The peak learning rate of the stage."""
        config = self.context.config
        return config.optimizer.rate if self.task.name == "gpt" else config.diffusion.rate

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Resume from a saved state; None, or one of the stage before, starts the stage.

        Raises StateError for a state of another model, method or choice of frozen parts.
        """
        self._set_step(self.first_step)
        if state is None or state["stage"] != self.task.name:
            return
        if state["identity"] != dict(self.identity):
            raise StateError(
                "The saved state belongs to another model, method or choice of frozen parts. "
                "Restore the configuration, or start a new run."
            )
        for name, part in self.task.stateful_parts.items():
            part.load_state_dict(state["parts"][name])
        self.divergence.load_state_dict(state["watch"])
        self.executor.scaler.load_state_dict(state["scaler"])
        self.executor.micro_batch_size = min(self.executor.micro_batch_size, state["rows"])
        self._set_step(state["step"])

    def save(self) -> None:
        """Save the state; only the main process does."""
        if not self.context.distributed.is_main_process:
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
        save_state(self.context.run, state)

    def train(self) -> None:
        """Run the remaining steps of the stage.

        Raises Cancelled on a stop request, after saving; DivergenceError, DiskFullError and
        OutOfMemory.
        """
        context, schedule = self.context, self.context.config.schedule
        checkpoint_steps = set(list_checkpoint_steps(context.config))
        metrics = MetricAccumulator(
            event_logger=context.event_logger,
            checkpoint_every=context.config.checkpoints.every,
            device=context.distributed.device,
        )
        saved_at = time.monotonic()
        if self.current_step == self.first_step:
            self.validate()
        try:
            while True:
                if self.current_step in checkpoint_steps and self.current_step > self.first_step:
                    self.checkpoint()
                    metrics.reset()
                    saved_at = time.monotonic()
                self.raise_if_cancelled()
                if self.current_step >= self.last_step:
                    return
                step = self.current_step - self.first_step
                lr = compute_lr(schedule, self.max_lr, step, self.last_step - self.first_step)
                result = training_step(self.task, step, lr, self.executor)
                self._set_step(self.current_step + 1)
                self.divergence.update(result["loss"], result[self.task.validation_metric])
                is_last = self.current_step == self.last_step
                metrics.add(self.task.name, result, lr, last=is_last)
                if time.monotonic() - saved_at > SAVE_INTERVAL_S:
                    self.save()
                    saved_at = time.monotonic()
        except Cancelled:
            self.save()
            raise

    def checkpoint(self) -> None:
        """Save the state, then validate and write the checkpoint, unless that was done before.

        A stop request ends it early; it is done again when the run is resumed.
        """
        self.save()
        run, is_main = self.context.run, self.context.distributed.is_main_process
        if is_main and not is_checkpoint_complete(run, self.current_step):
            with suppress(Cancelled):
                self._write_checkpoint()
                self.divergence.recent = []
        else:
            self.divergence.recent = []

    def validate(self, train_loss: float | None = None) -> float | None:
        """Return the loss on held-out clips, None where there are none.

        Raises DivergenceError where it is not finite.
        """
        clips = self.task.clips.validation[:MAX_VALIDATION_CLIPS]
        if not clips or not self.context.distributed.is_main_process:
            return None
        self.context.cancellation.check_cancelled()
        with self.executor.autocast():
            loss = self.task.validate(clips)
        self.context.event_logger.log(
            ValidationEvent(stage=self.task.name, loss=loss, train_loss=train_loss)
        )
        if not math.isfinite(loss):
            raise DivergenceError("the validation loss is not a number")
        return loss

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` in every process where a stop was requested of any."""
        if self.context.distributed.any_process(is_cancel_requested(self.context.cancellation)):
            raise Cancelled("stopped on request")

    def _set_step(self, step: int) -> None:
        self.current_step = self.context.event_logger.step = step

    def _write_checkpoint(self) -> None:
        context, run, step = self.context, self.context.run, self.current_step
        train_loss = self.divergence.mean
        loss = self.validate(train_loss)
        mark_state_good(run)
        files = self.task.checkpoint_files()
        folder = begin_checkpoint(run, step, files, context.paths.bundle)
        for network in list_network_files(self.gpt_checkpoint) if self.gpt_checkpoint else ():
            link_or_copy(network, folder / network.name)
        wer, similarity = self._synthesize_sample(folder)
        info = CheckpointInfo(
            step=step,
            stage=self.task.name,
            loss=loss,
            train_loss=train_loss,
            wer=wer,
            similarity=similarity,
        )
        size = finish_checkpoint(run, info)
        is_best = find_best_step(read_checkpoints(run), self.task.name) == step
        path = get_checkpoint_dir(run, step).relative_to(run).as_posix()
        context.event_logger.log(CheckpointEvent(path=path, bytes=size, loss=loss, best=is_best))
        kept = context.config.checkpoints
        prune_checkpoints(run, kept.keep_last, kept.keep_best)

    def _synthesize_sample(self, folder: Path) -> tuple[float | None, float | None]:
        """Synthesize the sample with a checkpoint; return its word error rate and similarity."""
        context, run = self.context, self.context.run
        text = context.config.samples.text.strip()
        path = get_sample_path(run, self.current_step)
        if not text or context.synthesize_sample is None:
            return None, None
        networks, temporary = list_network_files(folder), run / TEMPORARY_MODEL_DIR
        try:
            with temporary_model(context.paths.bundle, networks, temporary) as model:
                context.synthesize_sample(model, text, path)
            scores = context.score_sample(path, text) if context.score_sample else (None, None)
        except (ValueError, RuntimeError, MemoryError, OSError) as error:  # no reason to end a run
            context.event_logger.warn(f"The sample could not be synthesized: {error}")
            return None, None
        wer, similarity = scores
        relative = path.relative_to(run).as_posix()
        context.event_logger.log(
            SampleEvent(path=relative, text=text, wer=wer, similarity=similarity)
        )
        return scores


def is_cancel_requested(report: ProgressReporter) -> bool:
    """Return whether a stop was requested."""
    try:
        report.check_cancelled()
    except Cancelled:
        return True
    return False
