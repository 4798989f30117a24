"""Train the diffusion network: what the finished GPT meant, and a voice, in; noise named.

It learns from the GPT's latents of true codes, so the GPT must be trained before. Some speakers are
disguised, in what is heard of them and in what is wanted alike: latents tell what is said, but only
the reference tells how. The network that is kept is a moving average over the steps, which sounds
cleaner than any single one of them.
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
from training.finetuning.optim.conv_muon import create_conv_muon_and_adamw
from training.finetuning.optim.diffusion_loss import (
    DiffusionBatch,
    DiffusionLosses,
    DropoutOptions,
    LossWeighting,
    compute_diffusion_losses,
    crop_mel,
    get_muon_modules,
)

REFERENCE_FRAMES = (150, 400)  # a stretch of the voice of 1.6 to 4.3 s
LOG_EVERY = 25
VALIDATE_EVERY = 250
VALIDATION_BATCHES = 4
SAMPLE_OPTIONS = DiffusionSamplingOptions(steps=20, sampler="dpm")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionRecipe:
    """How the diffusion network is trained."""

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
    """Codes of a stretch of speech; longer clips are cut."""
    rate: float = 1e-3
    warm_up: int = 200
    decay: float = 1e-3
    clip: float = 1.0
    mel_first: int = 200
    """Steps at the start that learn the mel at once and nothing of noise, as published."""
    clean_cap: float | None = 1e5
    """Weight of very noisy steps, whose errors reach the mel most (see step_weights)."""
    quietest: int = 1_000
    """Steps with less noise are not taught: the few iterations of a small network skip them."""
    drops: DropoutOptions = field(default_factory=lambda: DropoutOptions(unconditioned=0.05))
    augmented_share: float = 0.5
    """Share of the speakers of a batch whose vocal tract and spectrum are changed."""
    augmentation: AugmentationOptions = field(
        default_factory=lambda: AugmentationOptions(equalised=0.0, noisy=0.3, echoing=0.15)
    )
    average: float = 0.996
    """How much of the moving average each step keeps."""
    seed: int = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiffusionData:
    """Speech with what the GPT meant by it.

    mels: what the vocoder hears of the corpus's clips.
    """

    corpus: TokenizedCorpus
    mels: MelDataset
    latents: GptLatents


def train_diffusion(
    recipe: DiffusionRecipe,
    teaching: DiffusionData,
    held_out: DiffusionData,
    folder: Path,
    report: ProgressReporter,
    vocoder: MelVocoder | None = None,
) -> DiffusionDecoder:
    """Train until the last step or until a `stop` file appears; resume from a saved state.

    With a vocoder, one held-out clip is spoken into `samples` at every validation.
    Returns the moving average, which `export` holds as a network of a bundle.
    """
    model = build_seeded(recipe.seed, lambda: DiffusionDecoder(recipe.architecture))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.average))
    kept = cast(DiffusionDecoder, average.module)
    muon, adamw = create_conv_muon_and_adamw(
        model, get_muon_modules(model), recipe.rate, recipe.decay
    )
    export = partial(save_network, folder / "export", "diffusion", kept, kept.config)
    loop = TrainingLoop(
        folder, report, export, model=model, average=average, muon=muon, adamw=adamw
    )
    for step in loop.steps(recipe.steps, "diffusion"):
        lr = compute_cosine_lr(step, recipe.steps, recipe.rate, recipe.warm_up)
        losses = _compute_losses(model, recipe, teaching, step, recipe.seed)
        loss = losses.mel if step < recipe.mel_first else losses.total()
        norm = optimizer_step(loss, model, (muon, adamw), lr, recipe.clip)
        average.update_parameters(model)
        done = step + 1
        if done % LOG_EVERY == 0:
            loop.log_metrics(done, gradient=norm, **losses_to_dict(losses))
        if done % VALIDATE_EVERY == 0:
            loop.log_metrics(done, **validate(kept, recipe, held_out))
            if vocoder is not None:
                wave = synthesize_sample(kept, held_out, vocoder)
                write_sample(wave, folder / "samples" / f"{done:06d}.wav")
    return kept.eval()


def losses_to_dict(losses: DiffusionLosses) -> dict[str, float]:
    """The parts of the loss as numbers for the diary."""
    return {
        "noise": losses.noise.item(),
        "bound": losses.bound.item(),
        "mel": losses.mel.item(),
    }


@torch.no_grad()
def validate(
    model: DiffusionDecoder, recipe: DiffusionRecipe, held_out: DiffusionData
) -> dict[str, float]:
    """The mean losses on clips never learned from, always the same ones with the same noise."""
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
    """Speak the first held-out clip from what the GPT meant by it: (n,) at 24 kHz."""
    model.eval()
    generator = make_step_generator(0, 0)
    batch = draw_batch(held_out, [0], len(held_out.corpus.clips[0].codes), generator)
    conditioning = model.get_conditioning(batch.voices)
    mel = denoise(model, batch.latents, conditioning, SAMPLE_OPTIONS, generator, ProgressReporter())
    model.train()
    return vocode(prepare_for_inference(vocoder), mel, generator)[0].clone()


def write_sample(wave: Tensor, path: Path) -> None:
    """Put a sample where people find it.  wave: (n,)."""
    path.parent.mkdir(exist_ok=True)
    write_clip(path, Clip(wave=wave, sample_rate=VOCODER_MEL.sample_rate, name=path.stem))


def _compute_losses(
    model: DiffusionDecoder, recipe: DiffusionRecipe, teaching: DiffusionData, step: int, seed: int
) -> DiffusionLosses:
    lengths = [len(clip.codes) for clip in teaching.corpus.clips]
    chosen = sample_length_bucketed_batch(lengths, recipe.batch, step, seed)
    generator = make_step_generator(seed, step)
    drops = recipe.drops if model.training else DropoutOptions(unconditioned=0.0)
    ways = (
        VoiceAugmentation(augmented_share=recipe.augmented_share, augmentation=recipe.augmentation)
        if model.training
        else NO_AUGMENTATION
    )
    batch = draw_batch(teaching, chosen, recipe.window, generator, ways)
    with torch.autocast("cpu", torch.bfloat16):
        weighing = LossWeighting(max_inverse_snr=recipe.clean_cap, min_timestep=recipe.quietest)
        return compute_diffusion_losses(
            model, make_linear_schedule(), batch, drops, generator, weighing
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceAugmentation:
    """How voices are changed before the network hears them."""

    augmented_share: float  # share of speakers
    augmentation: AugmentationOptions


NO_AUGMENTATION = VoiceAugmentation(
    augmented_share=0.0, augmentation=AugmentationOptions(equalised=0.0, noisy=0.0, echoing=0.0)
)


@torch.no_grad()
def draw_batch(
    teaching: DiffusionData,
    chosen: list[int],
    window: int,
    generator: torch.Generator,
    ways: VoiceAugmentation = NO_AUGMENTATION,
) -> DiffusionBatch:
    """Cut a stretch of at most `window` codes from each clip and hear who speaks it."""
    corpus = teaching.corpus
    voices, speakers = corpus.sample_speaker_mels(
        chosen, random_int(*REFERENCE_FRAMES, generator), generator, teaching.mels
    )
    codes = torch.tensor([len(corpus.clips[index].codes) for index in chosen])
    length = min(window, int(codes.min()))
    starts = (torch.rand(len(chosen), generator=generator) * (codes - length + 1)).long().tolist()
    mels = [
        crop_mel(teaching.mels[clip], start, length)
        for clip, start in zip(chosen, starts, strict=True)
    ]
    for speaker in range(len(voices)):
        if float(torch.rand(1, generator=generator)) < ways.augmented_share:
            factor, curve = sample_warp_factor(generator), sample_eq_curve(VOCODER_MEL, generator)
            voices[speaker] = augment_voice(voices[speaker], factor, curve, VOCODER_MEL)
            for place in (speakers == speaker).nonzero().flatten().tolist():
                changed = augment_voice(denormalize_mel(mels[place]), factor, curve, VOCODER_MEL)
                mels[place] = normalize_mel(changed)
        voices[speaker] = apply_channel_augmentation(
            voices[speaker], VOCODER_MEL, ways.augmentation, generator
        )
    return DiffusionBatch(
        mel=torch.stack(mels),
        latents=torch.stack(
            [
                teaching.latents[clip][start : start + length]
                for clip, start in zip(chosen, starts, strict=True)
            ]
        ),
        voices=voices.unsqueeze(1),
        speakers=speakers,
    )
