"""Train the speaker codec: codes for the words, a speaker vector for the voice.

Each item is encoded from one speaker's version of an utterance and decoded to another's, where
there are several. The input's vocal tract, room and noise are changed, the target's never. A phone
classifier on the codes makes the codes keep the words of real people; the
decoder is told the phones of some items, as it is when a text is spoken.
The codes are then final, and a GPT learns them; `recipes.train_codec_decoder` goes on with the
decoder alone.
Shapes: b batch, q quantised channels, m codes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from core.progress import ProgressReporter
from recipes.data.codec_batches import BatchOptions, CodecBatch, CodecBatches
from recipes.data.speech_store import SpeechStore
from recipes.loop import (
    TrainingLoop,
    autocast_bfloat16,
    build_seeded,
    make_step_generator,
    optimizer_step,
)
from recipes.losses.mel_critics import SpeakerSimilarity
from text.phones import UNKNOWN_PHONE
from tortoise.generation.voice_conditioning import load_vector_encoder
from tortoise.modules.speaker_codec import SpeakerCodec, SpeakerCodecConfig
from training.finetuning.config.lr_schedule import compute_cosine_lr
from training.finetuning.optim.optimizers import make_adamw

EMA_DECAY = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerCodecRecipe:
    """Options of codec training.  similar_every: steps between those with the similarity."""

    architecture: SpeakerCodecConfig = field(default_factory=SpeakerCodecConfig)
    batches: BatchOptions = field(default_factory=BatchOptions)
    steps: int = 15_000
    rate: float = 1e-3
    warm_up: int = 200
    decay: float = 1e-2
    phone_weight: float = 0.3
    similar_every: int = 3
    similar_weight: float = 0.6
    seed: int = 1


def train_speaker_codec(
    recipe: SpeakerCodecRecipe, store: SpeechStore, folder: Path, report: ProgressReporter
) -> SpeakerCodec:
    """Train until the last step or a `stop` file; resume from a saved state.

    Returns the moving average of the weights.
    """
    codec = build_seeded(recipe.seed, lambda: SpeakerCodec(recipe.architecture))
    average = build_average(codec)
    optimizer = make_adamw(codec, recipe.rate, recipe.decay, betas=(0.9, 0.98))
    loop = TrainingLoop(folder, report, model=codec, average=average, optimizer=optimizer)
    has_similarity = bool(recipe.similar_weight)
    similarity = load_similarity(codec.config.speaker_encoder) if has_similarity else None
    batches = CodecBatches(store, recipe.batches)
    for step in loop.steps(recipe.steps, "speaker codec"):
        batch = batches.sample(make_step_generator(recipe.seed, step))
        measured = similarity if step % recipe.similar_every == 0 else None
        losses, vectors = _compute_losses(recipe, codec, batch, measured)
        lr = compute_cosine_lr(step, recipe.steps, recipe.rate, recipe.warm_up)
        norm = optimizer_step(losses["total"], codec, [optimizer], lr)
        average.update_parameters(codec)
        if (step + 1) % 25 == 0:
            values = {name: loss.item() for name, loss in losses.items()}
            loop.log_metrics(step + 1, **values, gradient=norm, codes=_count_codes(codec, vectors))
    return cast(SpeakerCodec, average.module.eval())


def _compute_losses(
    recipe: SpeakerCodecRecipe,
    codec: SpeakerCodec,
    batch: CodecBatch,
    similarity: SpeakerSimilarity | None,
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the total loss and its parts, and the quantised channels (b, q, m)."""
    with autocast_bfloat16():
        vectors, mel = codec(batch.bands, batch.speaker, batch.mel.shape[-1], batch.shares)
        logits = codec.classifier(vectors)
    mel = torch.where(batch.known, mel, batch.mel)
    distance = (mel - batch.mel).abs().sum() / batch.known.expand_as(mel).sum()
    phone = F.cross_entropy(logits.float(), batch.phones, ignore_index=UNKNOWN_PHONE)
    losses = {"l1": distance, "phone": phone.nan_to_num()}
    total = losses["l1"] + recipe.phone_weight * losses["phone"]
    if similarity is not None:
        losses["similar"] = similarity(mel, batch.speaker)
        total = total + recipe.similar_weight * (1 - losses["similar"])
    return losses | {"total": total}, vectors


def build_average(codec: SpeakerCodec) -> AveragedModel:
    """Return the moving average of a codec, which a saved state may be loaded into."""
    return AveragedModel(codec, avg_fn=_update_average, use_buffers=True)


def _update_average(average: Tensor, value: Tensor, count: Tensor | int) -> Tensor:
    """Return the moving average after `count` updates; it follows fast at first."""
    decay = min(EMA_DECAY, (1 + int(count)) / (10 + int(count)))
    return average + (1 - decay) * (value - average) if average.is_floating_point() else value


def load_similarity(encoder: str) -> SpeakerSimilarity:
    """Return the measure of speaker similarity by an encoder, named as in a codec's config."""
    return SpeakerSimilarity(load_vector_encoder(encoder).model)


def _count_codes(codec: SpeakerCodec, vectors: Tensor) -> float:
    """Number of different codes in a batch."""
    quantizer = codec.quantizer
    steps = ((vectors.detach().float() + 1) / 2 * (quantizer.levels[:, None] - 1)).round().long()
    return float((steps * quantizer.places[:, None]).sum(1).unique().numel())
