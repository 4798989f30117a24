"""Train CVVP, the judge of whether codes sound like a voice.

Everybody in a batch is another speaker, and the voice is heard in a clip drawn on its own, so what
was said rarely helps: only who spoke does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from jobs.report import Reporter
from tortoise.contrastive import info_nce
from tortoise.cvvp import Cvvp, CvvpConfig
from training.checkpoint import load_state, save_state
from training.codes import Spoken, SpokenCorpus
from training.rates import cosine
from training.run import Run, generator_for
from training.schedule import adamw, clip_gradients, set_rate

FIRST_TEMPERATURE = math.log(1 / 0.07)  # as CLIP begins (arXiv:2103.00020)
LAST_TEMPERATURE = math.log(100)
JUDGE_EVERY = 250  # steps
JUDGED_BATCHES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CvvpRecipe:
    """How CVVP is trained."""

    architecture: CvvpConfig = field(
        default_factory=lambda: CvvpConfig(
            codes=1024, dim=128, heads=2, voice_depth=2, speech_depth=3
        )
    )
    steps: int = 500
    batch: int = 32
    voice_frames: tuple[int, int] = (100, 260)
    """Mel frames of a stretch of the voice: 1.2 to 3 s."""
    speech_codes: tuple[int, int] = (20, 100)
    """Codes of a stretch of speech: 1 to 4.6 s."""
    rate: float = 1e-3
    warm_up: int = 100
    decay: float = 1e-2
    seed: int = 3


def train_cvvp(
    recipe: CvvpRecipe,
    corpus: SpokenCorpus,
    held_out: SpokenCorpus,
    norms: Tensor,
    folder: Path,
    report: Reporter,
) -> Cvvp:
    """Train until the last step or until `stop` lies in the folder; goes on from a saved state.

    norms: (80,) what each mel band is divided by.
    """
    model = _build(recipe)
    optimizer = adamw(model, recipe.rate, recipe.decay, betas=(0.9, 0.98))
    run = Run(folder, report)
    done = load_state(folder, model=model, optimizer=optimizer)
    for step in run.steps(done, recipe.steps, "cvvp"):
        generator = generator_for(recipe.seed, step)
        set_rate(optimizer, cosine(step, recipe.steps, recipe.rate, recipe.warm_up))
        loss, found = _judge(model, recipe, corpus, norms, generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = clip_gradients(model.parameters(), 1.0)
        optimizer.step()
        model.temperature.data.clamp_(max=LAST_TEMPERATURE)
        done = step + 1
        if done % 50 == 0:
            run.write(done, loss=loss.item(), found=found.item(), gradient=norm)
        if done % JUDGE_EVERY == 0:
            run.write(done, held_out=share_found(model, recipe, held_out, norms))
        if run.due():
            save_state(folder, done, model=model, optimizer=optimizer)
    save_state(folder, done, model=model, optimizer=optimizer)
    return model.eval()


def _build(recipe: CvvpRecipe) -> Cvvp:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = Cvvp(recipe.architecture).train()
    model.temperature.data.fill_(FIRST_TEMPERATURE)
    return model


@torch.no_grad()
def share_found(model: Cvvp, recipe: CvvpRecipe, corpus: SpokenCorpus, norms: Tensor) -> float:
    """How often a voice finds its own speech among that of other speakers, over a few batches."""
    found = [
        _judge(model, recipe, corpus, norms, generator_for(recipe.seed, -1 - turn))[1]
        for turn in range(JUDGED_BATCHES)
    ]
    return float(torch.stack(found).mean())


def _judge(
    model: Cvvp,
    recipe: CvvpRecipe,
    corpus: SpokenCorpus,
    norms: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Loss () of one batch, and the share of voices () that found their own speech."""
    chosen = draw_speakers(corpus, recipe.batch, generator)
    frames = int(torch.randint(*recipe.voice_frames, (1,), generator=generator))
    mels, which = corpus.voices(chosen, frames, generator)
    m = int(torch.randint(*recipe.speech_codes, (1,), generator=generator))
    codes = torch.stack([crop_codes(corpus.clips[index], m, generator) for index in chosen])
    with torch.autocast("cpu", torch.bfloat16):
        voices = model.encode_voice(mels / norms.unsqueeze(-1))[which]
        speech = model.encode_speech(codes)
    similarity = model.compare(voices, speech)
    found = similarity.argmax(1) == torch.arange(len(chosen))
    return info_nce(similarity), found.float().mean()


def draw_speakers(corpus: SpokenCorpus, batch: int, generator: torch.Generator) -> Sequence[int]:
    """Draw clips at random, but at most one of each speaker: up to `batch` clip numbers."""
    chosen: dict[int, int] = {}
    for index in torch.randperm(len(corpus), generator=generator).tolist():
        chosen.setdefault(corpus.clips[index].speaker, index)
        if len(chosen) == batch:
            break
    return list(chosen.values())


def crop_codes(clip: Spoken, m: int, generator: torch.Generator) -> Tensor:
    """A random stretch of a clip's codes, said again and again where it is short: (m,)."""
    spare = max(0, len(clip.codes) - m)
    first = int(torch.randint(spare + 1, (1,), generator=generator))
    stretch = clip.codes[first : first + m].long()
    return stretch.repeat(-(-m // len(stretch)))[:m]
