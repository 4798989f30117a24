"""Train a WaveRNN on crops of waves and mels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from audio.clip import Clip
from audio.io import write_clip
from core.errors import InvalidValueError
from runs.loop import ModelState, StepResult
from sv2tts.checkpoints import load_published_vocoder, write_published
from sv2tts.data.batches import (
    VocoderBatch,
    VocoderItem,
    make_vocoder_item,
    sample_vocoder_batch,
)
from sv2tts.data.train_list import (
    GTA_DIR,
    MELS_DIR,
    TrainItem,
    draw_batch,
    load_audio,
    load_mel,
)
from sv2tts.generation.wavernn_generation import WaveRNNOptions, generate_wave, make_sampler
from sv2tts.modules.mol import mixture_loss
from sv2tts.modules.wavernn import WaveRNN, WaveRNNConfig
from sv2tts.training.config import VocoderTrainConfig
from sv2tts.waveform_labels import label_to_float

VOCODER_FILE = "vocoder.pt"
WAVS_DIR = "wavs"
SAMPLE_FRAMES = 160  # of the sounds that a training writes


@dataclass(kw_only=True, eq=False)
class VocoderTask(ModelState):
    """The state of one training. folder: the preprocessed dataset."""

    folder: Path
    config: VocoderTrainConfig
    train: Sequence[TrainItem]
    validation: Sequence[TrainItem]
    model: WaveRNN
    optimizer: torch.optim.Optimizer
    device: torch.device
    stage: str = "vocoder"

    def train_step(self, step: int) -> StepResult:
        """Train on random crops of the batch of a step."""
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + step)
        chosen = draw_batch(self.train, self.config.batch_size, step, self.config.seed)
        loss = self._compute(self._sample(chosen, generator))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), float("inf"))
        self.optimizer.step()
        with torch.no_grad():
            self.model.step.add_(1)
        metrics = {"loss": loss.item(), "gradient": float(norm)}
        return StepResult(metrics=metrics, rate=self.config.learning_rate)

    def export(self, run: Path, step: int) -> Path:
        """Write vocoder.pt as Real-Time Voice Cloning reads it."""
        return write_published(run / VOCODER_FILE, self.model)

    def validate(self, step: int) -> dict[str, float] | None:
        """Return the loss on crops of utterances kept apart, always the same ones."""
        if not self.validation:
            return None
        generator = torch.Generator().manual_seed(self.config.seed)
        chosen = self.validation[: self.config.batch_size]
        with self.evaluation():
            loss = float(self._compute(self._sample(chosen, generator)))
        return {"loss": loss}

    def illustrate(self, run: Path, step: int) -> list[str]:
        """Write two seconds of one utterance as the vocoder makes it now."""
        item = (self.validation or self.train)[0]
        mel = load_mel(self.folder, item, self._mels)[:, :SAMPLE_FRAMES]
        sample = make_sampler(self.model, torch.Generator().manual_seed(0))
        with self.evaluation():
            wave = generate_wave(self.model, mel.to(self.device), WaveRNNOptions(), sample)
        path = run / WAVS_DIR / f"step_{step}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, Clip(wave=wave, sample_rate=self.model.config.sample_rate))
        return []

    @property
    def _mels(self) -> str:
        return MELS_DIR if self.config.ground_truth else GTA_DIR

    def _sample(self, items: Sequence[TrainItem], generator: torch.Generator) -> VocoderBatch:
        batch = sample_vocoder_batch(
            [self._load(item) for item in items], self.model.config, generator
        )
        return VocoderBatch(*(part.to(self.device) for part in batch))

    def _load(self, item: TrainItem) -> VocoderItem:
        mel = load_mel(self.folder, item, self._mels)
        return make_vocoder_item(load_audio(self.folder, item), mel.T, self.model.config)

    def _compute(self, batch: VocoderBatch) -> Tensor:
        logits = self.model(batch.x, batch.mel)
        if self.model.config.mode == "MOL":
            target = label_to_float(batch.labels.float(), 16).unsqueeze(-1)
            return mixture_loss(logits, target).mean()
        return F.cross_entropy(logits.transpose(1, 2), batch.labels)


def create_vocoder(config: VocoderTrainConfig) -> WaveRNN:
    """Build the network of a configuration, or load the one to finetune."""
    if config.start_from:
        path = Path(config.start_from)
        network = load_published_vocoder(path / VOCODER_FILE if path.is_dir() else path)
        if network.config.mode != config.mode:
            raise InvalidValueError(
                f"{path} is a vocoder of mode {network.config.mode}; set mode to that."
            )
        return network.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        sizes: Any = config.network or {}  # Any: field name -> its value
        return WaveRNN(replace(WaveRNNConfig(), mode=cast(Any, config.mode), **sizes)).train()
