"""Weights on disk and in memory: a bundle opened, a network loaded strictly, a network saved."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from audio.mel import LOG_MEL_MAX, LOG_MEL_MIN
from engines.model_files import (
    CONFIG_FILE,
    ModelFileError,
    get_file_state,
    get_network_path,
    snapshot_files,
)
from engines.safetensors_io import (
    SkipRandomInit,
    cast_floats,
    find_tensor_problem,
    is_finite,
    load_weights_strict,
    read_tensors,
    save_tensors,
)
from text.tokenizer import Tokenizer, load_tokenizer
from tortoise.checkpoints.adapter import MERGED, load_adapted_weights
from tortoise.checkpoints.config import (
    NETWORK_CLASSES,
    ModelConfig,
    ModelConventions,
    read_config,
    validate_network_name,
    write_config,
)
from tortoise.checkpoints.layout import (
    MEL_STATS_FILE,
    WEIGHTS_ID_FILES,
    compute_weights_id,
    decodes_with_codec,
    has_adapter,
)
from tortoise.modules.classifier import Classifier
from tortoise.modules.clvp import Clvp
from tortoise.modules.cvvp import Cvvp
from tortoise.modules.diffusion_decoder import DiffusionDecoder
from tortoise.modules.dvae import Dvae
from tortoise.modules.gpt import Gpt
from tortoise.modules.random_latents import RandomLatentGenerator
from tortoise.modules.speaker_codec import SpeakerCodec
from tortoise.modules.vocoders.bigvgan import BigVgan
from tortoise.modules.vocoders.hifigan import Hifigan
from tortoise.modules.vocoders.istft_vocoder import IstftVocoder
from tortoise.modules.vocoders.univnet import UnivNet

NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass(frozen=True, kw_only=True, eq=False)
class MelStats:
    """Mel normalization of a model.

    norms: (80,) divisor of each band of the 22.05 kHz front end.
    """

    norms: Tensor


class TortoiseModel:
    """A model folder. Opening it reads only the config; networks are loaded at first use.

    Networks are in eval mode, float32, without gradients, on `device`.
    """

    def __init__(self, folder: Path, config: ModelConfig, device: torch.device) -> None:
        self.folder = folder
        self.config = config
        self.device = device
        self.lora_strength = MERGED
        self._loaded: dict[str, nn.Module] = {}
        self._files = snapshot_files(folder)

    def has(self, name: str) -> bool:
        """Return whether the model has this network."""
        return getattr(self.config, validate_network_name(name)) is not None

    @property
    def conventions(self) -> ModelConventions:
        """Conventions of the weights beyond their shapes."""
        return self.config.conventions

    @cached_property
    def weights_id(self) -> str:
        """Return the id of the weights, as of opening the folder."""
        for name in self._files.keys() & set(WEIGHTS_ID_FILES):
            self._check_unchanged(self.folder / name)
        return compute_weights_id(self.folder)

    @cached_property
    def mel_stats(self) -> MelStats:
        """The mel normalization."""
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
        """CLVP, which scores how well codes match a text."""
        return self._network("clvp", Clvp)

    @property
    def cvvp(self) -> Cvvp:
        """CVVP, which scores how well codes match a voice."""
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
    def istft_vocoder(self) -> IstftVocoder:
        """Mel to wave through a spectrum."""
        return self._network("istft_vocoder", IstftVocoder)

    @property
    def hifigan(self) -> Hifigan:
        """GPT latents straight to wave."""
        return self._network("hifigan", Hifigan)

    @property
    def random_gpt(self) -> RandomLatentGenerator:
        """Map noise to the GPT's latent of a random voice."""
        return self._network("random_gpt", RandomLatentGenerator)

    @property
    def random_diffusion(self) -> RandomLatentGenerator:
        """Noise to the diffusion network's latent of the same."""
        return self._network("random_diffusion", RandomLatentGenerator)

    @property
    def random_speaker(self) -> RandomLatentGenerator:
        """Noise to the speaker vector of the same."""
        return self._network("random_speaker", RandomLatentGenerator)

    @property
    def dvae(self) -> Dvae | SpeakerCodec:
        """Mel to codes."""
        return cast("Dvae | SpeakerCodec", self._network("dvae", nn.Module))

    @property
    def classifier(self) -> Classifier:
        """The classifier of speech made by the published weights."""
        return self._network("classifier", Classifier)

    @property
    def decodes_with_codec(self) -> bool:
        """Whether a speaker codec decodes the codes, for lack of a diffusion network."""
        return decodes_with_codec(self.folder)

    def set_lora_strength(self, strength: float) -> bool:
        """Choose the share of the LoRA adapter in the GPT; return whether it has changed.

        Raises ModelFileError for a model that has no adapter.
        """
        if strength == self.lora_strength:
            return False
        if strength != MERGED and not has_adapter(self.folder):
            raise ModelFileError(
                f"lora_strength is {strength:g}, but the model {self.folder.name} has no LoRA "
                "adapter. Set it to 1, or choose a model that was finetuned with LoRA.",
                code="bundle_incompatible",
            )
        self.lora_strength = strength
        self.unload("gpt")
        return True

    def unload(self, *names: str) -> None:
        """Unload networks (all, if none is named); they are loaded again when used."""
        for name in names or list(self._loaded):
            self._loaded.pop(validate_network_name(name), None)

    def _network(self, name: str, kind: type[NetworkT]) -> NetworkT:
        if name not in self._loaded:
            architecture = self.config.architecture(name)
            self._check_unchanged(get_network_path(self.folder, name))
            network = build_network(name, architecture)
            if name == "gpt" and self.lora_strength != MERGED:
                load_adapted_weights(network, self.folder, self.lora_strength)
            else:
                load_weights_strict(network, get_network_path(self.folder, name))
            self._loaded[name] = network.requires_grad_(False).eval().to(self.device)
        return cast(NetworkT, self._loaded[name])

    def _check_unchanged(self, file: Path) -> None:
        """Raise ModelFileError where a file is not the one that was there at opening."""
        if file.is_file() and get_file_state(file) != self._files.get(file.name):
            raise ModelFileError(
                f"{file} was changed while the model was in use. Restart to use the new file."
            )


def load_model(folder: Path, device: torch.device | None = None) -> TortoiseModel:
    """Open a bundle: its config is read and checked, its networks when they are used."""
    if not folder.is_dir():
        raise ModelFileError(
            f"There is no model at {folder}. Choose an installed model.",
            code="missing_weights",
            cli_hint="`testudo models list` shows the installed ones; "
            "`testudo models download tortoise` downloads the published one.",
        )
    return TortoiseModel(folder, read_config(folder), device or torch.device("cpu"))


def load_network(folder: Path, name: str, dtype: torch.dtype | None = torch.float32) -> nn.Module:
    """Load one network of a bundle strictly, in eval mode, on the CPU, able to train.

    dtype: what floating weights become; None keeps them as stored.
    """
    network = build_network(name, read_config(folder).architecture(name))
    load_weights_strict(network, get_network_path(folder, name), dtype)
    return network.eval()


def build_network(name: str, architecture: Any) -> nn.Module:
    """Build a network with uninitialized parameters and computed buffers."""
    with SkipRandomInit():
        return NETWORK_CLASSES[validate_network_name(name)](architecture)


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
    validate_network_name(name)
    buffers = {key for key, _ in module.named_buffers()}
    tensors = {
        key: value.detach() if key in buffers else _cast_if_finite(value.detach(), dtype)
        for key, value in module.state_dict().items()
    }
    save_tensors(get_network_path(folder, name), tensors)
    known = read_config(folder) if (folder / CONFIG_FILE).is_file() else ModelConfig()
    write_config(folder, known.with_network(name, architecture))


def load_mel_stats(folder: Path) -> MelStats:
    """Read how a bundle's mels are normalised."""
    file = folder / MEL_STATS_FILE
    tensors = read_tensors(file)
    if not {"mel_norms"} <= tensors.keys() <= {"mel_norms", "mel_range"}:
        raise ModelFileError(
            f"{file} holds {', '.join(sorted(tensors))}; it must hold mel_norms (bands,) and "
            "may hold mel_range (2,). Download the model again."
        )
    mel_range = tensors.get("mel_range", _mel_range())
    if (
        mel_range.shape != (2,)
        or mel_range.is_complex()
        or not torch.allclose(mel_range.double(), _mel_range(), atol=1e-5)
    ):
        raise ModelFileError(
            f"{file} has mels within {mel_range.tolist()}; this program supports networks "
            f"trained on {_mel_range().tolist()} only. Choose another model.",
            code="bundle_incompatible",
        )
    norms = tensors["mel_norms"]
    if not norms.is_floating_point() or find_tensor_problem(norms) or not is_finite(norms):
        raise ModelFileError(
            f"{file} has mel_norms that are not finite numbers. Download the model again."
        )
    return MelStats(norms=norms.float())


def save_mel_stats(folder: Path, stats: MelStats) -> None:
    """Write how a bundle's mels are normalised."""
    tensors = {"mel_norms": stats.norms.float(), "mel_range": _mel_range()}
    save_tensors(folder / MEL_STATS_FILE, tensors)


def _mel_range() -> Tensor:
    """The log-mel range of the 24 kHz front end that becomes [-1, 1]: (2,)."""
    return torch.tensor([LOG_MEL_MIN, LOG_MEL_MAX], dtype=torch.float64)


def _cast_if_finite(value: Tensor, dtype: torch.dtype) -> Tensor:
    small = cast_floats(value, dtype)
    return small if bool(torch.isfinite(small).all()) else value
