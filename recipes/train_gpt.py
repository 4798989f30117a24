"""Train the GPT to predict codes from phonemes and a reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from core.progress import ProgressReporter
from recipes.data.codes import TokenizedCorpus, sample_length_bucketed_batch
from recipes.data.voice_augmentation import (
    AugmentationOptions,
    sample_augmented_references,
)
from recipes.loop import (
    TrainingLoop,
    autocast_bfloat16,
    build_seeded,
    make_step_generator,
    optimizer_step,
)
from tortoise.modules.gpt import Gpt, GptConfig
from training.finetuning.config.lr_schedule import compute_cosine_lr
from training.finetuning.optim.gpt_loss import GptLosses, collate_clips, compute_gpt_losses
from training.finetuning.optim.optimizers import make_muon_and_adamw

VALIDATE_EVERY = 250
REFERENCE_FRAMES = 100  # 1.2 s
VALIDATION_BATCHES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class GptRecipe:
    """Options of GPT training."""

    architecture: GptConfig = field(
        default_factory=lambda: GptConfig(
            layers=5,
            model_dim=256,
            heads=4,
            max_text_tokens=240,
            max_mel_tokens=300,
            number_text_tokens=128,
            start_text_token=127,
            number_mel_codes=1002,
            start_mel_token=1000,
            stop_mel_token=1001,
            conditioning_depth=1,
            aligner_width=192,
            aligner_depth=5,
            dropout=0.0,
            attention_dropout=0.0,
        )
    )
    steps: int = 5_400
    batch: int = 16
    rate: float = 1.5e-3
    warm_up: int = 200
    decay: float = 0.02
    text_weight: float = 0.01
    clip: float = 1.0
    augmentation: AugmentationOptions = field(
        default_factory=lambda: AugmentationOptions(equalised=0, noisy=0, echoing=0)
    )
    seed: int = 2


def train_gpt(
    recipe: GptRecipe,
    corpus: TokenizedCorpus,
    held_out: TokenizedCorpus,
    norms: Tensor,
    folder: Path,
    report: ProgressReporter,
) -> Gpt:
    """Train until the last step or until a `stop` file appears; resume from a saved state.

    norms: (80,) of the mel bands.
    """
    model = build_seeded(recipe.seed, lambda: Gpt(recipe.architecture))
    muon, adamw = make_muon_and_adamw(model, model.gpt.h, recipe.rate, recipe.decay)
    loop = TrainingLoop(folder, report, model=model, muon=muon, adamw=adamw)
    lengths = [len(clip.text) + len(clip.codes) for clip in corpus.clips]
    for step in loop.steps(recipe.steps, "gpt"):
        lr = compute_cosine_lr(step, recipe.steps, recipe.rate, recipe.warm_up)
        chosen = sample_length_bucketed_batch(lengths, recipe.batch, step, recipe.seed)
        generator = make_step_generator(recipe.seed, step)
        references = sample_augmented_references(
            corpus, chosen, REFERENCE_FRAMES, recipe.augmentation, generator
        )
        losses = _compute_losses(model, corpus, chosen, references, norms)
        loss = losses.total(recipe.text_weight)
        norm = optimizer_step(loss, model, (muon, adamw), lr, recipe.clip)
        done = step + 1
        if done % 25 == 0:
            loop.log_metrics(done, mel=losses.mel.item(), text=losses.text.item(), gradient=norm)
        if done % VALIDATE_EVERY == 0:
            loop.log_metrics(done, validation=validate(model, held_out, norms, recipe))
    return model.eval()


@torch.no_grad()
def validate(model: Gpt, corpus: TokenizedCorpus, norms: Tensor, recipe: GptRecipe) -> float:
    """Return the cross entropy per code in nats on held-out clips."""
    model.eval()
    lengths = [len(clip.codes) for clip in corpus.clips]
    total = 0.0
    for step in range(VALIDATION_BATCHES):
        chosen = sample_length_bucketed_batch(
            lengths, recipe.batch, step, seed=0, pool=VALIDATION_BATCHES
        )
        generator = make_step_generator(0, step)
        references = corpus.sample_speaker_mels(chosen, REFERENCE_FRAMES, generator)
        total += _compute_losses(model, corpus, chosen, references, norms).mel.item()
    model.train()
    return total / VALIDATION_BATCHES


def _compute_losses(
    model: Gpt,
    corpus: TokenizedCorpus,
    chosen: list[int],
    references: tuple[Tensor, Tensor],
    norms: Tensor,
) -> GptLosses:
    mels, which = references
    batch = collate_clips([corpus.clips[index] for index in chosen])
    with autocast_bfloat16():
        conditioning = model.condition(mels / norms.unsqueeze(-1))[which]
        return compute_gpt_losses(model, conditioning, batch)
