"""The loop of a training run: steps, curves, saves, backups, validation, limits, stop requests."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from core.errors import AppError
from core.progress import Cancelled, ProgressReporter
from jobs.detached import STOP_FILE
from runs.config import RunConfig
from runs.early_stopping import EarlyStopping
from runs.event_log import (
    MIN_POINTS_PER_CHECKPOINT,
    EventLogger,
    MetricAccumulator,
    create_tensorboard_logger,
)
from runs.events import CheckpointEvent, TrainResult, ValidationEvent
from runs.state import is_disk_full_error, link_or_copy, load_state, save_state

SAVE_INTERVAL_S = 180.0
NEVER = 10**9  # steps


class TrainingDivergedError(RuntimeError):
    """The loss is no longer a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """metrics: name -> value, with `loss`; rate: the learning rate of the step."""

    metrics: Mapping[str, float]
    rate: float


class LoopTask(Protocol):
    """What a kind of training does at each place of the loop."""

    stage: str
    device: torch.device

    def train_step(self, step: int) -> StepResult:
        """Train one step, counted from 0. The same step of a resumed run does the same."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs; tensors and plain values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...

    def export(self, run: Path, step: int) -> Path:
        """Write the model of now; returns its file."""
        ...

    def validate(self, step: int) -> Mapping[str, float] | None:
        """Return the `loss` and other metrics on data kept apart, None where there is none."""
        ...

    def illustrate(self, run: Path, step: int) -> list[str]:
        """Write pictures and sounds; returns notes for the user."""
        ...


class ModelState:
    """The state of a task that is its model and its optimizer."""

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the model and of the optimizer."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Compute without gradients, dropout and updates of statistics; then train again."""
        self.model.eval()
        try:
            with torch.inference_mode():
                yield
        finally:
            self.model.train()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopOptions:
    """Numbers of steps; 0: never. max_minutes: of computing; patience: validations without gain;
    threshold: the smallest gain; backup_file, best_file: names made of the model's `stem`,
    `suffix`, and for backups `step` or `thousands` of steps.
    """

    steps: int
    max_minutes: float = 0.0
    vis_every: int = 10
    save_every: int = 1_000
    backup_every: int = 25_000
    eval_every: int = 500
    patience: int = 0
    threshold: float = 0.0
    backup_file: str = "{stem}_{thousands:06d}{suffix}"
    best_file: str = "{stem}_best{suffix}"

    @classmethod
    def from_config(cls, config: RunConfig, steps: int, eval_every: int) -> LoopOptions:
        """Take the limits and intervals of a configuration."""
        return cls(
            steps=steps,
            max_minutes=config.max_minutes,
            vis_every=config.vis_every,
            save_every=config.save_every,
            backup_every=config.backup_every,
            eval_every=eval_every,
            patience=config.patience,
        )


@dataclass(kw_only=True, eq=False)
class RunLoop:
    """Runs a task to its end, or until there is a file `stop` in the folder of the run."""

    run: Path
    task: LoopTask
    options: LoopOptions
    logger: EventLogger
    report: ProgressReporter
    step: int = 0
    seconds: float = 0.0  # of computing, over all processes of the run
    saved_step: int = -1
    stopping: EarlyStopping = field(init=False)

    def __post_init__(self) -> None:
        options = self.options
        self.stopping = EarlyStopping(patience=options.patience, threshold=options.threshold)

    def restore(self) -> bool:
        """Continue from the saved state; return whether there is one."""
        state = load_state(self.run)
        if state is None:
            return False
        self.task.load_state_dict(state["task"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.stopping.lowest = state["best_loss"]
        self.stopping.without_gain = state["without_gain"]
        self.saved_step = self.logger.step = self.step
        return True

    def train(self) -> str:
        """Run the remaining steps; return why they ended.

        Raises Cancelled on a stop request, after saving; TrainingDivergedError, OSError.
        """
        options = self.options
        metrics = MetricAccumulator(
            event_logger=self.logger,
            checkpoint_every=(options.vis_every or NEVER) * MIN_POINTS_PER_CHECKPOINT,
            device=self.task.device,
        )
        saved_at = time.monotonic()
        while self.step < options.steps:
            self._check_stop()
            started = time.monotonic()
            result = self.task.train_step(self.step)
            if not all(math.isfinite(value) for value in result.metrics.values()):
                raise TrainingDivergedError(f"the loss at step {self.step} is not a number")
            self.step += 1
            self.seconds += time.monotonic() - started
            self.logger.step = self.step
            is_last = self.step == options.steps
            metrics.add(self.task.stage, dict(result.metrics), result.rate, last=is_last)
            if self._is_due(options.eval_every) and not self._evaluate():
                self.save()
                return "stopped early: the validation loss no longer decreases"
            if 0 < 60 * options.max_minutes <= self.seconds:
                self.save()
                return f"used its {options.max_minutes:g} minutes"
            is_old = options.save_every and time.monotonic() - saved_at > SAVE_INTERVAL_S
            if self._is_due(options.save_every) or is_old:
                self.save()
                saved_at = time.monotonic()
            self._back_up()
        self.save()
        return "reached its last step"

    def save(self) -> None:
        """Write the state to resume from, and the model; not twice at one step."""
        if self.saved_step == self.step:
            return
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "best_loss": self.stopping.lowest,
            "without_gain": self.stopping.without_gain,
            "task": self.task.state_dict(),
        }
        save_state(self.run, state)
        self.saved_step = self.step
        path = self.task.export(self.run, self.step)
        self.logger.log(CheckpointEvent(path=path.name, bytes=path.stat().st_size))

    def _back_up(self) -> None:
        if self._is_due(self.options.backup_every):
            path = self.task.export(self.run, self.step)
            name = self.options.backup_file.format(
                stem=path.stem, suffix=path.suffix, step=self.step, thousands=self.step // 1_000
            )
            link_or_copy(path, path.with_name(name))

    def _evaluate(self) -> bool:
        """Validate and illustrate; return False where the training is to stop early."""
        for note in self.task.illustrate(self.run, self.step):
            self.logger.note(note)
        found = self.task.validate(self.step)
        if found is None:
            return True
        if not math.isfinite(loss := found["loss"]):
            raise TrainingDivergedError("the validation loss is not a number")
        self.logger.log(ValidationEvent.model_validate({"stage": self.task.stage, **found}))
        if self.stopping.update(loss):
            path = self.task.export(self.run, self.step)
            name = self.options.best_file.format(stem=path.stem, suffix=path.suffix)
            best = path.with_name(name)
            link_or_copy(path, best)
            self.logger.log(
                CheckpointEvent(path=best.name, bytes=best.stat().st_size, loss=loss, best=True)
            )
        return not self.stopping.is_over

    def _is_due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0

    def _check_stop(self) -> None:
        if (self.run / STOP_FILE).exists():
            self.save()
            raise Cancelled("stopped on request")
        try:
            self.report.check_cancelled()
        except Cancelled:
            self.save()
            raise


def run_to_end(
    run: Path, report: ProgressReporter, create: Callable[[EventLogger], RunLoop]
) -> TrainResult:
    """Create a loop, run it, and log how it ended. create: from the logger of the run."""
    logger = EventLogger(run=run, is_main_process=True, report=report)
    logger.log_to_tensorboard = create_tensorboard_logger(run)
    try:
        reason = create(logger).train()
        result = TrainResult(state="done", message=f"Finished: the training {reason}.")
    except Cancelled:
        result = TrainResult(state="stopped", cause="asked", message="Saved, and stopped.")
    except TrainingDivergedError as error:
        message = f"The training diverged: {error}. Lower the learning rate and resume."
        result = TrainResult(state="failed", cause="diverged", message=message)
    except OSError as error:
        cause = "disk" if is_disk_full_error(error) else "files"
        result = TrainResult(state="failed", cause=cause, message=str(error))
    except (ValueError, AppError) as error:
        result = TrainResult(state="failed", cause="refused", message=str(error))
    logger.log_end(result)
    return result
