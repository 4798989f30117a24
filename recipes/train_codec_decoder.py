"""Train the decoder of the speaker codec further; the codes stay as they are.

It learns to speak what the GPT drafts: many items have codes that the GPT drew in place of their
own, and the phones of the text decide what is said. A critic sharpens the mels. Each item is also
decoded in the voice of another: for lack of a target, the critic, the speaker encoder and a phone
recognizer judge these mels.
Shapes: b batch, q quantised channels, m codes, s speaker dimensions, g vocoder mel frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from core.progress import ProgressReporter
from recipes.data.codec_batches import BatchOptions, CodecBatch, CodecBatches
from recipes.data.speech_store import NO_DRAFT, SpeechStore
from recipes.loop import (
    TrainingLoop,
    autocast_bfloat16,
    build_seeded,
    make_step_generator,
    optimizer_step,
)
from recipes.losses.mel_critics import (
    MelCritic,
    SpeakerSimilarity,
    compute_critic_loss,
    compute_generator_loss,
)
from recipes.losses.phone_recognizer import (
    PhoneRecognizer,
    compute_phone_errors,
    compute_phone_loss,
)
from recipes.train_speaker_codec import build_average, load_similarity
from tortoise.modules.speaker_codec import SpeakerCodec
from training.finetuning.config.lr_schedule import compute_cosine_lr
from training.finetuning.optim.optimizers import make_adamw
from training.finetuning.optim.weight_mixing import mix_parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecDecoderRecipe:
    """Options of decoder training.

    similar_every: steps between those with the similarity. kept: share that the weights before the
    training have in the result (arXiv:2109.01903): the words stay clear, and the sound is better
    than either's.
    """

    batches: BatchOptions = field(
        default_factory=lambda: BatchOptions(size=20, parallel=0.7, drafted=0.8)
    )
    steps: int = 2_800
    rate: float = 5e-4
    warm_up: int = 200
    decay: float = 1e-2
    phone_weight: float = 0.4
    similar_every: int = 3
    similar_weight: float = 0.6
    critic_rate: float = 2e-4
    critic_channels: int = 24
    kept: float = 0.25
    seed: int = 4


def train_codec_decoder(
    recipe: CodecDecoderRecipe,
    codec: SpeakerCodec,
    recognizer: PhoneRecognizer,
    store: SpeechStore,
    folder: Path,
    report: ProgressReporter,
) -> SpeakerCodec:
    """Train until the last step or a `stop` file; resume from a saved state.

    codec: a trained one, which is changed. Returns the moving average of the weights.
    """
    for name in ("encoder", "quantizer", "classifier"):
        codec.get_submodule(name).requires_grad_(False)
    critic = build_seeded(
        recipe.seed, lambda: MelCritic(recipe.critic_channels, codec.config.speaker_dim)
    )
    average = build_average(codec)
    optimizer = make_adamw(codec, recipe.rate, recipe.decay, betas=(0.9, 0.98))
    critic_optimizer = make_adamw(critic, recipe.critic_rate, 0.0, betas=(0.5, 0.9))
    loop = TrainingLoop(
        folder, report, model=codec, average=average, critic=critic, optimizer=optimizer,
        critic_optimizer=critic_optimizer,
    )  # fmt: skip
    objective = _Objective(
        recipe=recipe,
        codec=codec.eval(),
        critic=critic,
        recognizer=recognizer.requires_grad_(False).eval(),
        similarity=load_similarity(codec.config.speaker_encoder),
    )
    batches = CodecBatches(store, recipe.batches)
    for step in loop.steps(recipe.steps, "codec decoder"):
        batch = batches.sample(make_step_generator(recipe.seed, step))
        losses, made = objective.compute_losses(batch, step)
        lr = compute_cosine_lr(step, recipe.steps, recipe.rate, recipe.warm_up)
        norm = optimizer_step(losses["total"], codec, [optimizer], lr)
        losses["critic"] = compute_critic_loss(
            critic, made.mels.detach(), made.speakers, batch.mel, batch.speaker
        )
        optimizer_step(losses["critic"], critic, [critic_optimizer], recipe.critic_rate)
        average.update_parameters(codec)
        if (step + 1) % 25 == 0:
            values = {name: loss.item() for name, loss in losses.items()}
            loop.log_metrics(step + 1, **values, gradient=norm)
    return cast(SpeakerCodec, average.module.eval())


def mix_weights(before: SpeakerCodec, after: SpeakerCodec, kept: float) -> SpeakerCodec:
    """Return `after` with a share of the decoder's weights of `before`."""
    mix_parameters(before.decoder, after.decoder, kept)
    return after


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Decoded:
    """Log-mels (2 b, 100, g) for speakers (2 b, s)."""

    mels: Tensor
    speakers: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class _Objective:
    """What the decoder's weights are trained for."""

    recipe: CodecDecoderRecipe
    codec: SpeakerCodec
    critic: MelCritic
    recognizer: PhoneRecognizer
    similarity: SpeakerSimilarity

    def compute_losses(self, batch: CodecBatch, step: int) -> tuple[dict[str, Tensor], _Decoded]:
        """Return the total loss and its parts, and what was decoded."""
        recipe, frames = self.recipe, batch.mel.shape[-1]
        vectors, other_vectors = self._read_vectors(batch)
        other_speaker = batch.speaker.roll(1, 0)
        with autocast_bfloat16():
            mel = self.codec.decoder(vectors, batch.speaker, frames, batch.shares)
            other = self.codec.decoder(other_vectors, other_speaker, frames, batch.shares)
        losses = self._compute_phone_losses(batch, mel, other)
        mel = torch.where(batch.known, mel, batch.mel)
        # a recording of that speaker has no higher bands
        other = torch.where(batch.known.roll(1, 0), other, batch.mel.roll(1, 0))
        losses["l1"] = (mel - batch.mel).abs().sum() / batch.known.expand_as(mel).sum()
        losses["adversarial"] = compute_generator_loss(
            self.critic, mel, batch.speaker, batch.mel
        ) + compute_generator_loss(self.critic, other, other_speaker)
        heard = losses["phone"] + losses["other_phone"]
        total = losses["l1"] + losses["adversarial"] + recipe.phone_weight * heard
        if step % recipe.similar_every == 0:
            losses["similar"] = self.similarity(mel, batch.speaker)
            losses["other_similar"] = self.similarity(other, other_speaker)
            missed = 2 - losses["similar"] - losses["other_similar"]
            total = total + recipe.similar_weight * missed
        made = _Decoded(
            mels=torch.cat([mel, other]), speakers=torch.cat([batch.speaker, other_speaker])
        )
        return losses | {"total": total}, made

    def _compute_phone_losses(
        self, batch: CodecBatch, mel: Tensor, other: Tensor
    ) -> dict[str, Tensor]:
        """Return how much less clear the phones are than in the recording, in both voices."""
        phones = batch.phones
        with torch.no_grad():
            natural = compute_phone_errors(self.recognizer, batch.mel, phones)
        return {
            name: compute_phone_loss(
                compute_phone_errors(self.recognizer, decoded, phones), phones, natural
            )
            for name, decoded in {"phone": mel, "other_phone": other}.items()
        }

    @torch.no_grad()
    def _read_vectors(self, batch: CodecBatch) -> tuple[Tensor, Tensor]:
        """Return the quantised channels for the mel and for the voice of another: (b, q, m)."""
        codec = self.codec
        with autocast_bfloat16():
            own = codec.quantizer(codec.encoder(batch.bands))
        drafts = batch.drafts.unbind(1)
        mel, other = (
            torch.where((draft != NO_DRAFT)[:, None], codec.quantizer.look_up(draft), own)
            for draft in drafts
        )
        return mel, other
