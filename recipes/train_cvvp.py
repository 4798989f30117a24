"""Train CVVP, which ranks candidates by how well they match the voice.

A batch has one clip of each speaker, and the reference is another clip of that speaker, so that the
pairs differ only by voice, not by text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from core.progress import ProgressReporter
from recipes.data.codes import TokenizedClip, TokenizedCorpus
from recipes.loop import TrainingLoop, build_seeded, make_step_generator, optimizer_step
from tortoise.modules.cvvp import Cvvp, CvvpConfig
from tortoise.modules.losses import INITIAL_LOG_TEMPERATURE, MAX_LOG_TEMPERATURE, info_nce_loss
from training.finetuning.config.lr_schedule import compute_cosine_lr
from training.finetuning.optim.optimizers import make_adamw

EVALUATE_EVERY = 250
EVALUATION_BATCHES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CvvpRecipe:
    """Options of CVVP training."""

    architecture: CvvpConfig = field(
        default_factory=lambda: CvvpConfig(
            codes=1024, dim=128, heads=2, voice_depth=2, speech_depth=3
        )
    )
    steps: int = 500
    batch: int = 32
    voice_frames: tuple[int, int] = (100, 260)
    """Mel frames of a reference: 1.2 to 3 s."""
    speech_codes: tuple[int, int] = (20, 100)
    """Codes of a speech window: 1 to 4.6 s."""
    rate: float = 1e-3
    warm_up: int = 100
    decay: float = 1e-2
    seed: int = 3


def train_cvvp(
    recipe: CvvpRecipe,
    corpus: TokenizedCorpus,
    held_out: TokenizedCorpus,
    norms: Tensor,
    folder: Path,
    report: ProgressReporter,
) -> Cvvp:
    """Train until the last step or until a `stop` file appears; resume from a saved state.

    norms: (80,) of the mel bands.
    """
    model = build_seeded(recipe.seed, lambda: Cvvp(recipe.architecture))
    model.temperature.data.fill_(INITIAL_LOG_TEMPERATURE)
    optimizer = make_adamw(model, recipe.rate, recipe.decay, betas=(0.9, 0.98))
    loop = TrainingLoop(folder, report, model=model, optimizer=optimizer)
    for step in loop.steps(recipe.steps, "cvvp"):
        generator = make_step_generator(recipe.seed, step)
        lr = compute_cosine_lr(step, recipe.steps, recipe.rate, recipe.warm_up)
        loss, correct = _compute_loss(model, recipe, corpus, norms, generator)
        norm = optimizer_step(loss, model, [optimizer], lr)
        model.temperature.data.clamp_(max=MAX_LOG_TEMPERATURE)
        done = step + 1
        if done % 50 == 0:
            loop.log_metrics(done, loss=loss.item(), found=correct.item(), gradient=norm)
        if done % EVALUATE_EVERY == 0:
            accuracy = compute_retrieval_accuracy(model, recipe, held_out, norms)
            loop.log_metrics(done, held_out=accuracy)
    return model.eval()


@torch.no_grad()
def compute_retrieval_accuracy(
    model: Cvvp, recipe: CvvpRecipe, corpus: TokenizedCorpus, norms: Tensor
) -> float:
    """Return how often a voice ranks its own speech first among that of other speakers."""
    correct = [
        _compute_loss(model, recipe, corpus, norms, make_step_generator(recipe.seed, -1 - turn))[1]
        for turn in range(EVALUATION_BATCHES)
    ]
    return float(torch.stack(correct).mean())


def _compute_loss(
    model: Cvvp,
    recipe: CvvpRecipe,
    corpus: TokenizedCorpus,
    norms: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return the loss () of one batch, and the share of voices () that rank their speech first."""
    chosen = sample_speakers(corpus, recipe.batch, generator)
    frames = int(torch.randint(*recipe.voice_frames, (1,), generator=generator))
    mels, which = corpus.sample_speaker_mels(chosen, frames, generator)
    m = int(torch.randint(*recipe.speech_codes, (1,), generator=generator))
    codes = torch.stack([crop_codes(corpus.clips[index], m, generator) for index in chosen])
    with torch.autocast("cpu", torch.bfloat16):
        voices = model.encode_voice(mels / norms.unsqueeze(-1))[which]
        speech = model.encode_speech(codes)
    similarity = model.compare(voices, speech)
    correct = similarity.argmax(1) == torch.arange(len(chosen))
    return info_nce_loss(similarity), correct.float().mean()


def sample_speakers(
    corpus: TokenizedCorpus, batch: int, generator: torch.Generator
) -> Sequence[int]:
    """Draw up to `batch` clip indices, at most one of each speaker."""
    chosen: dict[int, int] = {}
    for index in torch.randperm(len(corpus), generator=generator).tolist():
        chosen.setdefault(corpus.clips[index].speaker, index)
        if len(chosen) == batch:
            break
    return list(chosen.values())


def crop_codes(clip: TokenizedClip, m: int, generator: torch.Generator) -> Tensor:
    """Cut a random window of a clip's codes, repeated where the clip is short: (m,)."""
    spare = max(0, len(clip.codes) - m)
    first = int(torch.randint(spare + 1, (1,), generator=generator))
    stretch = clip.codes[first : first + m].long()
    return stretch.repeat(-(-m // len(stretch)))[:m]
