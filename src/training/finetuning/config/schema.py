"""The configuration of a finetuning run: `train.yaml` holds it, each field below its help."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from core.files import write_text
from core.options import OptionInfo, list_option_fields, validate_option
from core.serialization import ValidationError, from_dict, suggest_similar
from core.yaml_io import format_commented_yaml, read_yaml
from training.finetuning.config.aliases import check_field_names

FREEZABLE_PARTS = ("text", "conditioning", "codes", "heads")
"""Text embeddings, conditioning encoder, code embeddings, output heads."""
LAYER_RANGE = re.compile(r"layers (\d{1,4})(?:-(\d{1,4}))?")


def parse_layer_range(part: str) -> range:
    """Return the layers that a part names: "layers 0-2" gives three, "text" none.

    Raises ValueError for an unknown part.
    """
    found = LAYER_RANGE.fullmatch(part)
    if part in FREEZABLE_PARTS:
        return range(0)
    if found is None or int(found[2] or found[1]) < int(found[1]):
        raise ValueError(
            f"frozen names {part!r}; it may name {', '.join(FREEZABLE_PARTS)}, or layers such as "
            f"'layers 0-2', counted from 0.{suggest_similar(part, FREEZABLE_PARTS)}"
        )
    return range(int(found[1]), int(found[2] or found[1]) + 1)


# Any: each field has its own type.

CONFIG_FILE = "train.yaml"
METHODS = ("full", "lora")
LR_SCHEDULES = ("constant", "multistep", "cosine")
PRECISIONS = ("fp32", "bf16", "fp16")
DEFAULT_SAMPLE_TEXT = "The river ran high that morning, and nobody dared to cross it."


class ConfigError(ValueError):
    """An invalid training configuration: what was given, what is allowed, what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetConfig:
    """The training data."""

    name: Annotated[str, OptionInfo(help="Dataset: a folder under training")]
    train: Annotated[str, OptionInfo(help="File that lists the training clips")] = "train.txt"
    validation: Annotated[str, OptionInfo(help="File that lists the validation clips")] = (
        "validation.txt"
    )

    def __post_init__(self) -> None:
        _validate_section("dataset", self)
        if not self.name.strip():
            raise ConfigError("dataset.name is empty; name a folder under training.")
        for key, value in (("train", self.train), ("validation", self.validation)):
            if not value or set(value) & set("/\\:\0") or value.startswith("."):
                raise ConfigError(
                    f"dataset.{key} is {value!r}; it must be the name of a file in the dataset."
                )
        if self.train == self.validation:
            raise ConfigError(
                f"dataset.train and dataset.validation are both {self.train!r}: "
                "validation needs clips that are not trained on. Name two files."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsConfig:
    """The model to start from, and which of its parameters are trained."""

    bundle: Annotated[str, OptionInfo(help="Model to start from: a folder under models")]
    method: Annotated[
        str,
        OptionInfo(
            choices=METHODS,
            help="full: train all parameters. lora: train low-rank adapters only, which needs less "
            "memory",
        ),
    ] = "full"
    rank: Annotated[int, OptionInfo(1, 256, 1, "lora: rank of the adapters")] = 16
    alpha: Annotated[
        float, OptionInfo(0.1, 1024.0, 0.1, "lora: scale of the adapters; usually equal to rank")
    ] = 16.0
    frozen: Annotated[
        tuple[str, ...],
        OptionInfo(
            help="Parts that are not trained: text (text embeddings), conditioning (conditioning "
            "encoder), codes (code embeddings), heads (output heads), layers 0-2 (these layers, "
            "counted from 0)"
        ),
    ] = ()

    def __post_init__(self) -> None:
        _validate_section("weights", self)
        if not self.bundle.strip():
            raise ConfigError("weights.bundle is empty; name a folder under models.")
        try:
            for part in self.frozen:
                parse_layer_range(part)
        except ValueError as cause:
            raise ConfigError(f"weights.{cause}") from cause

    @property
    def frozen_layers(self) -> frozenset[int]:
        """Indices of the layers that are not trained."""
        return frozenset(number for part in self.frozen for number in parse_layer_range(part))


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """Batch, loss weights, precision and AdamW."""

    rate: Annotated[float, OptionInfo(1e-8, 1e-1, 1e-6, "Peak learning rate")] = 1e-5
    weight_decay: Annotated[float, OptionInfo(0.0, 1.0, 0.001, "Weight decay")] = 0.01
    beta1: Annotated[float, OptionInfo(0.0, 0.9999, 0.01, "AdamW beta1")] = 0.9
    beta2: Annotated[float, OptionInfo(0.0, 0.9999, 0.01, "AdamW beta2")] = 0.96
    clip: Annotated[float, OptionInfo(0.01, 1000.0, 0.1, "Gradient clipping: maximum norm")] = 4.0
    text_weight: Annotated[float, OptionInfo(0.0, 10.0, 0.01, "Weight of the text loss")] = 0.01
    mel_weight: Annotated[float, OptionInfo(0.0, 10.0, 0.01, "Weight of the speech code loss")] = (
        1.0
    )
    batch: Annotated[int, OptionInfo(1, 1024, 1, "Batch size", "clips")] = 8
    accumulate: Annotated[
        int,
        OptionInfo(1, 256, 1, "Gradient accumulation: batches per step"),
    ] = 1
    precision: Annotated[
        str,
        OptionInfo(
            choices=PRECISIONS,
            help="fp32: full precision. bf16: half the memory, on newer GPUs and CPUs. fp16: half "
            "the memory, on GPUs only",
        ),
    ] = "fp32"
    eight_bit: Annotated[
        bool,
        OptionInfo(help="8-bit optimizer states; NVIDIA GPUs with bitsandbytes only"),
    ] = False
    seed: Annotated[int, OptionInfo(0, 2**32 - 1, 1, "Random seed")] = 0

    def __post_init__(self) -> None:
        _validate_section("optimizer", self)
        if not self.text_weight and not self.mel_weight:
            raise ConfigError(
                "optimizer.text_weight and optimizer.mel_weight are both 0, so there is nothing "
                "to train. Set mel_weight to 1."
            )

    @property
    def clips_per_step(self) -> int:
        """Clips per optimizer step."""
        return self.batch * self.accumulate


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """Length of the GPT training, and its learning rate schedule."""

    steps: Annotated[
        int,
        OptionInfo(0, 10_000_000, 1, "Training steps of the GPT; 0 does not train it"),
    ] = 500
    shape: Annotated[
        str,
        OptionInfo(
            choices=LR_SCHEDULES,
            help="constant: no decay. multistep: decays at each milestone. cosine: decays along "
            "a half cosine to the floor",
        ),
    ] = "cosine"
    warm_up: Annotated[float, OptionInfo(0.0, 0.9, 0.01, "Warm-up, as a share of the run")] = 0.05
    milestones: Annotated[
        tuple[float, ...],
        OptionInfo(
            help="multistep: when the rate decays, as rising shares of the run such as 0.5, 0.75"
        ),
    ] = (0.5, 0.75, 0.9)
    gamma: Annotated[
        float,
        OptionInfo(0.01, 1.0, 0.01, "multistep: decay factor at a milestone"),
    ] = 0.5
    floor: Annotated[float, OptionInfo(0.0, 1.0, 0.01, "cosine: final share of the peak rate")] = (
        0.05
    )

    def __post_init__(self) -> None:
        _validate_section("schedule", self)
        marks = self.milestones
        if any(not 0 < mark < 1 for mark in marks):
            raise ConfigError(
                f"schedule.milestones are {list(marks)}; they are shares of the run, above 0 and "
                "below 1, such as [0.5, 0.75]."
            )
        if any(later <= sooner for sooner, later in pairwise(marks)):
            raise ConfigError(
                f"schedule.milestones are {list(marks)}; each must be larger than the one before. "
                f"Write {sorted(set(marks))}."
            )
        if self.shape != "multistep":
            return
        if not marks:
            raise ConfigError(
                "schedule.shape is multistep, but schedule.milestones is empty. Give shares such "
                "as [0.5, 0.75], or choose constant."
            )
        if self.warm_up >= marks[0]:
            raise ConfigError(
                f"schedule.warm_up is {self.warm_up}, but the rate decays at {marks[0]} "
                "already. Warm up for less, or begin schedule.milestones later."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionTrainingConfig:
    """Training of the diffusion decoder, after the GPT."""

    steps: Annotated[
        int,
        OptionInfo(
            0, 10_000_000, 1, "Training steps of the diffusion decoder; 0 does not train it"
        ),
    ] = 0
    rate: Annotated[float, OptionInfo(1e-8, 1e-1, 1e-6, "Peak learning rate")] = 1e-5
    batch: Annotated[int, OptionInfo(1, 1024, 1, "Batch size, in segments of clips")] = 8
    window: Annotated[
        int, OptionInfo(4, 1000, 1, "Length of a segment; 22 codes are one second", "codes")
    ] = 64
    average: Annotated[
        float,
        OptionInfo(
            0.0, 0.9999, 0.001, "Decay of the moving average of the weights (EMA); 0 for none"
        ),
    ] = 0.99

    def __post_init__(self) -> None:
        _validate_section("diffusion", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointConfig:
    """When checkpoints are saved, and which are kept."""

    every: Annotated[
        int,
        OptionInfo(1, 10_000_000, 1, "Steps between checkpoints; each is validated and sampled"),
    ] = 100
    keep_last: Annotated[int, OptionInfo(1, 1000, 1, "Number of latest checkpoints to keep")] = 2
    keep_best: Annotated[bool, OptionInfo(help="Also keep the best checkpoint")] = True

    def __post_init__(self) -> None:
        _validate_section("checkpoints", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleConfig:
    """The audio sample of each checkpoint."""

    text: Annotated[str, OptionInfo(help="Text to speak; empty for no sample")] = (
        DEFAULT_SAMPLE_TEXT
    )
    judge: Annotated[
        bool,
        OptionInfo(
            help="Measure word error rate and speaker similarity, where these are installed"
        ),
    ] = True

    def __post_init__(self) -> None:
        _validate_section("samples", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineConfig:
    """Devices and processes."""

    processes: Annotated[
        int, OptionInfo(1, 64, 1, "Processes that share each batch: one per GPU")
    ] = 1
    device: Annotated[str, OptionInfo(help="cpu, cuda, cuda:1, mps, …; empty for the fastest")] = ""

    def __post_init__(self) -> None:
        _validate_section("machine", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneConfig:
    """Everything that determines a run: same dataset and machine, same result."""

    dataset: DatasetConfig
    weights: WeightsConfig
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    diffusion: DiffusionTrainingConfig = field(default_factory=DiffusionTrainingConfig)
    checkpoints: CheckpointConfig = field(default_factory=CheckpointConfig)
    samples: SampleConfig = field(default_factory=SampleConfig)
    machine: MachineConfig = field(default_factory=MachineConfig)

    def __post_init__(self) -> None:
        if not self.total_steps:
            raise ConfigError(
                "schedule.steps and diffusion.steps are both 0, so nothing would be trained. "
                "Set steps for one of them."
            )
        processes, batch = self.machine.processes, self.optimizer.batch
        if batch % processes:
            raise ConfigError(
                f"optimizer.batch is {batch} and machine.processes {processes}: a batch is shared "
                f"evenly. Use a batch of {processes * max(1, round(batch / processes))}."
            )
        if self.machine.device == "cpu":
            self._check_on_cpu()

    def _check_on_cpu(self) -> None:
        if self.optimizer.precision == "fp16":
            raise ConfigError(
                "optimizer.precision is fp16, which is not supported on a CPU. Use bf16 or fp32."
            )
        if self.optimizer.eight_bit:
            raise ConfigError(
                "optimizer.eight_bit needs an NVIDIA GPU, but machine.device is cpu. Turn it off."
            )

    @property
    def total_steps(self) -> int:
        """Steps of both stages: GPT, then diffusion."""
        return self.schedule.steps + self.diffusion.steps


def read_config(path: Path) -> FinetuneConfig:
    """Read a train.yaml.

    Raises ConfigError, with the line where there is one, for invalid YAML, an unknown field (naming
    the nearest), an invalid value, or fields that contradict each other.
    """
    try:
        return parse_config(read_yaml(path))
    except ValueError as cause:
        raise ConfigError(f"{path}: {cause}") from cause


def write_config(path: Path, config: FinetuneConfig) -> None:
    """Write every field below its help, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, format_commented_yaml(config))


def parse_config(plain: Any) -> FinetuneConfig:
    """Build a configuration from plain data; raises ConfigError."""
    try:
        check_field_names(FinetuneConfig, plain)
        return from_dict(FinetuneConfig, plain)
    except ValidationError as cause:
        raise ConfigError(str(cause).replace("FinetuneConfig", "The configuration")) from cause


def _validate_section(section: str, choice: Any) -> None:
    for option in list_option_fields(type(choice)):
        if option.plain_type not in (int, float, bool, str):
            continue  # the section checks its lists itself
        try:
            validate_option(option, getattr(choice, option.name))
        except ValueError as cause:
            raise ConfigError(f"{section}.{cause}") from cause
