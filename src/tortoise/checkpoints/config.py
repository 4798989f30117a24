"""The config.json of a model: the architecture of each network, and how to use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from torch import nn

from core.errors import InvalidValueError
from core.serialization import ValidationError, from_dict, suggest_similar, to_dict
from engines.model_files import CONFIG_FILE, ModelFileError, read_json, write_json
from tortoise.modules.classifier import Classifier, ClassifierConfig
from tortoise.modules.clvp import Clvp, ClvpConfig
from tortoise.modules.cvvp import Cvvp, CvvpConfig
from tortoise.modules.diffusion_decoder import DiffusionConfig, DiffusionDecoder
from tortoise.modules.dvae import Dvae, DvaeConfig
from tortoise.modules.gpt import Gpt, GptConfig
from tortoise.modules.noise_schedule import NUM_TRAIN_TIMESTEPS
from tortoise.modules.random_latents import RandomLatentConfig, RandomLatentGenerator
from tortoise.modules.speaker_codec import SpeakerCodec, SpeakerCodecConfig
from tortoise.modules.vocoders.bigvgan import BigVgan, BigVganConfig
from tortoise.modules.vocoders.hifigan import Hifigan, HifiganConfig
from tortoise.modules.vocoders.istft_vocoder import IstftVocoder, IstftVocoderConfig
from tortoise.modules.vocoders.univnet import UnivNet, UnivNetConfig

FORMAT_VERSION = 1
"""Format version of model folders."""


def build_dvae(config: DvaeConfig | SpeakerCodecConfig) -> Dvae | SpeakerCodec:
    """Build the discrete VAE that the config describes."""
    return SpeakerCodec(config) if isinstance(config, SpeakerCodecConfig) else Dvae(config)


# Any: the architecture of a network is a dataclass of its own
NETWORK_CLASSES: Mapping[str, Callable[[Any], nn.Module]] = {
    "gpt": Gpt,
    "clvp": Clvp,
    "cvvp": Cvvp,
    "diffusion": DiffusionDecoder,
    "vocoder": UnivNet,
    "bigvgan": BigVgan,
    "istft_vocoder": IstftVocoder,
    "hifigan": Hifigan,
    "random_gpt": RandomLatentGenerator,
    "random_diffusion": RandomLatentGenerator,
    "random_speaker": RandomLatentGenerator,
    "dvae": build_dvae,
    "classifier": Classifier,
}
"""Network name (file stem and config key) -> the module that its architecture builds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConventions:
    """Conventions of the weights beyond their shapes. Defaults: as published."""

    text_limit: int = 400
    """Exclusive maximum of the tokens of a text, with its stop token."""
    piece_limit: int = 0
    """Recommended maximum of text tokens; 0: `text_limit`."""
    max_codes: int = 500
    """Maximum of mel codes of a candidate; rows are padded to it for ranking."""
    calm_code: int = 83
    """Mel code of silence; codes after the stop code are replaced by it."""
    calm_run: int = 8
    """Consecutive silence codes that are kept; the next one ends the candidate."""
    calm_follows: bool = True
    """Whether training continued with silence codes after the end, so that pauses can be "
      "generated."""
    fixup_codes: tuple[int, ...] = (45, 45, 248)
    """Last codes of a row that is padded with silence."""
    clvp_trims_codes: bool = False
    """Rank only the codes before the stop code, not rows padded to `max_codes`."""
    gpt_clip_samples: int = 132_300
    """Length of a conditioning clip for the GPT at `gpt_rate`."""
    diffusion_clip_samples: int = 102_400
    """Length of a conditioning clip for the diffusion network at `sample_rate`."""
    gpt_rate: int = 22_050
    """Sample rate of the audio that codes represent, in Hz."""
    sample_rate: int = 24_000
    """Sample rate of the vocoder, in Hz."""
    samples_per_code: int = 1024
    """Samples at `gpt_rate` per code."""
    diffusion_steps: int = NUM_TRAIN_TIMESTEPS
    """Steps of the noise schedule in training."""
    confidence_share: float = 0.0
    """Weight of the GPT's log probability in the ranking; published weights: 0."""
    most_iterations: int = 0
    """Maximum of diffusion steps that is useful with these weights; 0: no maximum."""

    def __post_init__(self) -> None:
        if min(self.text_limit, self.max_codes, self.gpt_rate, self.sample_rate) < 1:
            raise ValueError("limits and sample rates of a model must be at least 1")
        if not 0 <= self.piece_limit <= self.text_limit:
            raise ValueError(
                f"piece_limit must be from 0 to the text_limit of {self.text_limit}; "
                f"got {self.piece_limit}"
            )
        if self.diffusion_steps != NUM_TRAIN_TIMESTEPS:
            raise InvalidValueError(
                f"this program supports noise schedules of {NUM_TRAIN_TIMESTEPS} steps, not of "
                f"{self.diffusion_steps}",
                code="bundle_incompatible",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Everything about a bundle but its numbers. A network without architecture is not there."""

    format: int = FORMAT_VERSION
    about: str = ""
    advice: Mapping[str, Any] = field(default_factory=dict)
    """Default options of these weights; Any: values of options."""
    conventions: ModelConventions = field(default_factory=ModelConventions)
    gpt: GptConfig | None = None
    clvp: ClvpConfig | None = None
    cvvp: CvvpConfig | None = None
    diffusion: DiffusionConfig | None = None
    vocoder: UnivNetConfig | None = None
    bigvgan: BigVganConfig | None = None
    istft_vocoder: IstftVocoderConfig | None = None
    hifigan: HifiganConfig | None = None
    random_gpt: RandomLatentConfig | None = None
    random_diffusion: RandomLatentConfig | None = None
    random_speaker: RandomLatentConfig | None = None
    dvae: DvaeConfig | SpeakerCodecConfig | None = None
    classifier: ClassifierConfig | None = None

    @property
    def networks(self) -> list[str]:
        """Names of the networks that the bundle holds."""
        return [name for name in NETWORK_CLASSES if getattr(self, name) is not None]

    def architecture(self, name: str) -> Any:
        """The architecture of one network; Any: each has a dataclass of its own."""
        architecture = getattr(self, validate_network_name(name))
        if architecture is None:
            raise ModelFileError(
                f"The model has no {name}; it has {', '.join(self.networks) or 'nothing'}. "
                "Choose another model, or turn the option off.",
                code="bundle_incompatible",
            )
        return architecture

    def with_network(self, name: str, architecture: Any) -> ModelConfig:
        """Return the config with one network added or replaced."""
        return replace(self, **{validate_network_name(name): architecture})


def validate_network_name(name: str) -> str:
    """Return `name` if it is the name of a network. Raises BundleError otherwise."""
    if name not in NETWORK_CLASSES:
        known = (
            suggest_similar(name, list(NETWORK_CLASSES))
            or f" Known are: {', '.join(NETWORK_CLASSES)}."
        )
        raise ModelFileError(f"There is no network {name!r}.{known}")
    return name


def get_architecture_class(name: str) -> type[Any]:
    """The dataclass that describes published networks of this name; Any: each has its own."""
    hint = get_type_hints(ModelConfig)[validate_network_name(name)]
    return next(kind for kind in get_args(hint) if isinstance(kind, type) and is_dataclass(kind))


def read_config(folder: Path) -> ModelConfig:
    """Read a bundle's config.json, strictly."""
    path = folder / CONFIG_FILE
    data = read_json(path)
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format {found!r}; this program reads format {FORMAT_VERSION}. "
            "Update the program, or download the model again.",
            code="bundle_incompatible",
        )
    try:
        return from_dict(ModelConfig, data)
    except ValidationError as error:
        raise ModelFileError(f"{path}: {error}") from error
    except ValueError as error:
        raise ModelFileError(f"{path} has invalid values: {error}") from error


def write_config(folder: Path, config: ModelConfig) -> None:
    """Write config.json, leaving out the networks that are not there."""
    plain = to_dict(config)
    absent = {item.name for item in fields(config) if getattr(config, item.name) is None}
    write_json(folder / CONFIG_FILE, {key: plain[key] for key in plain if key not in absent})
