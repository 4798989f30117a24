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

from tortoise.checkpoints.loading import TortoiseModel, load_network
from tortoise.modules.diffusion_decoder import DiffusionConfig, DiffusionDecoder
from tortoise.modules.gpt import Gpt
from tortoise.modules.noise_schedule import make_linear_schedule
from training.finetuning.batch_sampler import (
    collate_examples,
    create_step_generator,
    crop_reference_mels,
    get_mels,
    sample_batch_indices,
    sample_reference_sets,
)
from training.finetuning.config.schema import FinetuneConfig
from training.finetuning.dataset import DatasetSplits, TrainingExample
from training.finetuning.gpt_task import GPT_HOP, get_network_file_name
from training.finetuning.optim.conv_muon import create_conv_muon_and_adamw
from training.finetuning.optim.diffusion_loss import (
    DiffusionBatch,
    DiffusionNoise,
    DropoutOptions,
    LossWeighting,
    compute_losses_for_noise,
    crop_mel,
    get_muon_modules,
    sample_diffusion_noise,
)
from training.finetuning.optim.gpt_loss import compute_packed_latents
from training.finetuning.optim.optimizers import make_adamw
from training.finetuning.train_step import Stateful

VOCODER_HOP = 256  # samples per mel frame
VALIDATION_NOISE_SAMPLES = 4  # draws of noise that every validation clip is judged with
VALIDATION_SEED = 77
WEIGHT_DECAY, GRAD_CLIP = 1e-3, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionTrainingOptions:
    """How a kind of diffusion network was trained, and so how it goes on learning.

    muon: whether kernels move by it;  the rest as `DiffusionRecipe` and `diffusion_losses`.
    """

    use_muon: bool
    loss_weighting: LossWeighting
    dropout: DropoutOptions


def select_training_options(config: DiffusionConfig) -> DiffusionTrainingOptions:
    """Networks that say velocity are ours; those that name the noise are as published."""
    if config.predicts == "velocity":
        return DiffusionTrainingOptions(
            use_muon=True,
            loss_weighting=LossWeighting(max_inverse_snr=1e5, min_timestep=1_000),
            dropout=DropoutOptions(unconditioned=0.05),
        )
    return DiffusionTrainingOptions(
        use_muon=False, loss_weighting=LossWeighting(), dropout=DropoutOptions(unconditioned=0.1)
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiffusionStepBatch:
    """What one step looks at.

    heard: (2, k, c, f) what the GPT hears of the voice, normalised;  voices: (2, k, c', f') what
    the diffusion network hears;  which: (b,) rows of both;  starts: the first code of each clip's
    stretch of `length` codes;  draws: the noise.
    """

    examples: list[TrainingExample]
    gpt_mels: Tensor
    diffusion_mels: Tensor
    voice_indices: Tensor
    starts: list[int]
    length: int
    noise: DiffusionNoise


@dataclass(kw_only=True, eq=False)
class DiffusionTask:
    """The diffusion network with what it learns from. Satisfies `finetune_update.Stage`."""

    name: ClassVar[str] = "diffusion"
    validation_metric: ClassVar[str] = "loss"
    model: DiffusionDecoder
    ema_model: AveragedModel
    gpt: Gpt
    optimizers: Sequence[torch.optim.Optimizer]
    options: DiffusionTrainingOptions
    clips: DatasetSplits
    norms: Tensor  # (80, 1)
    max_voice_frames: tuple[int, int]  # frames heard by the GPT, by the diffusion network
    config: FinetuneConfig
    device: torch.device

    @property
    def module(self) -> nn.Module:
        """What learns."""
        return self.model

    @property
    def stateful_parts(self) -> Mapping[str, Stateful]:
        """What must survive a restart, each with a state of its own."""
        named = {f"optimizer{place}": one for place, one in enumerate(self.optimizers)}
        return {"model": self.model, "average": self.ema_model, **named}

    def sample_batch(self, step: int) -> DiffusionStepBatch:
        """Choose clips, where they hear the voice, a stretch of each, and the noise on it."""
        return self._sample_batch(
            self.clips.train, step, self.config.optimizer.seed, self.options.dropout
        )

    def loss(self, work: DiffusionStepBatch, part: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """The share of some rows in the step's loss: shares of all rows add up to it."""
        return self._loss(self.model, work, part)

    def after_step(self) -> None:
        """Let the average follow."""
        self.ema_model.update_parameters(self.model)

    @torch.no_grad()
    def validate(self, clips: Sequence[TrainingExample]) -> float:
        """The mean loss of the average, always with the same noise."""
        kept = cast(DiffusionDecoder, self.ema_model.module).eval()
        total = 0.0
        for step in range(VALIDATION_NOISE_SAMPLES):
            work = self._sample_batch(
                clips, step, VALIDATION_SEED, DropoutOptions(unconditioned=0.0)
            )
            size = self.config.diffusion.batch
            for start in range(0, len(work.examples), size):
                part = list(range(start, min(start + size, len(work.examples))))
                total += self._loss(kept, work, part)[0].item()
        return total / VALIDATION_NOISE_SAMPLES

    def checkpoint_files(self) -> dict[str, dict[str, Tensor]]:
        """The file of a checkpoint: the average."""
        return {get_network_file_name("diffusion"): self.ema_model.module.state_dict()}

    def _sample_batch(
        self, clips: Sequence[TrainingExample], step: int, seed: int, drops: DropoutOptions
    ) -> DiffusionStepBatch:
        train, learns = self.clips.train, clips is self.clips.train
        count = self.config.diffusion.batch if learns else len(clips)
        rows = sample_batch_indices(clips, count, step, seed)
        generator = create_step_generator(seed, step)
        own = rows if learns else [-1] * len(rows)  # a held-out clip is never among the heard ones
        sets, which = sample_reference_sets(train, own, generator)
        heard = crop_reference_mels(
            get_mels(train, sets, "gpt_mel"), self.max_voice_frames[0], generator
        )
        voices = crop_reference_mels(
            get_mels(train, sets, "vocoder_mel"), self.max_voice_frames[1], generator
        )
        chosen = [clips[row] for row in rows]
        length = min(self.config.diffusion.window, min(len(clip.codes) for clip in chosen))
        spare = torch.tensor([len(clip.codes) - length for clip in chosen])
        starts = (torch.rand(len(chosen), generator=generator) * (spare + 1)).long().tolist()
        mel = crop_mel(chosen[0].vocoder_mel, starts[0], length)
        shape = (len(chosen), *mel.shape)
        return DiffusionStepBatch(
            examples=chosen,
            gpt_mels=heard.to(self.device) / self.norms,
            diffusion_mels=voices.to(self.device),
            voice_indices=which.to(self.device),
            starts=starts,
            length=length,
            noise=sample_diffusion_noise(
                self.model,
                make_linear_schedule(),
                shape,
                drops,
                generator,
                self.options.loss_weighting,
            ),
        )

    def _loss(
        self, model: DiffusionDecoder, work: DiffusionStepBatch, part: list[int]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        batch = self._collate(work, part)
        losses = compute_losses_for_noise(
            model,
            make_linear_schedule(),
            batch,
            work.noise.select(part),
            self.options.loss_weighting,
        )
        share = len(part) / len(work.examples)
        named = {"noise": losses.noise, "bound": losses.bound, "mel": losses.mel}
        return losses.total() * share, {name: v.detach() * share for name, v in named.items()}

    @torch.no_grad()
    def _collate(self, work: DiffusionStepBatch, part: list[int]) -> DiffusionBatch:
        clips = [work.examples[place] for place in part]
        which = work.voice_indices[part]
        conditioning = self.gpt.condition(work.gpt_mels)[which]
        latents = compute_packed_latents(
            self.gpt, conditioning, collate_examples(clips, self.device)
        ).float()
        starts = [work.starts[place] for place in part]
        mels = [
            crop_mel(clip.vocoder_mel.float(), start, work.length)
            for clip, start in zip(clips, starts, strict=True)
        ]
        cut = [row[s : s + work.length] for row, s in zip(latents, starts, strict=True)]
        return DiffusionBatch(
            mel=torch.stack(mels).to(self.device),
            latents=torch.stack(cut),
            voices=work.diffusion_mels,
            speakers=which,
        )


def create_diffusion_task(
    bundle: TortoiseModel,
    gpt: Gpt,
    clips: DatasetSplits,
    config: FinetuneConfig,
    device: torch.device,
) -> DiffusionTask:
    """Load the diffusion network of a bundle, ready to learn.

    gpt: as finetuned, in eval mode on the device.
    """
    model = load_network(bundle.folder, "diffusion")
    assert isinstance(model, DiffusionDecoder)
    model.to(device).train()
    choice, manner = config.diffusion, select_training_options(model.config)
    optimizers: tuple[torch.optim.Optimizer, ...] = (
        create_conv_muon_and_adamw(model, get_muon_modules(model), choice.rate, WEIGHT_DECAY)
        if manner.use_muon
        else (make_adamw(model, choice.rate, WEIGHT_DECAY, (0.9, 0.999)),)
    )
    conventions = bundle.conventions
    return DiffusionTask(
        model=model,
        ema_model=AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(choice.average)),
        gpt=gpt,
        optimizers=optimizers,
        options=manner,
        clips=clips,
        norms=bundle.mel_stats.norms.to(device).unsqueeze(-1),
        max_voice_frames=(
            conventions.gpt_clip_samples // GPT_HOP,
            conventions.diffusion_clip_samples // VOCODER_HOP,
        ),
        config=config,
        device=device,
    )
