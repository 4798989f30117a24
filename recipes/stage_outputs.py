"""The networks that finished stages left in a work folder, ready to be used."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torch import nn
from torch.optim.swa_utils import AveragedModel

from recipes.loop import load_state
from recipes.recipes import Recipes
from tortoise.checkpoints.loading import load_network
from tortoise.modules.clvp import Clvp
from tortoise.modules.cvvp import Cvvp
from tortoise.modules.diffusion_decoder import DiffusionDecoder
from tortoise.modules.dvae import Dvae
from tortoise.modules.gpt import Gpt
from tortoise.modules.random_latents import RandomLatentConfig, RandomLatentGenerator
from tortoise.modules.univnet import UnivNet


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutputs:
    """Reads the states that the recipes saved."""

    folder: Path
    recipes: Recipes = field(default_factory=Recipes)

    def dvae(self) -> Dvae:
        """The code book."""
        model = Dvae(self.recipes.dvae.architecture)
        self._load("dvae", model)
        return model

    def gpt(self) -> Gpt:
        """The network that drafts."""
        model = Gpt(self.recipes.gpt.architecture)
        self._load("gpt", model)
        return model

    def clvp(self) -> Clvp:
        """The network that ranks by text."""
        model = Clvp(self.recipes.clvp.architecture)
        self._load("clvp", model)
        return model

    def cvvp(self) -> Cvvp:
        """The network that ranks by voice."""
        model = Cvvp(self.recipes.cvvp.architecture)
        self._load("cvvp", model)
        return model

    def diffusion(self) -> DiffusionDecoder:
        """The moving average of the network that makes mel."""
        model = DiffusionDecoder(self.recipes.diffusion.architecture)
        average = AveragedModel(model)
        self._check("diffusion", load_state(self.folder / "diffusion", average=average))
        model.load_state_dict(average.module.state_dict())
        return model.eval()

    def vocoder(self) -> UnivNet:
        """The moving average of the network that makes sound."""
        vocoder = load_network(self.folder / "vocoder" / "export", "vocoder")
        assert isinstance(vocoder, UnivNet)
        return vocoder

    def random_voice(self, name: str, channels: int) -> RandomLatentGenerator:
        """One of the networks that make voices up."""
        model = RandomLatentGenerator(RandomLatentConfig(channels=channels))
        self._load(name, model)
        return model

    def _load(self, stage: str, model: nn.Module) -> None:
        self._check(stage, load_state(self.folder / stage, model=model))
        model.eval()

    def _check(self, stage: str, step: int) -> None:
        if step == 0:
            raise FileNotFoundError(
                f"{self.folder / stage} holds no state; run the stage {stage} first"
            )
