"""The recipes of all networks of a model: the starter's, and a tiny size for tests."""

from __future__ import annotations

from dataclasses import dataclass, field

from recipes.corpus.build import CorpusConfig
from recipes.corpus.build_teacher import TeacherCorpusConfig
from recipes.data.segments import SegmentConfig
from recipes.losses.discriminators import DiscriminatorConfig
from recipes.train_clvp import ClvpRecipe
from recipes.train_cvvp import CvvpRecipe
from recipes.train_diffusion import DiffusionRecipe
from recipes.train_dvae import DvaeRecipe
from recipes.train_gpt import GptRecipe
from recipes.train_random_latents import RandomLatentRecipe
from recipes.train_vocoder import VocoderRecipe
from tortoise.modules.clvp import ClvpConfig
from tortoise.modules.cvvp import CvvpConfig
from tortoise.modules.diffusion_decoder import DiffusionConfig
from tortoise.modules.dvae import DvaeConfig
from tortoise.modules.gpt import GptConfig
from tortoise.modules.vocoders.istft_vocoder import IstftVocoderConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipes:
    """One recipe for each network; the defaults are the starter's."""

    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    teacher: TeacherCorpusConfig = field(default_factory=TeacherCorpusConfig)
    dvae: DvaeRecipe = field(default_factory=DvaeRecipe)
    gpt: GptRecipe = field(default_factory=GptRecipe)
    clvp: ClvpRecipe = field(default_factory=ClvpRecipe)
    cvvp: CvvpRecipe = field(default_factory=CvvpRecipe)
    diffusion: DiffusionRecipe = field(default_factory=DiffusionRecipe)
    vocoder: VocoderRecipe = field(default_factory=VocoderRecipe)
    random_voice: RandomLatentRecipe = field(default_factory=RandomLatentRecipe)

    @classmethod
    def tiny(cls) -> Recipes:
        """Return recipes of two steps and tiny networks, for tests."""
        return cls(
            corpus=CorpusConfig(clips=20, clips_per_shard=10, clips_per_random_speaker=2),
            teacher=TeacherCorpusConfig(shards=2, sentences_per_shard=1, voices_per_sentence=2),
            dvae=DvaeRecipe(
                architecture=DvaeConfig(hidden=8, codebook_dim=8, codes=32, resnet_blocks=1),
                steps=2, batch=4,
            ),
            gpt=GptRecipe(
                architecture=GptConfig(
                    layers=1, model_dim=32, heads=2, max_text_tokens=240, max_mel_tokens=300,
                    number_text_tokens=128, start_text_token=127, number_mel_codes=34,
                    start_mel_token=32, stop_mel_token=33, conditioning_depth=1,
                    dropout=0.0, attention_dropout=0.0,
                ),
                steps=2, batch=4,
            ),
            clvp=ClvpRecipe(
                architecture=ClvpConfig(
                    text_tokens=80, codes=32, text_dim=64, speech_dim=64, latent_dim=32,
                    text_depth=1, speech_depth=1, text_heads=1, speech_heads=1, spells=True,
                ),
                steps=2, batch=4,
            ),
            cvvp=CvvpRecipe(
                architecture=CvvpConfig(codes=32, dim=64, heads=1, voice_depth=1, speech_depth=1),
                steps=2, batch=2,
            ),
            diffusion=DiffusionRecipe(
                architecture=DiffusionConfig(
                    width=32, layers=1, heads=2, latent_width=32, codes=1, code_depth=0,
                    latent_depth=1, voice_depth=1,
                ),
                steps=2, batch=2, window=12, mel_first=1,
            ),
            vocoder=VocoderRecipe(
                architecture=IstftVocoderConfig.tiny(),
                critics=DiscriminatorConfig.tiny(),
                segments=SegmentConfig(batch=2, samples=4096),
                steps=2,
            ),
            random_voice=RandomLatentRecipe(steps=2, batch=8),
        )  # fmt: skip
