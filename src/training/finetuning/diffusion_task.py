"""The second stage: finetune the diffusion network on latents of the finetuned GPT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tortoise.checkpoints.loading import TortoiseModel, load_network
from tortoise.modules.diffusion_decoder import DiffusionConfig, DiffusionDecoder
from tortoise.modules.gpt import Gpt
from tortoise.modules.noise_schedule import make_linear_schedule
from training.finetuning.batch_sampler import (
    MelField,
    create_step_generator,
    crop_reference_mels,
    get_mels,
    sample_batch_indices,
    sample_code_windows,
    sample_reference_sets,
)
from training.finetuning.config.schema import FinetuneConfig
from training.finetuning.dataset import DatasetSplits, TrainingExample
from training.finetuning.gpt_task import GPT_HOP, get_network_file_name
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
from training.finetuning.optim.gpt_loss import GptBatch, compute_packed_latents
from training.finetuning.optim.optimizers import create_conv_muon_and_adamw, make_adamw
from training.finetuning.train_step import Stateful, TrainingTask

VOCODER_HOP = 256  # samples per mel frame
VALIDATION_NOISE_SAMPLES = 4  # draws of noise for each validation clip
VALIDATION_SEED = 77
WEIGHT_DECAY, GRAD_CLIP = 1e-3, 1.0
MEL_FIELDS: tuple[MelField, MelField] = ("gpt_mel", "vocoder_mel")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionTrainingOptions:
    """Training conventions of a kind of diffusion network, also used for finetuning."""

    use_muon: bool
    loss_weighting: LossWeighting
    dropout: DropoutOptions


def select_training_options(config: DiffusionConfig) -> DiffusionTrainingOptions:
    """Return the options of the starter (it predicts velocity) or of the published network."""
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
    """The batch of one step.

    gpt_mels: (2, k, c, f) normalised reference mels of the GPT;  diffusion_mels: (2, k, c', f')
    those of the diffusion network;  voice_indices: (b,) rows of both;  starts: the first code of
    each example's window of `length` codes.
    """

    examples: list[TrainingExample]
    gpt_mels: Tensor
    diffusion_mels: Tensor
    voice_indices: Tensor
    starts: list[int]
    length: int
    noise: DiffusionNoise


@dataclass(kw_only=True, eq=False)
class DiffusionTask(TrainingTask):
    """Finetune the diffusion network on latents of the finetuned GPT."""

    name: ClassVar[str] = "diffusion"
    validation_metric: ClassVar[str] = "loss"
    model: DiffusionDecoder
    ema_model: AveragedModel
    gpt: Gpt
    options: DiffusionTrainingOptions
    max_voice_frames: tuple[int, int]  # of the GPT, of the diffusion network

    @property
    def stateful_parts(self) -> Mapping[str, Stateful]:
        named = {f"optimizer{place}": one for place, one in enumerate(self.optimizers)}
        return {"model": self.model, "average": self.ema_model, **named}

    def sample_batch(self, step: int) -> DiffusionStepBatch:
        seed = self.config.optimizer.seed
        return self._sample_batch(self.clips.train, step, seed, self.options.dropout)

    def loss(self, batch: DiffusionStepBatch, rows: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        return self._loss(self.model, batch, rows)

    def after_step(self) -> None:
        self.ema_model.update_parameters(self.model)

    @torch.no_grad()
    def validate(self, clips: Sequence[TrainingExample]) -> float:
        """Return the mean loss of the averaged network, always with the same noise."""
        average = cast(DiffusionDecoder, self.ema_model.module).eval()
        size = self.config.diffusion.batch
        total = 0.0
        for step in range(VALIDATION_NOISE_SAMPLES):
            dropout = DropoutOptions(unconditioned=0.0)
            batch = self._sample_batch(clips, step, VALIDATION_SEED, dropout)
            for start in range(0, len(batch.examples), size):
                rows = list(range(start, min(start + size, len(batch.examples))))
                total += self._loss(average, batch, rows)[0].item()
        return total / VALIDATION_NOISE_SAMPLES

    def checkpoint_files(self) -> dict[str, dict[str, Tensor]]:
        """Return the averaged weights."""
        return {get_network_file_name("diffusion"): self.ema_model.module.state_dict()}

    def _sample_batch(
        self, clips: Sequence[TrainingExample], step: int, seed: int, dropout: DropoutOptions
    ) -> DiffusionStepBatch:
        train, is_training = self.clips.train, clips is self.clips.train
        count = self.config.diffusion.batch if is_training else len(clips)
        rows = sample_batch_indices(clips, count, step, seed)
        generator = create_step_generator(seed, step)
        own = rows if is_training else [-1] * len(rows)  # a held-out clip is never a reference
        sets, indices = sample_reference_sets(train, own, generator)
        gpt_mels, diffusion_mels = (
            crop_reference_mels(get_mels(train, sets, kind), longest, generator)
            for kind, longest in zip(MEL_FIELDS, self.max_voice_frames, strict=True)
        )
        chosen = [clips[row] for row in rows]
        length, starts = sample_code_windows(chosen, self.config.diffusion.window, generator)
        shape = (len(chosen), *crop_mel(chosen[0].vocoder_mel, starts[0], length).shape)
        weighting, schedule = self.options.loss_weighting, make_linear_schedule()
        return DiffusionStepBatch(
            examples=chosen,
            gpt_mels=gpt_mels.to(self.device) / self.norms,
            diffusion_mels=diffusion_mels.to(self.device),
            voice_indices=indices.to(self.device),
            starts=starts,
            length=length,
            noise=sample_diffusion_noise(
                self.model, schedule, shape, dropout, generator, weighting
            ),
        )

    def _loss(
        self, model: DiffusionDecoder, batch: DiffusionStepBatch, rows: list[int]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        losses = compute_losses_for_noise(
            model,
            make_linear_schedule(),
            self._collate(batch, rows),
            batch.noise.select(rows),
            self.options.loss_weighting,
        )
        share = len(rows) / len(batch.examples)
        named = {"noise": losses.noise, "bound": losses.bound, "mel": losses.mel}
        return losses.total() * share, {name: v.detach() * share for name, v in named.items()}

    @torch.no_grad()
    def _collate(self, batch: DiffusionStepBatch, rows: list[int]) -> DiffusionBatch:
        clips, starts = [batch.examples[row] for row in rows], [batch.starts[row] for row in rows]
        indices = batch.voice_indices[rows]
        conditioning = self.gpt.condition(batch.gpt_mels)[indices]
        packed = GptBatch.collate(clips, self.device)
        latents = compute_packed_latents(self.gpt, conditioning, packed).float()
        mels = [
            crop_mel(clip.vocoder_mel.float(), start, batch.length)
            for clip, start in zip(clips, starts, strict=True)
        ]
        windows = [row[s : s + batch.length] for row, s in zip(latents, starts, strict=True)]
        return DiffusionBatch(
            mel=torch.stack(mels).to(self.device),
            latents=torch.stack(windows),
            voices=batch.diffusion_mels,
            speakers=indices,
        )


def create_diffusion_task(
    bundle: TortoiseModel,
    gpt: Gpt,
    clips: DatasetSplits,
    config: FinetuneConfig,
    device: torch.device,
) -> DiffusionTask:
    """Load the diffusion network of a model for training.

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
