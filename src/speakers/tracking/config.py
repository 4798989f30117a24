"""The configuration of a tracked training, such as config/speaker_recog_encoder_dev.yml.

Sections: data, features, preprocess, augmentation, training, tracking; what a file leaves out has
its default. Light.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from core.errors import AppError, InvalidValueError
from core.serialization import ValidationError, from_dict, to_dict
from core.yaml_io import read_yaml
from speakers.data.options import AugmentationOptions, PreprocessOptions
from speakers.modules.feature_config import FeatureConfig
from speakers.training.config import PRESETS, EncoderTrainConfig

# Any: YAML values.

REGISTERED_NAME = "Speaker_Embedding_v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where the recordings are, and the name of the dataset that is made of them.

    sources: folders or CSV files, relative to the folder that the training is started in.
    """

    sources: tuple[str, ...]
    dataset: str

    def __post_init__(self) -> None:
        if not self.sources:
            raise InvalidValueError("data.sources is empty; name at least one folder.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingConfig:
    """Where MLflow keeps the run.

    experiment: its name;  registered_model: the name under which a saved model is registered, ""
    to register none.
    """

    experiment: str = "speaker_recog_encoder"
    registered_model: str = REGISTERED_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedTrainingConfig:
    """All sections of a configuration."""

    data: DataConfig
    features: FeatureConfig = field(default_factory=FeatureConfig)
    preprocess: PreprocessOptions = field(default_factory=PreprocessOptions)
    augmentation: AugmentationOptions = field(default_factory=AugmentationOptions)
    training: EncoderTrainConfig = field(default_factory=EncoderTrainConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


def read_tracked_config(path: Path) -> TrackedTrainingConfig:
    """Read a configuration; options of the training come from the preset of its kind.

    Raises AppError for a file or an option that cannot be used.
    """
    try:
        content = read_yaml(path)
        table = dict(content) if isinstance(content, dict) else {}
        training = table.get("training")
        if isinstance(training, dict):
            preset = PRESETS.get(str(training.get("kind", "ge2e")), PRESETS["ge2e"])
            defaults = {item.name: getattr(preset, item.name) for item in fields(preset)}
            table["training"] = {**defaults, **training}
        return from_dict(TrackedTrainingConfig, table)
    except (ValueError, ValidationError) as error:
        raise AppError(f"{path}: {error}", code="bad_settings") from error


def list_parameters(config: TrackedTrainingConfig) -> dict[str, Any]:
    """Return every option as `<section>_<name>`."""
    return {
        f"{section}_{name}": value
        for section, options in to_dict(config).items()
        for name, value in options.items()
    }
