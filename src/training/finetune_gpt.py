"""The first stage: the GPT learns to speak as the clips do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from tortoise.gpt import Gpt
from tortoise.gpt_losses import packed_losses
from tortoise.weights import Bundle, load_network
from training.clips_of_dataset import HeardClip, HeardClips
from training.config import FinetuneConfig, OptimizerChoice
from training.finetune_optimizer import Learned, adamw_of
from training.finetune_rows import (
    batch_of,
    cut_voices,
    draw_listeners,
    mels_of,
    rows_of_step,
    step_generator,
)
from training.finetune_update import Stateful
from training.frozen import freeze
from training.lora import ADAPTER_FILE, adapt, adapters_of, merged_state

GPT_HOP = 256  # samples per mel frame
VALIDATION_VOICE = 8  # clips that the voice is heard from to validate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GptWork:
    """What one step looks at.

    voices: (2, k, c, f) normalised mels;  which: (b,) the row of `voices` that each clip hears;
    codes, tokens: how many are to be said in all, stops included.
    """

    rows: list[HeardClip]
    voices: Tensor
    which: Tensor
    codes: int
    tokens: int


@dataclass(kw_only=True, eq=False)
class GptStage:
    """The GPT with what it learns from and how. Satisfies `finetune_update.Stage`."""

    name: ClassVar[str] = "gpt"
    judged: ClassVar[str] = "mel"
    model: Gpt
    optimizers: Sequence[torch.optim.Optimizer]
    clips: HeardClips
    norms: Tensor  # (80, 1)
    longest: int
    choice: OptimizerChoice
    device: torch.device

    @property
    def module(self) -> nn.Module:
        """What learns."""
        return self.model

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """What must survive a restart, each with a state of its own."""
        return {"model": Learned(self.model), "optimizer": self.optimizers[0]}

    def draw(self, step: int) -> GptWork:
        """Choose the clips of one step and where they hear the voice."""
        train = self.clips.train
        rows = rows_of_step(train, self.choice.clips_per_step, step, self.choice.seed)
        generator = step_generator(self.choice.seed, step)
        sets, which = draw_listeners(train, rows, generator)
        voices = cut_voices(mels_of(train, sets, "gpt_mel"), self.longest, generator)
        chosen = [train[row] for row in rows]
        return GptWork(
            rows=chosen,
            voices=voices.to(self.device) / self.norms,
            which=which.to(self.device),
            codes=sum(len(clip.codes) + 1 for clip in chosen),
            tokens=sum(len(clip.text) + 1 for clip in chosen),
        )

    def loss(self, work: GptWork, part: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """The share of some rows in the step's loss: shares of all rows add up to it."""
        voice = self.model.condition(work.voices)[work.which[part]]
        clips = [work.rows[place] for place in part]
        losses = packed_losses(self.model, voice, batch_of(clips, self.device))
        mel = losses.mel * (sum(len(clip.codes) + 1 for clip in clips) / work.codes)
        text = losses.text * (sum(len(clip.text) + 1 for clip in clips) / work.tokens)
        total = self.choice.text_weight * text + self.choice.mel_weight * mel
        return total, {"mel": mel.detach(), "text": text.detach()}

    def after_step(self) -> None:
        """Nothing follows a step."""

    @torch.no_grad()
    def validate(self, clips: Sequence[HeardClip]) -> float:
        """Cross entropy per code, in nats; the voice is heard as inference hears it."""
        self.model.eval()
        voice = self.model.condition(self._validation_voice())
        total, codes = 0.0, 0
        for clip in clips:
            losses = packed_losses(self.model, voice, batch_of([clip], self.device))
            said = len(clip.codes) + 1
            total, codes = total + losses.mel.item() * said, codes + said
        self.model.train()
        return total / codes

    def checkpoint(self) -> dict[str, dict[str, Tensor]]:
        """The files of a checkpoint: plain weights, and the adapters where there are any."""
        files = {network_file_name("gpt"): merged_state(self.model)}
        if adapters := adapters_of(self.model):
            files[ADAPTER_FILE] = adapters
        return files

    def _validation_voice(self) -> Tensor:
        train = self.clips.train
        chosen = list(range(0, len(train), -(-len(train) // VALIDATION_VOICE)))
        mels = mels_of(train, [chosen], "gpt_mel")
        voices = cut_voices(mels, self.longest, torch.Generator().manual_seed(0))
        return voices.to(self.device) / self.norms


def network_file_name(name: str) -> str:
    """The name of a network's file in a bundle."""
    return f"{name}.safetensors"


def gpt_stage(
    bundle: Bundle, clips: HeardClips, config: FinetuneConfig, device: torch.device
) -> GptStage:
    """Load the GPT of a bundle, ready to learn."""
    model = load_network(bundle.folder, "gpt")
    assert isinstance(model, Gpt)
    model.to(device).train()
    choice = config.weights
    if choice.method == "lora":
        adapt(model, choice.rank, choice.alpha, choice.frozen_layers, config.optimizer.seed)
    freeze(model, choice.frozen)
    return GptStage(
        model=model,
        optimizers=[adamw_of(model, config.optimizer)],
        clips=clips,
        norms=bundle.mel_stats.norms.to(device).unsqueeze(-1),
        longest=bundle.conventions.gpt_clip_samples // GPT_HOP,
        choice=config.optimizer,
        device=device,
    )
