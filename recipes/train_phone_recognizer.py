"""Train the phone recognizer that judges the mels of the codec's decoder.

It learns from speech with known phones, whose vocal tract, room and noise are changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from audio.mel import VOCODER_MEL
from core.progress import ProgressReporter
from recipes.data.codec_batches import BatchOptions, CodecBatches
from recipes.data.speech_store import SpeechStore
from recipes.data.voice_augmentation import (
    AugmentationOptions,
    apply_channel_augmentation,
    sample_warp_factor,
    warp_frequencies,
)
from recipes.loop import (
    TrainingLoop,
    build_seeded,
    make_step_generator,
    optimizer_step,
    random_int,
)
from recipes.losses.phone_recognizer import (
    PhoneRecognizer,
    compute_phone_errors,
    compute_phone_loss,
)
from training.finetuning.config.lr_schedule import compute_cosine_lr
from training.finetuning.optim.optimizers import make_adamw


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneRecognizerRecipe:
    """Options of the training.

    warped: share of the items with another vocal tract; masks: stripes of bands, and as many of
    frames, that are replaced by the mean (arXiv:1904.08779).
    """

    width: int = 256
    blocks: int = 6
    dropout: float = 0.15
    masks: int = 2
    masked_bands: int = 16  # at most, of a stripe
    masked_frames: int = 14
    batches: BatchOptions = field(
        default_factory=lambda: BatchOptions(size=24, parallel=1.0, context_codes=1)
    )
    channel: AugmentationOptions = field(
        default_factory=lambda: AugmentationOptions(equalised=0.6, noisy=0.6, echoing=0.4)
    )
    warped: float = 0.7
    steps: int = 5_200
    rate: float = 1e-3
    warm_up: int = 200
    decay: float = 1e-2
    seed: int = 3


def train_phone_recognizer(
    recipe: PhoneRecognizerRecipe, store: SpeechStore, folder: Path, report: ProgressReporter
) -> PhoneRecognizer:
    """Train until the last step or a `stop` file; resume from a saved state."""
    model = build_recognizer(recipe)
    optimizer = make_adamw(model, recipe.rate, recipe.decay, betas=(0.9, 0.98))
    loop = TrainingLoop(folder, report, model=model, optimizer=optimizer)
    batches = CodecBatches(store, recipe.batches)
    for step in loop.steps(recipe.steps, "phone recognizer"):
        generator = make_step_generator(recipe.seed, step)
        batch = batches.sample(generator)
        mel = torch.stack([_augment(recipe, item, generator) for item in batch.mel])
        loss = compute_phone_loss(compute_phone_errors(model, mel, batch.phones), batch.phones)
        lr = compute_cosine_lr(step, recipe.steps, recipe.rate, recipe.warm_up)
        norm = optimizer_step(loss, model, [optimizer], lr)
        if (step + 1) % 25 == 0:
            loop.log_metrics(step + 1, phone=loss.item(), gradient=norm)
    return model.eval()


def build_recognizer(recipe: PhoneRecognizerRecipe) -> PhoneRecognizer:
    """Return the untrained network, which a saved state may be loaded into."""
    return build_seeded(
        recipe.seed, lambda: PhoneRecognizer(recipe.width, recipe.blocks, recipe.dropout)
    )


def _augment(recipe: PhoneRecognizerRecipe, mel: Tensor, generator: torch.Generator) -> Tensor:
    """(100, g) to (100, g)."""
    if float(torch.rand(1, generator=generator)) < recipe.warped:
        mel = warp_frequencies(mel, sample_warp_factor(generator), VOCODER_MEL)
    mel = apply_channel_augmentation(mel, VOCODER_MEL, recipe.channel, generator).clone()
    mean = mel.mean()
    for _ in range(recipe.masks):
        for axis, widest in enumerate((recipe.masked_bands, recipe.masked_frames)):
            length = mel.shape[axis]
            width = random_int(0, min(widest, length) + 1, generator)
            start = random_int(0, length - width + 1, generator)
            mel.narrow(axis, start, width).fill_(mean)
    return mel
