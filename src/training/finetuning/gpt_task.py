"""The first stage: the GPT learns to speak as the clips do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from tortoise.checkpoints.loading import TortoiseModel, load_network
from tortoise.modules.gpt import Gpt
from training.finetuning.batch_sampler import (
    collate_examples,
    create_step_generator,
    crop_reference_mels,
    get_mels,
    sample_batch_indices,
    sample_reference_sets,
)
from training.finetuning.config.schema import FinetuneConfig, OptimizerConfig
from training.finetuning.dataset import DatasetSplits, TrainingExample
from training.finetuning.optim.freezing import freeze_parts
from training.finetuning.optim.gpt_loss import compute_gpt_losses
from training.finetuning.optim.lora import (
    ADAPTER_FILE,
    add_lora_adapters,
    get_adapter_state_dict,
    get_merged_state_dict,
)
from training.finetuning.optim.optimizers import TrainableState, create_optimizer
from training.finetuning.train_step import Stateful

GPT_HOP = 256  # samples per mel frame
VALIDATION_VOICE_CLIPS = 8  # clips that the voice is heard from to validate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GptStepBatch:
    """What one step looks at.

    voices: (2, k, c, f) normalised mels;  which: (b,) the row of `voices` that each clip hears;
    codes, tokens: how many are to be said in all, stops included.
    """

    examples: list[TrainingExample]
    voice_mels: Tensor
    voice_indices: Tensor
    total_codes: int
    total_tokens: int


@dataclass(kw_only=True, eq=False)
class GptTask:
    """The GPT with what it learns from and how. Satisfies `finetune_update.Stage`."""

    name: ClassVar[str] = "gpt"
    validation_metric: ClassVar[str] = "mel"
    model: Gpt
    optimizers: Sequence[torch.optim.Optimizer]
    clips: DatasetSplits
    norms: Tensor  # (80, 1)
    max_voice_frames: int
    optimizer_config: OptimizerConfig
    device: torch.device

    @property
    def module(self) -> nn.Module:
        """What learns."""
        return self.model

    @property
    def stateful_parts(self) -> Mapping[str, Stateful]:
        """What must survive a restart, each with a state of its own."""
        return {"model": TrainableState(self.model), "optimizer": self.optimizers[0]}

    def sample_batch(self, step: int) -> GptStepBatch:
        """Choose the clips of one step and where they hear the voice."""
        train = self.clips.train
        rows = sample_batch_indices(
            train, self.optimizer_config.clips_per_step, step, self.optimizer_config.seed
        )
        generator = create_step_generator(self.optimizer_config.seed, step)
        sets, which = sample_reference_sets(train, rows, generator)
        voices = crop_reference_mels(
            get_mels(train, sets, "gpt_mel"), self.max_voice_frames, generator
        )
        chosen = [train[row] for row in rows]
        return GptStepBatch(
            examples=chosen,
            voice_mels=voices.to(self.device) / self.norms,
            voice_indices=which.to(self.device),
            total_codes=sum(len(clip.codes) + 1 for clip in chosen),
            total_tokens=sum(len(clip.text) + 1 for clip in chosen),
        )

    def loss(self, work: GptStepBatch, part: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """The share of some rows in the step's loss: shares of all rows add up to it."""
        voice = self.model.condition(work.voice_mels)[work.voice_indices[part]]
        clips = [work.examples[place] for place in part]
        losses = compute_gpt_losses(self.model, voice, collate_examples(clips, self.device))
        mel = losses.mel * (sum(len(clip.codes) + 1 for clip in clips) / work.total_codes)
        text = losses.text * (sum(len(clip.text) + 1 for clip in clips) / work.total_tokens)
        total = self.optimizer_config.text_weight * text + self.optimizer_config.mel_weight * mel
        return total, {"mel": mel.detach(), "text": text.detach()}

    def after_step(self) -> None:
        """Nothing follows a step."""

    @torch.no_grad()
    def validate(self, clips: Sequence[TrainingExample]) -> float:
        """Cross entropy per code, in nats; the voice is heard as inference hears it."""
        self.model.eval()
        voice = self.model.condition(self._get_validation_voice())
        total, codes = 0.0, 0
        for clip in clips:
            losses = compute_gpt_losses(self.model, voice, collate_examples([clip], self.device))
            said = len(clip.codes) + 1
            total, codes = total + losses.mel.item() * said, codes + said
        self.model.train()
        return total / codes

    def checkpoint_files(self) -> dict[str, dict[str, Tensor]]:
        """The files of a checkpoint: plain weights, and the adapters where there are any."""
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
    """The name of a network's file in a bundle."""
    return f"{name}.safetensors"


def create_gpt_task(
    bundle: TortoiseModel, clips: DatasetSplits, config: FinetuneConfig, device: torch.device
) -> GptTask:
    """Load the GPT of a bundle, ready to learn."""
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
        optimizer_config=config.optimizer,
        device=device,
    )
