"""Train the diffusion network on GPT latents and reference mels.

The latents are those of the finished GPT for true codes. The voices of some speakers are augmented,
references and targets alike, so that the network takes the voice from the reference and not from
the latents. The moving average of the weights is exported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from audio.clip import Clip
from audio.io import write_clip
from audio.mel import VOCODER_MEL, denormalize_mel, normalize_mel
from core.progress import ProgressReporter
from recipes.data.codes import TokenizedCorpus, sample_length_bucketed_batch
from recipes.data.features import MelDataset
from recipes.data.latents import GptLatents
from recipes.data.negatives import random_int
from recipes.data.voice_augmentation import (
    AugmentationOptions,
    apply_channel_augmentation,
    augment_voice,
    sample_eq_curve,
    sample_warp_factor,
)
from recipes.loop import TrainingLoop, build_seeded, make_step_generator, optimizer_step
from tortoise.checkpoints.loading import save_network
from tortoise.generation.diffusion import DiffusionSamplingOptions, denoise
from tortoise.generation.vocoding import MelVocoder, prepare_for_inference, vocode
from tortoise.modules.diffusion_decoder import DiffusionConfig, DiffusionDecoder
from tortoise.modules.noise_schedule import make_linear_schedule
from training.finetuning.config.lr_schedule import compute_cosine_lr
from training.finetuning.optim.diffusion_loss import (
    DiffusionBatch,
    DiffusionLosses,
    DropoutOptions,
    LossWeighting,
    compute_diffusion_losses,
    crop_mel,
    get_muon_modules,
)
from training.finetuning.optim.optimizers import create_conv_muon_and_adamw

REFERENCE_FRAMES = (150, 400)  # 1.6 to 4.3 s
LOG_EVERY = 25
VALIDATE_EVERY = 250
VALIDATION_BATCHES = 4
SAMPLE_OPTIONS = DiffusionSamplingOptions(steps=20, sampler="dpm")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionRecipe:
    """Options of diffusion training."""

    architecture: DiffusionConfig = field(
        default_factory=lambda: DiffusionConfig(
            width=160,
            layers=5,
            heads=4,
            latent_width=256,
            codes=1,
            code_depth=0,
            latent_depth=3,
            voice_depth=2,
            predicts="velocity",
        )
    )
    steps: int = 12_000
    batch: int = 12
    window: int = 48
    """Codes of a window of a clip."""
    rate: float = 1e-3
    warm_up: int = 200
    decay: float = 1e-3
    clip: float = 1.0
    mel_first: int = 200
    """Steps at the start with the mel loss alone, as published."""
    clean_cap: float | None = 1e5
    """As `LossWeighting.max_inverse_snr`."""
    quietest: int = 1_000
    """As `LossWeighting.min_timestep`: sampling with few steps skips less noisy timesteps."""
    drops: DropoutOptions = field(default_factory=lambda: DropoutOptions(unconditioned=0.05))
    augmented_share: float = 0.5
    """Share of the speakers of a batch whose voice is augmented."""
    augmentation: AugmentationOptions = field(
        default_factory=lambda: AugmentationOptions(equalised=0.0, noisy=0.3, echoing=0.15)
    )
    average: float = 0.996
    """Decay of the moving average."""
    seed: int = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiffusionData:
    """The clips of a corpus with their vocoder mels and GPT latents."""

    corpus: TokenizedCorpus
    mels: MelDataset
    latents: GptLatents


def train_diffusion(
    recipe: DiffusionRecipe,
    data: DiffusionData,
    held_out: DiffusionData,
    folder: Path,
    report: ProgressReporter,
    vocoder: MelVocoder | None = None,
) -> DiffusionDecoder:
    """Train until the last step or until a `stop` file appears; resume from a saved state.

    With a vocoder, a sample of one held-out clip is written at every validation.
    Returns the moving average, which is saved in `export` too.
    """
    model = build_seeded(recipe.seed, lambda: DiffusionDecoder(recipe.architecture))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.average))
    ema_model = cast(DiffusionDecoder, average.module)
    muon, adamw = create_conv_muon_and_adamw(
        model, get_muon_modules(model), recipe.rate, recipe.decay
    )
    export = partial(save_network, folder / "export", "diffusion", ema_model, ema_model.config)
    loop = TrainingLoop(
        folder, report, export, model=model, average=average, muon=muon, adamw=adamw
    )
    for step in loop.steps(recipe.steps, "diffusion"):
        lr = compute_cosine_lr(step, recipe.steps, recipe.rate, recipe.warm_up)
        losses = _compute_losses(model, recipe, data, step, recipe.seed)
        loss = losses.mel if step < recipe.mel_first else losses.total()
        norm = optimizer_step(loss, model, (muon, adamw), lr, recipe.clip)
        average.update_parameters(model)
        done = step + 1
        if done % LOG_EVERY == 0:
            loop.log_metrics(done, gradient=norm, **losses_to_dict(losses))
        if done % VALIDATE_EVERY == 0:
            loop.log_metrics(done, **validate(ema_model, recipe, held_out))
            if vocoder is not None:
                wave = synthesize_sample(ema_model, held_out, vocoder)
                write_sample(wave, folder / "samples" / f"{done:06d}.wav")
    return ema_model.eval()


def losses_to_dict(losses: DiffusionLosses) -> dict[str, float]:
    """Return the parts of the loss as numbers."""
    return {
        "noise": losses.noise.item(),
        "bound": losses.bound.item(),
        "mel": losses.mel.item(),
    }


@torch.no_grad()
def validate(
    model: DiffusionDecoder, recipe: DiffusionRecipe, held_out: DiffusionData
) -> dict[str, float]:
    """Return the mean losses on held-out clips, always with the same noise."""
    model.eval()
    parts = [
        losses_to_dict(_compute_losses(model, recipe, held_out, step, seed=0))
        for step in range(VALIDATION_BATCHES)
    ]
    model.train()
    return {f"validation_{name}": sum(p[name] for p in parts) / len(parts) for name in parts[0]}


@torch.no_grad()
def synthesize_sample(
    model: DiffusionDecoder, held_out: DiffusionData, vocoder: MelVocoder
) -> Tensor:
    """Synthesize the first held-out clip from its latents: (n,) at 24 kHz."""
    model.eval()
    generator = make_step_generator(0, 0)
    batch = draw_batch(held_out, [0], len(held_out.corpus.clips[0].codes), generator)
    conditioning = model.get_conditioning(batch.voices)
    mel = denoise(model, batch.latents, conditioning, SAMPLE_OPTIONS, generator, ProgressReporter())
    model.train()
    return vocode(prepare_for_inference(vocoder), mel, generator)[0].clone()


def write_sample(wave: Tensor, path: Path) -> None:
    """Write a sample.  wave: (n,)."""
    path.parent.mkdir(exist_ok=True)
    write_clip(path, Clip(wave=wave, sample_rate=VOCODER_MEL.sample_rate, name=path.stem))


def _compute_losses(
    model: DiffusionDecoder, recipe: DiffusionRecipe, data: DiffusionData, step: int, seed: int
) -> DiffusionLosses:
    lengths = [len(clip.codes) for clip in data.corpus.clips]
    chosen = sample_length_bucketed_batch(lengths, recipe.batch, step, seed)
    generator = make_step_generator(seed, step)
    drops = recipe.drops if model.training else DropoutOptions(unconditioned=0.0)
    augmentation = (
        VoiceAugmentation(augmented_share=recipe.augmented_share, augmentation=recipe.augmentation)
        if model.training
        else NO_AUGMENTATION
    )
    batch = draw_batch(data, chosen, recipe.window, generator, augmentation)
    with torch.autocast("cpu", torch.bfloat16):
        weighing = LossWeighting(max_inverse_snr=recipe.clean_cap, min_timestep=recipe.quietest)
        return compute_diffusion_losses(
            model, make_linear_schedule(), batch, drops, generator, weighing
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceAugmentation:
    """Options of voice augmentation."""

    augmented_share: float  # of the speakers
    augmentation: AugmentationOptions


NO_AUGMENTATION = VoiceAugmentation(
    augmented_share=0.0, augmentation=AugmentationOptions(equalised=0.0, noisy=0.0, echoing=0.0)
)


@torch.no_grad()
def draw_batch(
    data: DiffusionData,
    chosen: list[int],
    window: int,
    generator: torch.Generator,
    augmentation: VoiceAugmentation = NO_AUGMENTATION,
) -> DiffusionBatch:
    """Cut a window of at most `window` codes from each clip, with a reference of each speaker."""
    corpus = data.corpus
    voices, speakers = corpus.sample_speaker_mels(
        chosen, random_int(*REFERENCE_FRAMES, generator), generator, data.mels
    )
    codes = torch.tensor([len(corpus.clips[index].codes) for index in chosen])
    length = min(window, int(codes.min()))
    starts = (torch.rand(len(chosen), generator=generator) * (codes - length + 1)).long().tolist()
    mels = [
        crop_mel(data.mels[clip], start, length) for clip, start in zip(chosen, starts, strict=True)
    ]
    for speaker in range(len(voices)):
        if float(torch.rand(1, generator=generator)) < augmentation.augmented_share:
            factor, curve = sample_warp_factor(generator), sample_eq_curve(VOCODER_MEL, generator)
            voices[speaker] = augment_voice(voices[speaker], factor, curve, VOCODER_MEL)
            for place in (speakers == speaker).nonzero().flatten().tolist():
                changed = augment_voice(denormalize_mel(mels[place]), factor, curve, VOCODER_MEL)
                mels[place] = normalize_mel(changed)
        voices[speaker] = apply_channel_augmentation(
            voices[speaker], VOCODER_MEL, augmentation.augmentation, generator
        )
    return DiffusionBatch(
        mel=torch.stack(mels),
        latents=torch.stack(
            [
                data.latents[clip][start : start + length]
                for clip, start in zip(chosen, starts, strict=True)
            ]
        ),
        voices=voices.unsqueeze(1),
        speakers=speakers,
    )
