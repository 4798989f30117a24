"""The second stage: the diffusion network learns how the voice sounds when the GPT speaks.

What it hears of the clips are latents of the GPT as it was finetuned, so that stage comes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tortoise.diffusion_decoder import DiffusionConfig, DiffusionDecoder
from tortoise.diffusion_schedule import linear_schedule
from tortoise.gpt import Gpt
from tortoise.gpt_losses import packed_latents
from tortoise.weights import Bundle, load_network
from training.clips_of_dataset import HeardClip, HeardClips
from training.config import FinetuneConfig
from training.conv_muon import conv_muon_and_adamw
from training.diffusion_loss import (
    DiffusionBatch,
    DiffusionDraws,
    DropOptions,
    Weighing,
    draw_noise,
    drawn_losses,
)
from training.finetune_gpt import GPT_HOP, network_file_name
from training.finetune_rows import (
    batch_of,
    cut_voices,
    draw_listeners,
    mels_of,
    rows_of_step,
    step_generator,
)
from training.finetune_update import Stateful
from training.recipe_diffusion import cut_mel, kernels_of
from training.schedule import adamw

VOCODER_HOP = 256  # samples per mel frame
VALIDATION_STEPS = 4  # draws of noise that every validation clip is judged with
VALIDATION_SEED = 77
DECAY, CLIP = 1e-3, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a kind of diffusion network was trained, and so how it goes on learning.

    muon: whether kernels move by it;  the rest as `DiffusionRecipe` and `diffusion_losses`.
    """

    muon: bool
    weighing: Weighing
    drops: DropOptions


def manner_of(config: DiffusionConfig) -> Manner:
    """Networks that say velocity are ours; those that name the noise are as published."""
    if config.predicts == "velocity":
        return Manner(
            muon=True,
            weighing=Weighing(clean_cap=1e5, quietest=1_000),
            drops=DropOptions(unconditioned=0.05),
        )
    return Manner(muon=False, weighing=Weighing(), drops=DropOptions(unconditioned=0.1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiffusionWork:
    """What one step looks at.

    heard: (2, k, c, f) what the GPT hears of the voice, normalised;  voices: (2, k, c', f') what
    the diffusion network hears;  which: (b,) rows of both;  starts: the first code of each clip's
    stretch of `length` codes;  draws: the noise.
    """

    rows: list[HeardClip]
    heard: Tensor
    voices: Tensor
    which: Tensor
    starts: list[int]
    length: int
    draws: DiffusionDraws


@dataclass(kw_only=True, eq=False)
class DiffusionStage:
    """The diffusion network with what it learns from. Satisfies `finetune_update.Stage`."""

    name: ClassVar[str] = "diffusion"
    judged: ClassVar[str] = "loss"
    model: DiffusionDecoder
    average: AveragedModel
    gpt: Gpt
    optimizers: Sequence[torch.optim.Optimizer]
    manner: Manner
    clips: HeardClips
    norms: Tensor  # (80, 1)
    longest: tuple[int, int]  # frames heard by the GPT, by the diffusion network
    config: FinetuneConfig
    device: torch.device

    @property
    def module(self) -> nn.Module:
        """What learns."""
        return self.model

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """What must survive a restart, each with a state of its own."""
        named = {f"optimizer{place}": one for place, one in enumerate(self.optimizers)}
        return {"model": self.model, "average": self.average, **named}

    def draw(self, step: int) -> DiffusionWork:
        """Choose clips, where they hear the voice, a stretch of each, and the noise on it."""
        return self._draw(self.clips.train, step, self.config.optimizer.seed, self.manner.drops)

    def loss(self, work: DiffusionWork, part: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """The share of some rows in the step's loss: shares of all rows add up to it."""
        return self._loss(self.model, work, part)

    def after_step(self) -> None:
        """Let the average follow."""
        self.average.update_parameters(self.model)

    @torch.no_grad()
    def validate(self, clips: Sequence[HeardClip]) -> float:
        """The mean loss of the average, always with the same noise."""
        kept = cast(DiffusionDecoder, self.average.module).eval()
        total = 0.0
        for step in range(VALIDATION_STEPS):
            work = self._draw(clips, step, VALIDATION_SEED, DropOptions(unconditioned=0.0))
            size = self.config.diffusion.batch
            for start in range(0, len(work.rows), size):
                part = list(range(start, min(start + size, len(work.rows))))
                total += self._loss(kept, work, part)[0].item()
        return total / VALIDATION_STEPS

    def checkpoint(self) -> dict[str, dict[str, Tensor]]:
        """The file of a checkpoint: the average."""
        return {network_file_name("diffusion"): self.average.module.state_dict()}

    def _draw(
        self, clips: Sequence[HeardClip], step: int, seed: int, drops: DropOptions
    ) -> DiffusionWork:
        train, learns = self.clips.train, clips is self.clips.train
        count = self.config.diffusion.batch if learns else len(clips)
        rows = rows_of_step(clips, count, step, seed)
        generator = step_generator(seed, step)
        own = rows if learns else [-1] * len(rows)  # a held-out clip is never among the heard ones
        sets, which = draw_listeners(train, own, generator)
        heard = cut_voices(mels_of(train, sets, "gpt_mel"), self.longest[0], generator)
        voices = cut_voices(mels_of(train, sets, "vocoder_mel"), self.longest[1], generator)
        chosen = [clips[row] for row in rows]
        length = min(self.config.diffusion.window, min(len(clip.codes) for clip in chosen))
        spare = torch.tensor([len(clip.codes) - length for clip in chosen])
        starts = (torch.rand(len(chosen), generator=generator) * (spare + 1)).long().tolist()
        mel = cut_mel(chosen[0].vocoder_mel, starts[0], length)
        shape = (len(chosen), *mel.shape)
        return DiffusionWork(
            rows=chosen,
            heard=heard.to(self.device) / self.norms,
            voices=voices.to(self.device),
            which=which.to(self.device),
            starts=starts,
            length=length,
            draws=draw_noise(
                self.model, linear_schedule(), shape, drops, generator, self.manner.weighing
            ),
        )

    def _loss(
        self, model: DiffusionDecoder, work: DiffusionWork, part: list[int]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        batch = self._batch(work, part)
        losses = drawn_losses(
            model, linear_schedule(), batch, work.draws.of(part), self.manner.weighing
        )
        share = len(part) / len(work.rows)
        named = {"noise": losses.noise, "bound": losses.bound, "mel": losses.mel}
        return losses.total() * share, {name: v.detach() * share for name, v in named.items()}

    @torch.no_grad()
    def _batch(self, work: DiffusionWork, part: list[int]) -> DiffusionBatch:
        clips = [work.rows[place] for place in part]
        which = work.which[part]
        conditioning = self.gpt.condition(work.heard)[which]
        latents = packed_latents(self.gpt, conditioning, batch_of(clips, self.device)).float()
        starts = [work.starts[place] for place in part]
        mels = [
            cut_mel(clip.vocoder_mel.float(), start, work.length)
            for clip, start in zip(clips, starts, strict=True)
        ]
        cut = [row[s : s + work.length] for row, s in zip(latents, starts, strict=True)]
        return DiffusionBatch(
            mel=torch.stack(mels).to(self.device),
            latents=torch.stack(cut),
            voices=work.voices,
            speakers=which,
        )


def diffusion_stage(
    bundle: Bundle, gpt: Gpt, clips: HeardClips, config: FinetuneConfig, device: torch.device
) -> DiffusionStage:
    """Load the diffusion network of a bundle, ready to learn.

    gpt: as finetuned, in eval mode on the device.
    """
    model = load_network(bundle.folder, "diffusion")
    assert isinstance(model, DiffusionDecoder)
    model.to(device).train()
    choice, manner = config.diffusion, manner_of(model.config)
    optimizers: tuple[torch.optim.Optimizer, ...] = (
        conv_muon_and_adamw(model, kernels_of(model), choice.rate, DECAY)
        if manner.muon
        else (adamw(model, choice.rate, DECAY, (0.9, 0.999)),)
    )
    conventions = bundle.conventions
    return DiffusionStage(
        model=model,
        average=AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(choice.average)),
        gpt=gpt,
        optimizers=optimizers,
        manner=manner,
        clips=clips,
        norms=bundle.mel_stats.norms.to(device).unsqueeze(-1),
        longest=(
            conventions.gpt_clip_samples // GPT_HOP,
            conventions.diffusion_clip_samples // VOCODER_HOP,
        ),
        config=config,
        device=device,
    )
