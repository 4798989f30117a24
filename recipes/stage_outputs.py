"""Load the networks that finished stages left in a work folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torch import nn

from recipes.loop import Module, load_state
from recipes.losses.phone_recognizer import PhoneRecognizer
from recipes.recipes import Recipes
from recipes.train_codec_decoder import mix_weights
from recipes.train_phone_recognizer import build_recognizer
from recipes.train_speaker_codec import build_average
from tortoise.checkpoints.loading import load_network
from tortoise.modules.gpt import Gpt
from tortoise.modules.random_latents import RandomLatentConfig, RandomLatentGenerator
from tortoise.modules.speaker_codec import SpeakerCodec
from tortoise.modules.vocoders.istft_vocoder import IstftVocoder


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutputs:
    """Each method returns a trained network in eval mode.

    Raises FileNotFoundError where its stage has no saved state.
    """

    folder: Path
    recipes: Recipes = field(default_factory=Recipes)

    def codec(self, stage: Literal["codec", "decoder"] = "decoder") -> SpeakerCodec:
        """Return the codec; of the stage codec with the same codes and another decoder."""
        average = build_average(SpeakerCodec(self.recipes.codec.architecture))
        self._load_part(stage, average=average)
        codec = average.module.eval()
        assert isinstance(codec, SpeakerCodec)
        if stage == "codec":
            return codec
        return mix_weights(self.codec("codec"), codec, self.recipes.decoder.kept)

    def recognizer(self) -> PhoneRecognizer:
        return self._load("recognizer", build_recognizer(self.recipes.recognizer))

    def gpt(self) -> Gpt:
        return self._load("gpt", Gpt(self.recipes.gpt.architecture))

    def vocoder(self) -> IstftVocoder:
        """Return the moving average."""
        vocoder = load_network(self.folder / "vocoder" / "export", "istft_vocoder")
        assert isinstance(vocoder, IstftVocoder)
        return vocoder

    def random_voice(self, name: str, channels: int) -> RandomLatentGenerator:
        return self._load(name, RandomLatentGenerator(RandomLatentConfig(channels=channels)))

    def _load(self, stage: str, model: Module) -> Module:
        self._load_part(stage, model=model)
        return model.eval()

    def _load_part(self, stage: str, **part: nn.Module) -> None:
        if load_state(self.folder / stage, **part) == 0:
            raise FileNotFoundError(
                f"{self.folder / stage} has no state; run the stage {stage} first"
            )
