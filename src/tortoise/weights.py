"""Weights on disk and in memory: a bundle opened, a network loaded strictly, a network saved."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from speech.mel import HIGHEST, LOWEST
from tortoise.bigvgan import BigVgan
from tortoise.bundle import (
    CONFIG_FILE,
    MEL_STATS_FILE,
    BundleError,
    network_file,
    weights_id,
)
from tortoise.classifier import Classifier
from tortoise.clvp import Clvp
from tortoise.config import (
    NETWORKS,
    BundleConfig,
    Conventions,
    check_network,
    read_config,
    write_config,
)
from tortoise.cvvp import Cvvp
from tortoise.diffusion_decoder import DiffusionDecoder
from tortoise.dvae import Dvae
from tortoise.gpt import Gpt
from tortoise.hifigan import Hifigan
from tortoise.random_voice import RandomVoice
from tortoise.tensor_files import (
    WithoutDraws,
    cast_floats,
    fill_network,
    read_tensors,
    save_tensors,
)
from tortoise.tokenizer import Tokenizer, load_tokenizer
from tortoise.univnet import UnivNet

NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass(frozen=True, kw_only=True, eq=False)
class MelStats:
    """How a bundle's mels are normalised.

    norms: (80,) divisor of each band of the 22.05 kHz front end.
    """

    norms: Tensor


class Bundle:
    """One set of weights. Opening it reads the config only; a network is read when first used.

    Networks are in eval mode, float32, without gradients, on `device`.
    """

    def __init__(self, folder: Path, config: BundleConfig, device: torch.device) -> None:
        self.folder = folder
        self.config = config
        self.device = device
        self._loaded: dict[str, nn.Module] = {}

    def has(self, name: str) -> bool:
        """Say whether the bundle holds this network."""
        return getattr(self.config, check_network(name)) is not None

    @property
    def conventions(self) -> Conventions:
        """What the networks were trained to expect, beyond their shapes."""
        return self.config.conventions

    @property
    def weights_id(self) -> str:
        """A short name for the content of the network files."""
        return weights_id(self.folder)

    @cached_property
    def mel_stats(self) -> MelStats:
        """How mels are normalised."""
        return load_mel_stats(self.folder)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Text to ids."""
        return load_tokenizer(self.folder)

    @property
    def gpt(self) -> Gpt:
        """Voice and text to codes and latents."""
        return self._network("gpt", Gpt)

    @property
    def clvp(self) -> Clvp:
        """How well codes say a text."""
        return self._network("clvp", Clvp)

    @property
    def cvvp(self) -> Cvvp:
        """How well codes fit a voice."""
        return self._network("cvvp", Cvvp)

    @property
    def diffusion(self) -> DiffusionDecoder:
        """Latents and noise to mel."""
        return self._network("diffusion", DiffusionDecoder)

    @property
    def vocoder(self) -> UnivNet:
        """Mel to wave."""
        return self._network("vocoder", UnivNet)

    @property
    def bigvgan(self) -> BigVgan:
        """Mel to wave, another way."""
        return self._network("bigvgan", BigVgan)

    @property
    def hifigan(self) -> Hifigan:
        """GPT latents straight to wave."""
        return self._network("hifigan", Hifigan)

    @property
    def random_gpt(self) -> RandomVoice:
        """Noise to the GPT's latent of a voice that nobody has."""
        return self._network("random_gpt", RandomVoice)

    @property
    def random_diffusion(self) -> RandomVoice:
        """Noise to the diffusion network's latent of the same."""
        return self._network("random_diffusion", RandomVoice)

    @property
    def dvae(self) -> Dvae:
        """Mel to codes, for training."""
        return self._network("dvae", Dvae)

    @property
    def classifier(self) -> Classifier:
        """Whether a wave was made by the published weights."""
        return self._network("classifier", Classifier)

    def forget(self, *names: str) -> None:
        """Let go of loaded networks (of all, if none is named); they load again when used."""
        for name in names or list(self._loaded):
            self._loaded.pop(check_network(name), None)

    def _network(self, name: str, kind: type[NetworkT]) -> NetworkT:
        if name not in self._loaded:
            architecture = self.config.architecture(name)
            network = build_network(name, architecture)
            fill_network(network, network_file(self.folder, name))
            self._loaded[name] = network.requires_grad_(False).eval().to(self.device)
        return cast(NetworkT, self._loaded[name])


def load_bundle(folder: Path, device: torch.device | None = None) -> Bundle:
    """Open a bundle: its config is read and checked, its networks when they are used."""
    if not folder.is_dir():
        raise BundleError(
            f"There is no bundle at {folder}. `testudo models list` shows what is here; "
            "`testudo models download tortoise` fetches the published weights."
        )
    return Bundle(folder, read_config(folder), device or torch.device("cpu"))


def load_network(folder: Path, name: str, dtype: torch.dtype | None = torch.float32) -> nn.Module:
    """Load one network of a bundle strictly, in eval mode, on the CPU, able to train.

    dtype: what floating weights become; None keeps them as stored.
    """
    network = build_network(name, read_config(folder).architecture(name))
    fill_network(network, network_file(folder, name), dtype)
    return network.eval()


def build_network(name: str, architecture: Any) -> nn.Module:
    """Build a network whose parameters still hold nothing (its buffers are computed)."""
    with WithoutDraws():
        return NETWORKS[check_network(name)](architecture)


def save_network(
    folder: Path,
    name: str,
    module: nn.Module,
    architecture: Any,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write one network into a bundle, and its architecture into the bundle's config.

    dtype: what parameters are stored as; buffers keep their own type (rotary frequencies and
    moving averages do not survive half precision), and so does a parameter that would overflow.
    """
    check_network(name)
    parameters = {key for key, _ in module.named_parameters()}
    tensors = {
        key: _shrunk(value.detach(), dtype) if key in parameters else value.detach()
        for key, value in module.state_dict().items()
    }
    save_tensors(network_file(folder, name), tensors)
    known = read_config(folder) if (folder / CONFIG_FILE).is_file() else BundleConfig()
    write_config(folder, known.with_network(name, architecture))


def load_mel_stats(folder: Path) -> MelStats:
    """Read how a bundle's mels are normalised."""
    file = folder / MEL_STATS_FILE
    tensors = read_tensors(file)
    if not {"mel_norms"} <= tensors.keys() <= {"mel_norms", "mel_range"}:
        raise BundleError(
            f"{file} holds {', '.join(sorted(tensors))}; it must hold mel_norms (bands,) and may "
            "hold mel_range (2,). Fetch the bundle again."
        )
    told = tensors.get("mel_range", _mel_range())
    if told.shape != (2,) or not torch.allclose(told.double(), _mel_range(), atol=1e-5):
        raise BundleError(
            f"{file} says that mels lie within {told.tolist()}; this program speaks networks "
            f"trained on {_mel_range().tolist()} only. Choose another bundle."
        )
    return MelStats(norms=tensors["mel_norms"].float())


def save_mel_stats(folder: Path, stats: MelStats) -> None:
    """Write how a bundle's mels are normalised."""
    tensors = {"mel_norms": stats.norms.float(), "mel_range": _mel_range()}
    save_tensors(folder / MEL_STATS_FILE, tensors)


def _mel_range() -> Tensor:
    """The log-mel range of the 24 kHz front end that becomes [-1, 1]: (2,)."""
    return torch.tensor([LOWEST, HIGHEST], dtype=torch.float64)


def _shrunk(value: Tensor, dtype: torch.dtype) -> Tensor:
    small = cast_floats(value, dtype)
    return small if bool(torch.isfinite(small).all()) else value
