"""The recipes of all networks of a model: the starter's, and a tiny size for tests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from recipes.corpus.build_teacher import TeacherCorpusConfig
from recipes.data.codec_batches import BatchOptions
from recipes.data.segments import SegmentConfig
from recipes.losses.discriminators import DiscriminatorConfig
from recipes.train_codec_decoder import CodecDecoderRecipe
from recipes.train_gpt import GptRecipe
from recipes.train_phone_recognizer import PhoneRecognizerRecipe
from recipes.train_random_latents import RandomLatentRecipe
from recipes.train_speaker_codec import SpeakerCodecRecipe
from recipes.train_vector_encoder import VectorEncoderRecipe
from recipes.train_vocoder import VocoderRecipe
from tortoise.modules.gpt import GptConfig
from tortoise.modules.speaker_codec import SpeakerCodecConfig
from tortoise.modules.vocoders.istft_vocoder import IstftVocoderConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipes:
    """One recipe for each network; the defaults are the starter's."""

    teacher: TeacherCorpusConfig = field(default_factory=TeacherCorpusConfig)
    codec: SpeakerCodecRecipe = field(default_factory=SpeakerCodecRecipe)
    recognizer: PhoneRecognizerRecipe = field(default_factory=PhoneRecognizerRecipe)
    decoder: CodecDecoderRecipe = field(default_factory=CodecDecoderRecipe)
    vector_encoder: VectorEncoderRecipe = field(default_factory=VectorEncoderRecipe)
    gpt: GptRecipe = field(default_factory=GptRecipe)
    vocoder: VocoderRecipe = field(default_factory=VocoderRecipe)
    random_voice: RandomLatentRecipe = field(default_factory=RandomLatentRecipe)

    @classmethod
    def tiny(cls) -> Recipes:
        """Return recipes of two steps and tiny networks, for tests."""
        return cls(
            teacher=TeacherCorpusConfig(
                shards=2, solo_shards=1, sentences_per_shard=3, voices_per_sentence=2
            ),
            codec=SpeakerCodecRecipe(
                architecture=replace(SpeakerCodecConfig.tiny(), levels=(8, 4)),
                batches=BatchOptions(size=2, codes=8, context_codes=6),
                steps=2,
            ),
            recognizer=PhoneRecognizerRecipe(
                width=8, blocks=1, steps=2, batches=BatchOptions(size=2, codes=8, context_codes=1)
            ),
            decoder=CodecDecoderRecipe(
                batches=BatchOptions(size=2, codes=8, context_codes=6, drafted=0.5),
                steps=2, critic_channels=2,
            ),
            vector_encoder=VectorEncoderRecipe(hidden=8, steps=2, batch=2),
            gpt=GptRecipe(
                architecture=GptConfig(
                    layers=1, model_dim=32, heads=2, max_text_tokens=240, max_mel_tokens=320,
                    number_text_tokens=128, start_text_token=127, number_mel_codes=34,
                    start_mel_token=32, stop_mel_token=33, conditioning_depth=1,
                    dropout=0.0, attention_dropout=0.0, aligner_width=8, aligner_depth=1,
                ),
                steps=2, batch=4,
            ),
            vocoder=VocoderRecipe(
                architecture=IstftVocoderConfig.tiny(),
                critics=DiscriminatorConfig.tiny(),
                segments=SegmentConfig(batch=2, samples=4096),
                steps=2,
            ),
            random_voice=RandomLatentRecipe(steps=2, batch=8),
        )  # fmt: skip
