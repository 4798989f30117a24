"""Train the diffusion network: what the finished GPT meant, and a voice, in; noise named.

It learns from the GPT's latents of true codes, so the GPT must be trained before. Some speakers are
disguised, in what is heard of them and in what is wanted alike: latents tell what is said, but only
the reference tells how. The network that is kept is a moving average over the steps, which sounds
cleaner than any single one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from jobs.report import Reporter
from speech.clip import Clip
from speech.files import write_clip
from speech.mel import VOCODER_MEL, denormalize_mel, normalize_mel
from tortoise.diffusion import DenoiseOptions, denoise, frames_of
from tortoise.diffusion_decoder import DiffusionConfig, DiffusionDecoder
from tortoise.diffusion_schedule import linear_schedule
from tortoise.vocoders import MelVocoder, for_inference, vocode
from tortoise.weights import save_network
from training.checkpoint import load_state, save_state
from training.codes import SpokenCorpus, batch_of_equals
from training.conv_muon import conv_muon_and_adamw
from training.corruption import draw
from training.diffusion_loss import (
    DiffusionBatch,
    DiffusionLosses,
    DropOptions,
    Weighing,
    diffusion_losses,
)
from training.features import Features
from training.latents import Latents
from training.rates import cosine
from training.run import Run, generator_for
from training.schedule import clip_gradients, set_rate
from training.strangers import Hearing, disguise, disturb, draw_curve, draw_tract

HEARD_FRAMES = (150, 400)  # a stretch of the voice of 1.6 to 4.3 s
NOTE_EVERY = 25
VALIDATE_EVERY = 250
VALIDATION_BATCHES = 4
Parts = dict[str, nn.Module | torch.optim.Optimizer]
SAID_AGAIN = DenoiseOptions(steps=20, sampler="dpm")


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
    drops: DropOptions = field(default_factory=lambda: DropOptions(unconditioned=0.05))
    disguised: float = 0.5
    """Share of the speakers of a batch whose vocal tract and spectrum are changed."""
    hearing: Hearing = field(
        default_factory=lambda: Hearing(equalised=0.0, noisy=0.3, echoing=0.15)
    )
    average: float = 0.996
    """How much of the moving average each step keeps."""
    seed: int = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Teaching:
    """Speech with what the GPT meant by it.

    mels: what the vocoder hears of the corpus's clips.
    """

    corpus: SpokenCorpus
    mels: Features
    latents: Latents


def train_diffusion(
    recipe: DiffusionRecipe,
    teaching: Teaching,
    held_out: Teaching,
    folder: Path,
    report: Reporter,
    vocoder: MelVocoder | None = None,
) -> DiffusionDecoder:
    """Train until the last step or until `stop` lies in the folder; goes on from a saved state.

    With a vocoder, one held-out clip is spoken into `samples` at every validation.
    Returns the moving average, which `export` holds as a network of a bundle.
    """
    model = _build(recipe)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.average))
    kept = cast(DiffusionDecoder, average.module)
    muon, adamw = conv_muon_and_adamw(model, kernels_of(model), recipe.rate, recipe.decay)
    parts: Parts = {"model": model, "average": average, "muon": muon, "adamw": adamw}
    run = Run(folder, report)
    done = load_state(folder, **parts)
    for step in run.steps(done, recipe.steps, "diffusion"):
        rate = cosine(step, recipe.steps, recipe.rate, recipe.warm_up)
        losses = _losses(model, recipe, teaching, step, recipe.seed)
        model.zero_grad(set_to_none=True)
        (losses.mel if step < recipe.mel_first else losses.total()).backward()
        norm = clip_gradients(model.parameters(), recipe.clip)
        for optimizer in (muon, adamw):
            set_rate(optimizer, rate)
            optimizer.step()
        average.update_parameters(model)
        done = step + 1
        if done % NOTE_EVERY == 0:
            run.write(done, gradient=norm, **figures(losses))
        if done % VALIDATE_EVERY == 0:
            run.write(done, **validate(kept, recipe, held_out))
            if vocoder is not None:
                wave = say_again(kept, held_out, vocoder)
                write_sample(wave, folder / "samples" / f"{done:06d}.wav")
        if run.due():
            save_state(folder, done, **parts)
            save_network(folder / "export", "diffusion", kept, kept.config)
    save_state(folder, done, **parts)
    save_network(folder / "export", "diffusion", kept, kept.config)
    return kept.eval()


def _build(recipe: DiffusionRecipe) -> DiffusionDecoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return DiffusionDecoder(recipe.architecture).train()


def kernels_of(model: DiffusionDecoder) -> nn.Module:
    """What lies between the first and the last layers, whose kernels mix widths alike."""
    trunk = [model.layers, model.conditioning_timestep_integrator]
    return nn.ModuleList([*trunk, model.latent_conditioner, model.contextual_embedder])


def figures(losses: DiffusionLosses) -> dict[str, float]:
    """The parts of the loss as numbers for the diary."""
    return {
        "noise": losses.noise.item(),
        "bound": losses.bound.item(),
        "mel": losses.mel.item(),
    }


@torch.no_grad()
def validate(
    model: DiffusionDecoder, recipe: DiffusionRecipe, held_out: Teaching
) -> dict[str, float]:
    """The mean losses on clips never learned from, always the same ones with the same noise."""
    model.eval()
    parts = [
        figures(_losses(model, recipe, held_out, step, seed=0))
        for step in range(VALIDATION_BATCHES)
    ]
    model.train()
    return {f"validation_{name}": sum(p[name] for p in parts) / len(parts) for name in parts[0]}


@torch.no_grad()
def say_again(model: DiffusionDecoder, held_out: Teaching, vocoder: MelVocoder) -> Tensor:
    """Speak the first held-out clip from what the GPT meant by it: (n,) at 24 kHz."""
    model.eval()
    generator = generator_for(0, 0)
    batch = draw_batch(held_out, [0], len(held_out.corpus.clips[0].codes), generator)
    conditioning = model.get_conditioning(batch.voices)
    mel = denoise(model, batch.latents, conditioning, SAID_AGAIN, generator, Reporter())
    model.train()
    return vocode(for_inference(vocoder), mel, generator)[0].clone()


def write_sample(wave: Tensor, path: Path) -> None:
    """Put a sample where people find it.  wave: (n,)."""
    path.parent.mkdir(exist_ok=True)
    write_clip(path, Clip(wave=wave, sample_rate=VOCODER_MEL.sample_rate, name=path.stem))


def _losses(
    model: DiffusionDecoder, recipe: DiffusionRecipe, teaching: Teaching, step: int, seed: int
) -> DiffusionLosses:
    lengths = [len(clip.codes) for clip in teaching.corpus.clips]
    chosen = batch_of_equals(lengths, recipe.batch, step, seed)
    generator = generator_for(seed, step)
    drops = recipe.drops if model.training else DropOptions(unconditioned=0.0)
    ways = Ways(disguised=recipe.disguised, hearing=recipe.hearing) if model.training else AS_IS
    batch = draw_batch(teaching, chosen, recipe.window, generator, ways)
    with torch.autocast("cpu", torch.bfloat16):
        weighing = Weighing(clean_cap=recipe.clean_cap, quietest=recipe.quietest)
        return diffusion_losses(model, linear_schedule(), batch, drops, generator, weighing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How voices are changed before the network hears them."""

    disguised: float  # share of speakers
    hearing: Hearing


AS_IS = Ways(disguised=0.0, hearing=Hearing(equalised=0.0, noisy=0.0, echoing=0.0))


@torch.no_grad()
def draw_batch(
    teaching: Teaching,
    chosen: list[int],
    window: int,
    generator: torch.Generator,
    ways: Ways = AS_IS,
) -> DiffusionBatch:
    """Cut a stretch of at most `window` codes from each clip and hear who speaks it."""
    corpus = teaching.corpus
    voices, speakers = corpus.voices(
        chosen, draw(*HEARD_FRAMES, generator), generator, teaching.mels
    )
    codes = torch.tensor([len(corpus.clips[index].codes) for index in chosen])
    length = min(window, int(codes.min()))
    starts = (torch.rand(len(chosen), generator=generator) * (codes - length + 1)).long().tolist()
    mels = [
        cut_mel(teaching.mels[clip], start, length)
        for clip, start in zip(chosen, starts, strict=True)
    ]
    for speaker in range(len(voices)):
        if float(torch.rand(1, generator=generator)) < ways.disguised:
            factor, curve = draw_tract(generator), draw_curve(VOCODER_MEL, generator)
            voices[speaker] = disguise(voices[speaker], factor, curve, VOCODER_MEL)
            for place in (speakers == speaker).nonzero().flatten().tolist():
                changed = disguise(denormalize_mel(mels[place]), factor, curve, VOCODER_MEL)
                mels[place] = normalize_mel(changed)
        voices[speaker] = disturb(voices[speaker], VOCODER_MEL, ways.hearing, generator)
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


def cut_mel(mel: Tensor, start: int, codes: int) -> Tensor:
    """The normalised frames of some codes: (f, c) log-mel to (c, f').

    The last code of a clip reaches beyond its sound; the last frame stands in for what is lacking.
    """
    first = frames_of(start) if start else 0
    frames = frames_of(codes)
    cut = normalize_mel(mel[first : first + frames]).T
    return functional.pad(cut, (0, frames - cut.shape[1]), mode="replicate")
