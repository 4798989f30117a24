"""What the training loop does for a speaker encoder: steps, validation, pictures, checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from core.errors import AppError
from runs.loop import ModelState, StepResult, TrainingDivergedError
from speakers.dataset import SpeakerDataset
from speakers.modules.checkpoints import EncoderCheckpoint, EncoderModel, save_checkpoint
from speakers.modules.eer import compute_batch_eer
from speakers.training.config import EncoderTrainConfig
from speakers.training.networks import (
    BatchLosses,
    compute_learning_rate,
    compute_losses,
    update_weights,
)
from speakers.training.run_files import ENCODER_FILE, draw_projection, get_projection_path
from speakers.training.sampler import (
    Batch,
    BatchSampler,
    FeatureStore,
    SpeakerSplit,
    compute_cycle_steps,
)

STAGE = "encoder"
VALIDATION_SEED = 1

# Any: state dicts.


@dataclass(kw_only=True, eq=False)
class EncoderTask(ModelState):
    """A network in training. notes: for the user, which the loop reads."""

    run: Path
    config: EncoderTrainConfig
    dataset: SpeakerDataset
    split: SpeakerSplit
    store: FeatureStore
    model: EncoderModel
    optimizer: torch.optim.Optimizer
    sampler: BatchSampler
    device: torch.device
    notes: list[str] = field(default_factory=list)
    stage: str = STAGE

    def train_step(self, step: int) -> StepResult:
        """Train one batch.  Raises TrainingDivergedError where its loss is no number."""
        batch = self.sampler.draw()
        losses = self._compute(batch, self.config.loss)
        if not torch.isfinite(losses.total):
            raise TrainingDivergedError(f"the loss at step {step} is not a number")
        rate = compute_learning_rate(self.config, step / self.config.steps)
        norm = update_weights(self.model, self.optimizer, losses.total, rate)
        self._draw(losses, step + 1)
        return StepResult(metrics=_collect(losses, norm), rate=rate)

    def state_dict(self) -> dict[str, Any]:
        """Return network, optimizer and what the next batches are drawn from."""
        return {**super().state_dict(), "sampler": self.sampler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state.  Raises SpeakerDatasetError where the dataset has changed."""
        self.sampler.load_state_dict(state["sampler"])
        super().load_state_dict(state)

    def export(self, run: Path, step: int) -> Path:
        """Write encoder.pt; returns its path."""
        path = run / ENCODER_FILE
        checkpoint = EncoderCheckpoint(
            model=self.model,
            kind=self.config.kind,
            features=self.dataset.features,
            statistics=self.dataset.statistics,
            partial_frames=self.config.crop_frames,
            step=step + 1,  # as the published encoder counts
            optimizer_state=self.optimizer.state_dict(),
        )
        save_checkpoint(path, checkpoint)
        return path

    def validate(self, step: int) -> dict[str, float] | None:
        """Return the losses on the speakers kept apart, None where there are none."""
        if len(self.split.validation) < 2:
            return None
        sampler = BatchSampler(
            self.store, self.split.validation, self.config, VALIDATION_SEED, augment=False
        )
        count = self.config.val_iters or compute_cycle_steps(self.split.validation, self.config)
        with self.evaluation():
            found = [self._compute(sampler.draw(), "ge2e") for _ in range(count)]
        loss = sum(float(each.ge2e) for each in found) / count
        rates = [rate for each in found if (rate := _measure_eer(each)) is not None]
        eer = {"eer": sum(rates) / len(rates)} if rates else {}
        return {"loss": loss, "ge2e": loss, **eer}

    def illustrate(self, run: Path, step: int) -> list[str]:
        """Return what is worth telling since the last call; pictures follow `umap_every`."""
        told = list(self.notes)
        self.notes.clear()
        return told

    def _compute(self, batch: Batch, use: str) -> BatchLosses:
        on_device = Batch(frames=batch.frames.to(self.device), speakers=batch.speakers)
        return compute_losses(self.model, on_device, self.config.utterances_per_speaker, use)

    def _draw(self, losses: BatchLosses, step: int) -> None:
        """Draw the embeddings of a batch; without the packages for it, say so once."""
        every = self.config.umap_every
        if not every or step % every:
            return
        try:
            names = [str(number + 1) for number in range(len(losses.embeddings))]
            path = get_projection_path(self.run, step)
            draw_projection(path, losses.embeddings.detach().float().cpu(), names)
        except (ImportError, AppError) as error:
            if step == every:
                self.notes.append(f"No picture of the embeddings: {error}")


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
