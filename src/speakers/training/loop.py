"""The training loop of a speaker encoder: steps, validation, saved states and backups."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from core.errors import AppError
from core.progress import Cancelled, ProgressReporter
from jobs.detached import STOP_FILE
from runs.event_log import EventLogger, MetricAccumulator
from runs.events import CheckpointEvent, ValidationEvent
from runs.state import link_or_copy, load_state, save_state
from speakers.dataset import SpeakerDataset
from speakers.modules.checkpoints import EncoderCheckpoint, EncoderModel, save_checkpoint
from speakers.modules.eer import compute_batch_eer
from speakers.training.config import EncoderTrainConfig
from speakers.training.early_stopping import EarlyStopping
from speakers.training.networks import (
    BatchLosses,
    compute_learning_rate,
    compute_losses,
    update_weights,
)
from speakers.training.run_files import (
    BEST_FILE,
    ENCODER_FILE,
    draw_projection,
    get_backup_path,
    get_final_path,
    get_projection_path,
)
from speakers.training.sampler import (
    Batch,
    BatchSampler,
    FeatureStore,
    SpeakerSplit,
    compute_cycle_steps,
)

STAGE = "encoder"
SAVE_INTERVAL_S = 180.0
POINTS_PER_CHECKPOINT = 20  # as the event log counts; makes a point of every `vis_every` steps
VALIDATION_SEED = 1
MIN_CYCLE_STEPS = 10  # a small dataset is not validated after every few steps


class TrainingDivergedError(RuntimeError):
    """The loss is no longer a number."""


@dataclass(kw_only=True, eq=False)
class EncoderTrainer:
    """The state of one training."""

    run: Path
    config: EncoderTrainConfig
    dataset: SpeakerDataset
    split: SpeakerSplit
    store: FeatureStore
    model: EncoderModel
    optimizer: torch.optim.Optimizer
    sampler: BatchSampler
    stopping: EarlyStopping
    device: torch.device
    logger: EventLogger
    report: ProgressReporter
    step: int = 0
    seconds: float = 0.0  # of computing, over all processes of the run
    saved_step: int = -1

    def restore(self) -> bool:
        """Continue from the saved state; return whether there is one."""
        state = load_state(self.run)
        if state is None:
            return False
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.sampler.load_state_dict(state["sampler"])
        self.stopping.load_state_dict(state["stopping"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.saved_step = self.logger.step = self.step
        return True

    def train(self) -> str:
        """Run the remaining steps; return why they ended.

        Raises Cancelled on a stop request, after saving; TrainingDivergedError, OSError.
        """
        metrics = MetricAccumulator(
            event_logger=self.logger,
            checkpoint_every=max(1, self.config.vis_every) * POINTS_PER_CHECKPOINT,
            device=self.device,
        )
        cycle = self.config.train_iters or compute_cycle_steps(
            self.split.train, self.config, MIN_CYCLE_STEPS
        )
        saved_at = time.monotonic()
        reason = "reached its last step"
        while self.step < self.config.steps:
            if (self.run / STOP_FILE).exists():
                self.save()
                raise Cancelled("stopped on request")
            self._check_report()
            started = time.monotonic()
            losses, rate, norm = self._train_step()
            self._advance(time.monotonic() - started)
            metrics.add(STAGE, _collect(losses, norm), rate, last=self.step == self.config.steps)
            self._draw(losses)
            if self.step % cycle == 0 and self._validate() and self.stopping.is_over:
                reason = "stopped early: the validation loss no longer decreases"
                break
            if self._is_time_over():
                reason = f"used its {self.config.max_minutes:g} minutes"
                break
            if self._is_due(self.config.save_every) or time.monotonic() - saved_at > (
                SAVE_INTERVAL_S if self.config.save_every else math.inf
            ):
                self.save()
                saved_at = time.monotonic()
            if self._is_due(self.config.backup_every):
                self.save()
                link_or_copy(self.run / ENCODER_FILE, get_backup_path(self.run, self.step))
        self.save()
        self._write_final()
        return reason

    def save(self) -> None:
        """Write the state to resume from, and the encoder; not twice at one step."""
        if self.saved_step == self.step and (self.run / ENCODER_FILE).exists():
            return
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "sampler": self.sampler.state_dict(),
            "stopping": self.stopping.state_dict(),
        }
        save_state(self.run, state)
        self.saved_step = self.step
        self._save_encoder(ENCODER_FILE)

    def _train_step(self) -> tuple[BatchLosses, float, float]:
        batch = self.sampler.draw()
        losses = self._compute(batch, self.config.loss)
        if not torch.isfinite(losses.total):
            raise TrainingDivergedError(f"the loss at step {self.step} is not a number")
        rate = compute_learning_rate(self.config, self._progress())
        norm = update_weights(self.model, self.optimizer, losses.total, rate)
        return losses, rate, norm

    def _compute(self, batch: Batch, use: str) -> BatchLosses:
        on_device = Batch(frames=batch.frames.to(self.device), speakers=batch.speakers)
        return compute_losses(self.model, on_device, self.config.utterances_per_speaker, use)

    def _progress(self) -> float:
        by_steps = self.step / self.config.steps
        limit = 60 * self.config.max_minutes
        return max(by_steps, self.seconds / limit) if limit else by_steps

    def _advance(self, seconds: float) -> None:
        self.step += 1
        self.seconds += seconds
        self.logger.step = self.step

    def _validate(self) -> bool:
        """Log the losses on the speakers kept apart; return whether there are any."""
        if len(self.split.validation) < 2:
            return False
        sampler = BatchSampler(
            self.store, self.split.validation, self.config, VALIDATION_SEED, augment=False
        )
        count = self.config.val_iters or compute_cycle_steps(self.split.validation, self.config)
        self.model.eval()
        with torch.inference_mode():
            found = [self._compute(sampler.draw(), "ge2e") for _ in range(count)]
        self.model.train()
        loss = sum(float(each.ge2e) for each in found) / count
        if not math.isfinite(loss):
            raise TrainingDivergedError("the validation loss is not a number")
        is_best = self.stopping.update(loss)
        rates = [rate for each in found if (rate := _measure_eer(each)) is not None]
        self.logger.log(
            ValidationEvent(
                stage=STAGE, loss=loss, ge2e=loss, eer=sum(rates) / len(rates) if rates else None
            )
        )
        if is_best:
            self._save_encoder(BEST_FILE)
            size = (self.run / BEST_FILE).stat().st_size
            self.logger.log(CheckpointEvent(path=BEST_FILE, bytes=size, loss=loss, best=True))
        return True

    def _is_due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0

    def _is_time_over(self) -> bool:
        return 0 < 60 * self.config.max_minutes <= self.seconds

    def _check_report(self) -> None:
        try:
            self.report.check_cancelled()
        except Cancelled:
            self.save()
            raise

    def _draw(self, losses: BatchLosses) -> None:
        """Draw the embeddings of a batch; without the packages for it, say so once."""
        if not self._is_due(self.config.umap_every):
            return
        try:
            names = [str(number + 1) for number in range(len(losses.embeddings))]
            path = get_projection_path(self.run, self.step)
            draw_projection(path, losses.embeddings.detach().float().cpu(), names)
        except (ImportError, AppError) as error:
            if self.step == self.config.umap_every:
                self.logger.note(f"No picture of the embeddings: {error}")

    def _save_encoder(self, name: str) -> None:
        save_checkpoint(self.run / name, self._make_checkpoint())

    def _write_final(self) -> None:
        link_or_copy(self.run / ENCODER_FILE, get_final_path(self.run, self.step))
        size = (self.run / ENCODER_FILE).stat().st_size
        self.logger.log(CheckpointEvent(path=ENCODER_FILE, bytes=size))

    def _make_checkpoint(self) -> EncoderCheckpoint:
        return EncoderCheckpoint(
            model=self.model,
            kind=self.config.kind,
            features=self.dataset.features,
            statistics=self.dataset.statistics,
            partial_frames=self.config.crop_frames,
            step=self.step + 1,  # as the published encoder counts
            optimizer_state=self.optimizer.state_dict(),
        )


def _collect(losses: BatchLosses, norm: float) -> dict[str, float]:
    """Return the metrics of a step for the event log."""
    found: dict[str, float] = {
        "loss": float(losses.total.detach()),
        "ge2e": float(losses.ge2e.detach()),
        "gradient": norm,
    }
    if losses.prediction is not None and losses.accuracy is not None:
        found["prediction"] = float(losses.prediction.detach())
        found["accuracy"] = float(losses.accuracy)
    if (rate := _measure_eer(losses)) is not None:
        found["eer"] = rate
    return found


def _measure_eer(losses: BatchLosses) -> float | None:
    """Return the equal error rate of a batch, None where scikit-learn is not installed."""
    try:
        return compute_batch_eer(losses.similarities.detach().float().cpu().numpy())
    except AppError:
        return None
