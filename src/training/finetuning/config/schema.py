"""What one finetuning is to do: `train.yaml` is this, with every field's help above it. Light."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from core.options import OptionInfo, list_option_fields, validate_option
from core.serialization import ValidationError, from_dict, suggest_similar
from core.yaml_io import format_commented_yaml, read_yaml, write_text_atomic
from training.finetuning.config.aliases import check_field_names

FREEZABLE_PARTS = ("text", "conditioning", "codes", "heads")
"""What letters mean, how a voice is heard, what sounds mean, how sounds are chosen."""
LAYER_RANGE = re.compile(r"layers (\d{1,4})(?:-(\d{1,4}))?")


def parse_layer_range(part: str) -> range:
    """Return the layers that a part means: of "layers 0-2" three, of "text" none.

    Raises ValueError for what is no part.
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
    """A training configuration that cannot be: what came, what is allowed, what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetConfig:
    """What is learned from."""

    name: Annotated[str, OptionInfo(help="The dataset: a folder under training")]
    train: Annotated[str, OptionInfo(help="Its list of clips to learn from")] = "train.txt"
    validation: Annotated[
        str, OptionInfo(help="Its list of clips that are only listened to, to see what was learned")
    ] = "validation.txt"

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
                f"dataset.train and dataset.validation are both {self.train!r}: what was learned "
                "from tells nothing about what was learned. Name two files."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsConfig:
    """Which networks learn, and how much of them."""

    bundle: Annotated[str, OptionInfo(help="The model to begin with: a folder under models")]
    method: Annotated[
        str,
        OptionInfo(
            choices=METHODS,
            help="full: every number may change. lora: small matrices beside them learn, which "
            "needs less memory",
        ),
    ] = "full"
    rank: Annotated[int, OptionInfo(1, 256, 1, "lora: width of the small matrices")] = 16
    alpha: Annotated[
        float, OptionInfo(0.1, 1024.0, 0.1, "lora: how much they count; as much as rank is usual")
    ] = 16.0
    frozen: Annotated[
        tuple[str, ...],
        OptionInfo(
            help="Parts that do not learn: text (what letters mean), conditioning (how a voice is "
            "heard), codes (what sounds mean), heads (how sounds are chosen), layers 0-2 (those "
            "layers, counted from 0)"
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
        """Numbers of the layers that do not learn."""
        return frozenset(number for part in self.frozen for number in parse_layer_range(part))


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """How each step learns."""

    rate: Annotated[
        float, OptionInfo(1e-8, 1e-1, 1e-6, "Learning rate at its highest: how far one step goes")
    ] = 1e-5
    weight_decay: Annotated[
        float, OptionInfo(0.0, 1.0, 0.001, "How much matrices shrink by themselves")
    ] = 0.01
    beta1: Annotated[float, OptionInfo(0.0, 0.9999, 0.01, "Memory of AdamW for direction")] = 0.9
    beta2: Annotated[float, OptionInfo(0.0, 0.9999, 0.01, "Memory of AdamW for size")] = 0.96
    clip: Annotated[
        float, OptionInfo(0.01, 1000.0, 0.1, "Longest gradient; what is longer is shortened to it")
    ] = 4.0
    text_weight: Annotated[
        float, OptionInfo(0.0, 10.0, 0.01, "How much guessing the next letter counts")
    ] = 0.01
    mel_weight: Annotated[
        float, OptionInfo(0.0, 10.0, 0.01, "How much guessing the next sound counts")
    ] = 1.0
    batch: Annotated[int, OptionInfo(1, 1024, 1, "Clips held in memory at once", "clips")] = 8
    accumulate: Annotated[
        int,
        OptionInfo(1, 256, 1, "Batches added up for one step: a larger batch without more memory"),
    ] = 1
    precision: Annotated[
        str,
        OptionInfo(
            choices=PRECISIONS,
            help="fp32: exact. bf16: half the memory, on newer GPUs and processors. fp16: half "
            "the memory, on GPUs only",
        ),
    ] = "fp32"
    eight_bit: Annotated[
        bool,
        OptionInfo(
            help="Keep the optimizer's memory in 8 bits; NVIDIA GPUs with bitsandbytes only"
        ),
    ] = False
    seed: Annotated[int, OptionInfo(0, 2**32 - 1, 1, "Same seed, same run")] = 0

    def __post_init__(self) -> None:
        _validate_section("optimizer", self)
        if not self.text_weight and not self.mel_weight:
            raise ConfigError(
                "optimizer.text_weight and optimizer.mel_weight are both 0, so there is nothing "
                "to learn. Set mel_weight to 1."
            )

    @property
    def clips_per_step(self) -> int:
        """Clips that one step learns from."""
        return self.batch * self.accumulate


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """How long the speaking network (GPT) learns, and how its learning rate goes."""

    steps: Annotated[
        int,
        OptionInfo(0, 10_000_000, 1, "Steps of the speaking network (GPT); 0 leaves it as it is"),
    ] = 500
    shape: Annotated[
        str,
        OptionInfo(
            choices=LR_SCHEDULES,
            help="constant: stays as it is. multistep: falls at each milestone. cosine: falls "
            "in a smooth curve to the floor",
        ),
    ] = "cosine"
    warm_up: Annotated[
        float, OptionInfo(0.0, 0.9, 0.01, "Share of the run over which the rate rises from nothing")
    ] = 0.05
    milestones: Annotated[
        tuple[float, ...],
        OptionInfo(
            help="multistep: where the rate falls, as rising shares of the run such as 0.5, 0.75"
        ),
    ] = (0.5, 0.75, 0.9)
    gamma: Annotated[
        float,
        OptionInfo(0.01, 1.0, 0.01, "multistep: what the rate is multiplied by at a milestone"),
    ] = 0.5
    floor: Annotated[
        float, OptionInfo(0.0, 1.0, 0.01, "cosine: what is left of the rate at the end")
    ] = 0.05

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
                f"schedule.warm_up is {self.warm_up}, but the rate falls at {marks[0]} "
                "already. Warm up for less, or begin schedule.milestones later."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionTrainingConfig:
    """Whether the network that shapes the sound (diffusion) learns too, after the GPT."""

    steps: Annotated[int, OptionInfo(0, 10_000_000, 1, "Steps of it; 0 leaves it as it is")] = 0
    rate: Annotated[float, OptionInfo(1e-8, 1e-1, 1e-6, "Its learning rate at its highest")] = 1e-5
    batch: Annotated[int, OptionInfo(1, 1024, 1, "Stretches of speech held in memory at once")] = 8
    window: Annotated[
        int, OptionInfo(4, 1000, 1, "Length of a stretch; 22 codes are one second", "codes")
    ] = 64
    average: Annotated[
        float,
        OptionInfo(
            0.0, 0.9999, 0.001, "How much its moving average keeps at each step; 0 for none"
        ),
    ] = 0.99

    def __post_init__(self) -> None:
        _validate_section("diffusion", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointConfig:
    """When the run looks at itself, and what is kept."""

    every: Annotated[
        int,
        OptionInfo(1, 10_000_000, 1, "Steps between two checkpoints, each validated and sampled"),
    ] = 100
    keep_last: Annotated[int, OptionInfo(1, 1000, 1, "How many of the latest stay on disk")] = 2
    keep_best: Annotated[bool, OptionInfo(help="Keep the best one too, however old it is")] = True

    def __post_init__(self) -> None:
        _validate_section("checkpoints", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleConfig:
    """What is said at every checkpoint, to be listened to."""

    text: Annotated[str, OptionInfo(help="The sentence; empty for none")] = DEFAULT_SAMPLE_TEXT
    judge: Annotated[
        bool,
        OptionInfo(help="Count its wrong words and compare its voice, where that is installed"),
    ] = True

    def __post_init__(self) -> None:
        _validate_section("samples", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineConfig:
    """Where it runs."""

    processes: Annotated[
        int, OptionInfo(1, 64, 1, "Processes that share each batch: one for every GPU")
    ] = 1
    device: Annotated[str, OptionInfo(help="cpu, cuda, cuda:1, mps …; empty for the fastest")] = ""

    def __post_init__(self) -> None:
        _validate_section("machine", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneConfig:
    """Everything that decides a run; with the same dataset and machine, the same result."""

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
                "schedule.steps and diffusion.steps are both 0, so nothing would be learned. "
                "Give one of them steps."
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
                "optimizer.precision is fp16, which a cpu cannot train with. Use bf16 or fp32."
            )
        if self.optimizer.eight_bit:
            raise ConfigError(
                "optimizer.eight_bit needs an NVIDIA GPU, but machine.device is cpu. Turn it off."
            )

    @property
    def total_steps(self) -> int:
        """Steps of both stages: the GPT's, then those of the diffusion network."""
        return self.schedule.steps + self.diffusion.steps


def read_config(path: Path) -> FinetuneConfig:
    """Read a train.yaml, strictly.

    Raises ConfigError, with the line where there is one, for what is not YAML, an unknown field
    (naming the nearest), a value that does not fit, or fields that contradict each other.
    """
    try:
        return parse_config(read_yaml(path))
    except ValueError as cause:
        raise ConfigError(f"{path}: {cause}") from cause


def write_config(path: Path, config: FinetuneConfig) -> None:
    """Write every field with its help above it, whole or not at all."""
    write_text_atomic(path, format_commented_yaml(config))


def parse_config(plain: Any) -> FinetuneConfig:
    """Make a configuration of plain data; raises ConfigError."""
    try:
        check_field_names(FinetuneConfig, plain)
        return from_dict(FinetuneConfig, plain)
    except ValidationError as cause:
        raise ConfigError(str(cause).replace("FinetuneConfig", "The configuration")) from cause


def _validate_section(section: str, choice: Any) -> None:
    """Refuse what is of the wrong kind or out of range, naming section and field."""
    for knob in list_option_fields(type(choice)):
        if knob.plain_type not in (int, float, bool, str):
            continue  # a list: its section looks at it
        try:
            validate_option(knob, getattr(choice, knob.name))
        except ValueError as cause:
            raise ConfigError(f"{section}.{cause}") from cause
