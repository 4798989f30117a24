"""The configuration of an encoder training: `encoder.yaml` in its folder. Light."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

from core.errors import InvalidValueError
from core.files import write_text
from core.options import OptionInfo, validate_options
from core.serialization import from_dict
from core.yaml_io import format_commented_yaml, read_yaml
from runs.config import RunConfig

CONFIG_FILE = "encoder.yaml"
KINDS = ("ge2e", "singer", "peewee")
LOSSES = ("ge2e", "pred", "both")
OPTIMIZERS = ("adam", "sgd")
LR_SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderTrainConfig(RunConfig):
    """Network, batches, optimizer, validation and files of a training. 0 means what it says."""

    kind: Annotated[str, OptionInfo(help="Network: GE2E, singer or Pee Wee", choices=KINDS)] = (
        "ge2e"
    )
    hidden: Annotated[int, OptionInfo(4, 4_096, 1, "Units of each LSTM layer")] = 256
    embedding: Annotated[int, OptionInfo(2, 4_096, 1, "Values of an embedding")] = 256
    layers: Annotated[int, OptionInfo(1, 12, 1, "LSTM layers")] = 3
    class_head: Annotated[bool, OptionInfo(help="Predict the speaker as well (singer)")] = False
    loss: Annotated[
        str, OptionInfo(help="ge2e: contrastive. pred: class head. both: the sum", choices=LOSSES)
    ] = "ge2e"

    steps: Annotated[int, OptionInfo(1, 100_000_000, 1, "Training steps")] = 100_000
    speakers_per_batch: Annotated[
        int, OptionInfo(0, 4_096, 1, "Speakers in a batch; 0: from the dataset")
    ] = 0
    utterances_per_speaker: Annotated[
        int, OptionInfo(0, 1_024, 1, "Utterances of each; 0: from the dataset")
    ] = 0
    crop_frames: Annotated[int, OptionInfo(8, 4_096, 1, "Frames of a training crop")] = 160
    min_crop_frames: Annotated[
        int, OptionInfo(0, 4_096, 1, "Crops of each batch are at least this long; 0: all equal")
    ] = 0
    mask_frames: Annotated[
        int, OptionInfo(0, 4_096, 1, "Replace up to so many frames of a crop by its mean")
    ] = 0
    mask_bins: Annotated[
        int, OptionInfo(0, 256, 1, "Replace up to so many bins of a crop by its mean")
    ] = 0
    gain_db: Annotated[
        float, OptionInfo(0.0, 40.0, help="Change the level of power mels by up to so much")
    ] = 0.0

    optimizer: Annotated[str, OptionInfo(help="Optimizer", choices=OPTIMIZERS)] = "adam"
    learning_rate: Annotated[float, OptionInfo(1e-8, 10.0, help="Learning rate")] = 1e-4
    lr_schedule: Annotated[str, OptionInfo(help="Learning rate", choices=LR_SCHEDULES)] = "constant"

    validation_share: Annotated[
        float, OptionInfo(0.0, 0.9, 0.01, "Share of the speakers kept apart for validation")
    ] = 0.1
    train_iters: Annotated[
        int, OptionInfo(0, 1_000_000, 1, "Steps between validations; 0: from the dataset")
    ] = 0
    val_iters: Annotated[
        int, OptionInfo(0, 1_000_000, 1, "Batches of a validation; 0: from the dataset")
    ] = 0
    threshold: Annotated[
        float, OptionInfo(0.0, 10.0, help="Smallest decrease of the validation loss that counts")
    ] = 0.0

    umap_every: Annotated[
        int, OptionInfo(0, 100_000_000, 1, "Steps between UMAP pictures; 0: none")
    ] = 100
    save_every: Annotated[
        int, OptionInfo(0, 100_000_000, 1, "Steps between saves; 0: at the end only")
    ] = 500
    backup_every: Annotated[
        int, OptionInfo(0, 100_000_000, 1, "Steps between backups; 0: none")
    ] = 7_500

    def __post_init__(self) -> None:
        validate_options(self)
        if self.loss != "ge2e" and (self.kind != "singer" or not self.class_head):
            raise InvalidValueError(
                f"loss is {self.loss!r}, which needs kind: singer and class_head: true."
            )
        if self.min_crop_frames > self.crop_frames:
            raise InvalidValueError(
                f"min_crop_frames is {self.min_crop_frames}; it must be at most crop_frames, "
                f"{self.crop_frames}."
            )
        if self.utterances_per_speaker == 1:
            raise InvalidValueError(
                "utterances_per_speaker is 1; the loss compares two or more of each speaker."
            )
        if self.speakers_per_batch == 1:
            raise InvalidValueError("speakers_per_batch is 1; the loss compares two or more.")


PRESETS = {
    "ge2e": EncoderTrainConfig(),
    "singer": EncoderTrainConfig(
        kind="singer", hidden=768, crop_frames=128, class_head=True, loss="both", patience=50
    ),
    "peewee": EncoderTrainConfig(kind="peewee", optimizer="sgd", learning_rate=0.01),
}
"""The published sizes and rates of each kind."""


def read_encoder_config(path: Path) -> EncoderTrainConfig:
    """Read a configuration; what it leaves out comes from the preset of its kind.

    Raises InvalidValueError or ValidationError for a file that cannot be read and an unknown or
    invalid option.
    """
    try:
        content = read_yaml(path)
    except ValueError as error:
        raise InvalidValueError(f"{path} {error}") from error
    table = content if isinstance(content, dict) else {}
    preset = PRESETS.get(str(table.get("kind", "ge2e")), PRESETS["ge2e"])
    defaults = {field.name: getattr(preset, field.name) for field in fields(preset)}
    return from_dict(EncoderTrainConfig, {**defaults, **table})


def write_encoder_config(path: Path, config: EncoderTrainConfig) -> None:
    """Write a configuration with the help of each option above it."""
    write_text(path, format_commented_yaml(config))


def with_batch_shape(config: EncoderTrainConfig, shape: tuple[int, int]) -> EncoderTrainConfig:
    """Return the configuration with the batch shape where it leaves that to the dataset."""
    return replace(
        config,
        speakers_per_batch=config.speakers_per_batch or shape[0],
        utterances_per_speaker=config.utterances_per_speaker or shape[1],
    )
