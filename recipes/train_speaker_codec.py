"""Train the speaker codec: codes for the words, a speaker vector for the voice.

Each item is encoded from one speaker's version of an utterance and decoded to another's, where
there are several. The input's vocal tract, room and noise are changed, the target's never. A phone
classifier on the codes makes the codes keep the words of real people; the
decoder is told the phones of some items, as it is when a text is spoken.
In the last part the codes stay as they are, so that a GPT can learn them meanwhile. The decoder
goes on with a critic, which sharpens the mels, and also speaks the codes of each item in the voice
of another: for lack of a target, the critic, the speaker encoder and the frozen phone classifier
judge these mels.
Shapes: b batch, f GPT mel frames, g vocoder mel frames, q quantised channels, m codes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from audio.mel import GPT_MEL
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
from recipes.losses.mel_critics import (
    MelConversion,
    MelCritic,
    SpeakerSimilarity,
    compute_critic_loss,
    compute_generator_loss,
    convert_to_gpt_mel,
)
from text.phones import UNKNOWN_PHONE
from tortoise.generation.voice_conditioning import load_vector_encoder
from tortoise.modules.speaker_codec import (
    SpeakerCodec,
    SpeakerCodecConfig,
    standardize_bands,
)
from training.finetuning.config.lr_schedule import compute_cosine_lr
from training.finetuning.optim.optimizers import make_adamw

EMA_DECAY = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerCodecRecipe:
    """Options of speaker codec training.

    encoder_steps: the step from which encoder, codes and classifier are frozen at their moving
    average and the critic is used; the cosine of the rate ends there, that of the decoder's rate at
    `steps`.
    similar_every: steps between those that compute the speaker similarity.
    """

    architecture: SpeakerCodecConfig = field(default_factory=SpeakerCodecConfig)
    batches: BatchOptions = field(default_factory=BatchOptions)
    steps: int = 17_800
    encoder_steps: int = 15_000
    rate: float = 1e-3
    decoder_rate: float = 5e-4
    warm_up: int = 200
    decay: float = 1e-2
    phone_weight: float = 0.3
    similar_every: int = 3
    similar_weight: float = 0.6
    critic_rate: float = 2e-4
    critic_channels: int = 24
    seed: int = 1


def train_speaker_codec(
    recipe: SpeakerCodecRecipe, store: SpeechStore, folder: Path, report: ProgressReporter
) -> SpeakerCodec:
    """Train until the last step or a `stop` file; resume from a saved state.

    Returns the moving average of the weights.
    """
    codec = build_seeded(recipe.seed, lambda: SpeakerCodec(recipe.architecture))
    critic = build_seeded(
        recipe.seed, lambda: MelCritic(recipe.critic_channels, recipe.architecture.speaker_dim)
    )
    average = build_average(recipe, codec)
    optimizer = make_adamw(codec, recipe.rate, recipe.decay, betas=(0.9, 0.98))
    critic_optimizer = make_adamw(critic, recipe.critic_rate, 0.0, betas=(0.5, 0.9))
    loop = TrainingLoop(
        folder, report, model=codec, average=average, critic=critic, optimizer=optimizer,
        critic_optimizer=critic_optimizer,
    )  # fmt: skip
    objective = _Objective(
        recipe=recipe, codec=codec, critic=critic, similarity=_load_similarity(recipe)
    )
    batches = CodecBatches(store, recipe.batches)
    for step in loop.steps(recipe.steps, "speaker codec"):
        batch = batches.sample(make_step_generator(recipe.seed, step))
        if step >= recipe.encoder_steps:
            _freeze_encoder(codec, average)
        losses, made = objective.compute_losses(batch, step)
        norm = optimizer_step(losses["total"], codec, [optimizer], _compute_lr(recipe, step))
        if step >= recipe.encoder_steps:
            losses["critic"] = compute_critic_loss(
                critic, made.mels.detach(), made.speakers, batch.mel, batch.speaker
            )
            optimizer_step(losses["critic"], critic, [critic_optimizer], recipe.critic_rate)
        average.update_parameters(codec)
        if (step + 1) % 25 == 0:
            values = {name: loss.item() for name, loss in losses.items()}
            count = _count_codes(codec, made.vectors)
            loop.log_metrics(step + 1, **values, gradient=norm, codes=count)
    return cast(SpeakerCodec, average.module.eval())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Decoded:
    """Quantised channels (b, q, m); log-mels (n b, 100, g) for speakers (n b, s)."""

    vectors: Tensor
    mels: Tensor
    speakers: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class _Objective:
    """What the codec's weights are trained for."""

    recipe: SpeakerCodecRecipe
    codec: SpeakerCodec
    critic: MelCritic
    similarity: SpeakerSimilarity | None
    convert: MelConversion = field(default_factory=lambda: MelConversion(GPT_MEL))

    def compute_losses(self, batch: CodecBatch, step: int) -> tuple[dict[str, Tensor], _Decoded]:
        """Return the total loss and its parts, and what was decoded."""
        recipe = self.recipe
        with autocast_bfloat16():
            vectors, mel = self.codec(batch.bands, batch.speaker, batch.mel.shape[-1], batch.shares)
            logits = self.codec.classifier(vectors)
        mel = torch.where(batch.known, mel, batch.mel)
        distance = (mel - batch.mel).abs().sum() / batch.known.expand_as(mel).sum()
        losses = {"l1": distance, "phone": _compute_phone_loss(logits, batch)}
        total = losses["l1"] + recipe.phone_weight * losses["phone"]
        measured = self.similarity if step % recipe.similar_every == 0 else None
        if measured is not None:
            losses["similar"] = measured(mel, batch.speaker)
            total = total + recipe.similar_weight * (1 - losses["similar"])
        mels, speakers = mel, batch.speaker
        if step >= recipe.encoder_steps:
            other, speaker = _decode_for_other(self.codec, batch, vectors)
            losses["adversarial"] = compute_generator_loss(
                self.critic, mel, batch.speaker, batch.mel
            ) + compute_generator_loss(self.critic, other, speaker)
            losses["other_phone"] = self._compute_heard_phones(other, batch)
            total = total + losses["adversarial"] + recipe.phone_weight * losses["other_phone"]
            if measured is not None:
                losses["other_similar"] = measured(other, speaker)
                total = total + recipe.similar_weight * (1 - losses["other_similar"])
            mels, speakers = torch.cat([mel, other]), torch.cat([batch.speaker, speaker])
        return losses | {"total": total}, _Decoded(vectors=vectors, mels=mels, speakers=speakers)

    def _compute_heard_phones(self, mel: Tensor, batch: CodecBatch) -> Tensor:
        """Return the cross entropy of the phones that the frozen classifier hears in a mel: ()."""
        codec = self.codec
        low = convert_to_gpt_mel(self.convert, mel, batch.bands.shape[-1])
        with autocast_bfloat16():
            logits = codec.classifier(codec.quantizer(codec.encoder(standardize_bands(low))))
        return _compute_phone_loss(logits, batch)


def build_average(recipe: SpeakerCodecRecipe, codec: SpeakerCodec | None = None) -> AveragedModel:
    """Return the moving average of a codec, or one that a saved state is loaded into."""
    codec = SpeakerCodec(recipe.architecture) if codec is None else codec
    return AveragedModel(codec, avg_fn=_update_average, use_buffers=True)


def _compute_lr(recipe: SpeakerCodecRecipe, step: int) -> float:
    if step < recipe.encoder_steps:
        return compute_cosine_lr(step, recipe.encoder_steps, recipe.rate, recipe.warm_up)
    after, total = step - recipe.encoder_steps, recipe.steps - recipe.encoder_steps
    return compute_cosine_lr(after, total, recipe.decoder_rate, recipe.warm_up)


def _freeze_encoder(codec: SpeakerCodec, average: AveragedModel) -> None:
    """Take the averaged encoder and classifier; it does nothing from the second time on."""
    frozen = cast(SpeakerCodec, average.module)
    for name in ("encoder", "quantizer", "classifier"):
        part = codec.get_submodule(name)
        part.load_state_dict(frozen.get_submodule(name).state_dict())
        part.requires_grad_(False).eval()


def _update_average(average: Tensor, value: Tensor, count: Tensor | int) -> Tensor:
    """Return the moving average after `count` updates; it follows fast at first."""
    decay = min(EMA_DECAY, (1 + int(count)) / (10 + int(count)))
    return average + (1 - decay) * (value - average) if average.is_floating_point() else value


def _load_similarity(recipe: SpeakerCodecRecipe) -> SpeakerSimilarity | None:
    if not recipe.similar_weight:
        return None
    return SpeakerSimilarity(load_vector_encoder(recipe.architecture.speaker_encoder).model)


def _compute_phone_loss(logits: Tensor, batch: CodecBatch) -> Tensor:
    """Return the mean cross entropy of the known phones, 0 without any: ()."""
    loss = F.cross_entropy(logits.float(), batch.phones, ignore_index=UNKNOWN_PHONE)
    return loss.nan_to_num()


def _decode_for_other(
    codec: SpeakerCodec, batch: CodecBatch, vectors: Tensor
) -> tuple[Tensor, Tensor]:
    """Decode each item for the speaker of another: log-mel (b, 100, g), vectors (b, s).

    Where that speaker's recording has no bands, the mel has those of the recording.
    """
    speaker = batch.speaker.roll(1, 0)
    with autocast_bfloat16():
        mel = codec.decoder(vectors.detach(), speaker, batch.mel.shape[-1], batch.shares)
    return torch.where(batch.known.roll(1, 0), mel, batch.mel.roll(1, 0)), speaker


def _count_codes(codec: SpeakerCodec, vectors: Tensor) -> float:
    """Number of different codes in a batch."""
    quantizer = codec.quantizer
    steps = ((vectors.detach().float() + 1) / 2 * (quantizer.levels[:, None] - 1)).round().long()
    return float((steps * quantizer.places[:, None]).sum(1).unique().numel())
