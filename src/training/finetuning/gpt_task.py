"""The first stage: finetune the GPT on the codes of the clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tortoise.checkpoints.layout import ADAPTER_FILE
from tortoise.checkpoints.loading import TortoiseModel, load_network
from tortoise.modules.gpt import Gpt
from training.finetuning.batch_sampler import (
    create_step_generator,
    crop_reference_mels,
    get_mels,
    sample_batch_indices,
    sample_reference_sets,
)
from training.finetuning.config.schema import FinetuneConfig
from training.finetuning.dataset import DatasetSplits, TrainingExample
from training.finetuning.optim.freezing import freeze_parts
from training.finetuning.optim.gpt_loss import collate_clips, compute_gpt_losses
from training.finetuning.optim.lora import (
    add_lora_adapters,
    get_adapter_state_dict,
    get_merged_state_dict,
)
from training.finetuning.optim.optimizers import TrainableState, create_optimizer
from training.finetuning.train_step import Stateful, TrainingTask

GPT_HOP = 256  # samples per mel frame
VALIDATION_VOICE_CLIPS = 8  # reference clips of a validation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GptStepBatch:
    """The batch of one step.

    voice_mels: (2, k, c, f) normalised reference mels;  voice_indices: (b,) the row of
    `voice_mels` that conditions each example;  total_codes, total_tokens: targets of the whole
    batch, stop tokens included.
    """

    examples: list[TrainingExample]
    voice_mels: Tensor
    voice_indices: Tensor
    total_codes: int
    total_tokens: int


@dataclass(kw_only=True, eq=False)
class GptTask(TrainingTask):
    """Finetune the GPT on the codes and texts of the clips."""

    name: ClassVar[str] = "gpt"
    validation_metric: ClassVar[str] = "mel"
    model: Gpt
    max_voice_frames: int

    @property
    def stateful_parts(self) -> Mapping[str, Stateful]:
        return {"model": TrainableState(self.model), "optimizer": self.optimizers[0]}

    def sample_batch(self, step: int) -> GptStepBatch:
        train, optimizer = self.clips.train, self.config.optimizer
        rows = sample_batch_indices(train, optimizer.clips_per_step, step, optimizer.seed)
        generator = create_step_generator(optimizer.seed, step)
        sets, indices = sample_reference_sets(train, rows, generator)
        voices = crop_reference_mels(
            get_mels(train, sets, "gpt_mel"), self.max_voice_frames, generator
        )
        chosen = [train[row] for row in rows]
        return GptStepBatch(
            examples=chosen,
            voice_mels=voices.to(self.device) / self.norms,
            voice_indices=indices.to(self.device),
            total_codes=sum(len(clip.codes) + 1 for clip in chosen),
            total_tokens=sum(len(clip.text) + 1 for clip in chosen),
        )

    def loss(self, batch: GptStepBatch, rows: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        voice = self.model.condition(batch.voice_mels)[batch.voice_indices[rows]]
        clips = [batch.examples[row] for row in rows]
        losses = compute_gpt_losses(self.model, voice, collate_clips(clips, self.device))
        mel = losses.mel * (sum(len(clip.codes) + 1 for clip in clips) / batch.total_codes)
        text = losses.text * (sum(len(clip.text) + 1 for clip in clips) / batch.total_tokens)
        weights = self.config.optimizer
        total = weights.text_weight * text + weights.mel_weight * mel
        parts = {"mel": mel.detach(), "text": text.detach()}
        if losses.duration is not None:
            duration = losses.duration * (len(clips) / len(batch.examples))
            total, parts["duration"] = total + duration, duration.detach()
        return total, parts

    @torch.no_grad()
    def validate(self, clips: Sequence[TrainingExample]) -> float:
        """Return the cross entropy per code in nats, with the voice conditioned as at inference."""
        self.model.eval()
        voice = self.model.condition(self._get_validation_voice())
        total, codes = 0.0, 0
        for clip in clips:
            losses = compute_gpt_losses(self.model, voice, collate_clips([clip], self.device))
            count = len(clip.codes) + 1
            total, codes = total + losses.mel.item() * count, codes + count
        self.model.train()
        return total / codes

    def checkpoint_files(self) -> dict[str, dict[str, Tensor]]:
        """Return the merged weights, and the LoRA adapters where there are any."""
        files = {get_network_file_name("gpt"): get_merged_state_dict(self.model)}
        if adapters := get_adapter_state_dict(self.model):
            files[ADAPTER_FILE] = adapters
        return files

    def _get_validation_voice(self) -> Tensor:
        train = self.clips.train
        chosen = list(range(0, len(train), -(-len(train) // VALIDATION_VOICE_CLIPS)))
        mels = get_mels(train, [chosen], "gpt_mel")
        voices = crop_reference_mels(mels, self.max_voice_frames, torch.Generator().manual_seed(0))
        return voices.to(self.device) / self.norms


def get_network_file_name(name: str) -> str:
    """Return the name of a network's file in a model folder."""
    return f"{name}.safetensors"


def create_gpt_task(
    bundle: TortoiseModel, clips: DatasetSplits, config: FinetuneConfig, device: torch.device
) -> GptTask:
    """Load the GPT of a model for training."""
    model = load_network(bundle.folder, "gpt")
    assert isinstance(model, Gpt)
    model.to(device).train()
    choice = config.weights
    if choice.method == "lora":
        add_lora_adapters(
            model, choice.rank, choice.alpha, choice.frozen_layers, config.optimizer.seed
        )
    freeze_parts(model, choice.frozen)
    return GptTask(
        model=model,
        optimizers=[create_optimizer(model, config.optimizer)],
        clips=clips,
        norms=bundle.mel_stats.norms.to(device).unsqueeze(-1),
        max_voice_frames=bundle.conventions.gpt_clip_samples // GPT_HOP,
        config=config,
        device=device,
    )
