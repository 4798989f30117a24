"""What one finetuning is to do: `train.yaml` is this, with every field's help above it. Light."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from engines.knobs import Knob, check_knob, knobs_of
from jobs.plain import PlainError, from_plain
from training.config_names import check_names
from training.config_parts import layers_of
from training.config_yaml import read_yaml, told_in_yaml, write_text

# Any: each field has its own type.

CONFIG_FILE = "train.yaml"
METHODS = ("full", "lora")
SHAPES = ("constant", "multistep", "cosine")
PRECISIONS = ("fp32", "bf16", "fp16")
SENTENCE = "The river ran high that morning, and nobody dared to cross it."


class ConfigError(ValueError):
    """A training configuration that cannot be: what came, what is allowed, what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChoice:
    """What is learned from."""

    name: Annotated[str, Knob(help="The dataset: a folder under training")]
    train: Annotated[str, Knob(help="Its list of clips to learn from")] = "train.txt"
    validation: Annotated[
        str, Knob(help="Its list of clips that are only listened to, to see what was learned")
    ] = "validation.txt"

    def __post_init__(self) -> None:
        _check("dataset", self)
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
class WeightsChoice:
    """Which networks learn, and how much of them."""

    bundle: Annotated[str, Knob(help="The model to begin with: a folder under models")]
    method: Annotated[
        str,
        Knob(
            choices=METHODS,
            help="full: every number may change. lora: small matrices beside them learn, which "
            "needs less memory",
        ),
    ] = "full"
    rank: Annotated[int, Knob(1, 256, 1, "lora: width of the small matrices")] = 16
    alpha: Annotated[
        float, Knob(0.1, 1024.0, 0.1, "lora: how much they count; as much as rank is usual")
    ] = 16.0
    frozen: Annotated[
        tuple[str, ...],
        Knob(
            help="Parts that do not learn: text (what letters mean), conditioning (how a voice is "
            "heard), codes (what sounds mean), heads (how sounds are chosen), layers 0-2 (those "
            "layers, counted from 0)"
        ),
    ] = ()

    def __post_init__(self) -> None:
        _check("weights", self)
        if not self.bundle.strip():
            raise ConfigError("weights.bundle is empty; name a folder under models.")
        try:
            for part in self.frozen:
                layers_of(part)
        except ValueError as cause:
            raise ConfigError(f"weights.{cause}") from cause

    @property
    def frozen_layers(self) -> frozenset[int]:
        """Numbers of the layers that do not learn."""
        return frozenset(number for part in self.frozen for number in layers_of(part))


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerChoice:
    """How each step learns."""

    rate: Annotated[
        float, Knob(1e-8, 1e-1, 1e-6, "Learning rate at its highest: how far one step goes")
    ] = 1e-5
    weight_decay: Annotated[
        float, Knob(0.0, 1.0, 0.001, "How much matrices shrink by themselves")
    ] = 0.01
    beta1: Annotated[float, Knob(0.0, 0.9999, 0.01, "Memory of AdamW for direction")] = 0.9
    beta2: Annotated[float, Knob(0.0, 0.9999, 0.01, "Memory of AdamW for size")] = 0.96
    clip: Annotated[
        float, Knob(0.01, 1000.0, 0.1, "Longest gradient; what is longer is shortened to it")
    ] = 4.0
    text_weight: Annotated[
        float, Knob(0.0, 10.0, 0.01, "How much guessing the next letter counts")
    ] = 0.01
    mel_weight: Annotated[
        float, Knob(0.0, 10.0, 0.01, "How much guessing the next sound counts")
    ] = 1.0
    batch: Annotated[int, Knob(1, 1024, 1, "Clips held in memory at once", "clips")] = 8
    accumulate: Annotated[
        int, Knob(1, 256, 1, "Batches added up for one step: a larger batch without more memory")
    ] = 1
    precision: Annotated[
        str,
        Knob(
            choices=PRECISIONS,
            help="fp32: exact. bf16: half the memory, on newer GPUs and processors. fp16: half "
            "the memory, on GPUs only",
        ),
    ] = "fp32"
    eight_bit: Annotated[
        bool, Knob(help="Keep the optimizer's memory in 8 bits; NVIDIA GPUs with bitsandbytes only")
    ] = False
    seed: Annotated[int, Knob(0, 2**32 - 1, 1, "Same seed, same run")] = 0

    def __post_init__(self) -> None:
        _check("optimizer", self)
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
class Schedule:
    """How long the speaking network (GPT) learns, and how its learning rate goes."""

    steps: Annotated[
        int, Knob(0, 10_000_000, 1, "Steps of the speaking network (GPT); 0 leaves it as it is")
    ] = 500
    shape: Annotated[
        str,
        Knob(
            choices=SHAPES,
            help="constant: stays as it is. multistep: falls at each milestone. cosine: falls "
            "in a smooth curve to the floor",
        ),
    ] = "cosine"
    warm_up: Annotated[
        float, Knob(0.0, 0.9, 0.01, "Share of the run over which the rate rises from nothing")
    ] = 0.05
    milestones: Annotated[
        tuple[float, ...],
        Knob(help="multistep: where the rate falls, as rising shares of the run such as 0.5, 0.75"),
    ] = (0.5, 0.75, 0.9)
    gamma: Annotated[
        float, Knob(0.01, 1.0, 0.01, "multistep: what the rate is multiplied by at a milestone")
    ] = 0.5
    floor: Annotated[float, Knob(0.0, 1.0, 0.01, "cosine: what is left of the rate at the end")] = (
        0.05
    )

    def __post_init__(self) -> None:
        _check("schedule", self)
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
class DiffusionChoice:
    """Whether the network that shapes the sound (diffusion) learns too, after the GPT."""

    steps: Annotated[int, Knob(0, 10_000_000, 1, "Steps of it; 0 leaves it as it is")] = 0
    rate: Annotated[float, Knob(1e-8, 1e-1, 1e-6, "Its learning rate at its highest")] = 1e-5
    batch: Annotated[int, Knob(1, 1024, 1, "Stretches of speech held in memory at once")] = 8
    window: Annotated[
        int, Knob(4, 1000, 1, "Length of a stretch; 22 codes are one second", "codes")
    ] = 64
    average: Annotated[
        float,
        Knob(0.0, 0.9999, 0.001, "How much its moving average keeps at each step; 0 for none"),
    ] = 0.99

    def __post_init__(self) -> None:
        _check("diffusion", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointChoice:
    """When the run looks at itself, and what is kept."""

    every: Annotated[
        int, Knob(1, 10_000_000, 1, "Steps between two checkpoints, each validated and sampled")
    ] = 100
    keep_last: Annotated[int, Knob(1, 1000, 1, "How many of the latest stay on disk")] = 2
    keep_best: Annotated[bool, Knob(help="Keep the best one too, however old it is")] = True

    def __post_init__(self) -> None:
        _check("checkpoints", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleChoice:
    """What is said at every checkpoint, to be listened to."""

    text: Annotated[str, Knob(help="The sentence; empty for none")] = SENTENCE
    judge: Annotated[
        bool, Knob(help="Count its wrong words and compare its voice, where that is installed")
    ] = True

    def __post_init__(self) -> None:
        _check("samples", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineChoice:
    """Where it runs."""

    processes: Annotated[
        int, Knob(1, 64, 1, "Processes that share each batch: one for every GPU")
    ] = 1
    device: Annotated[str, Knob(help="cpu, cuda, cuda:1, mps …; empty for the fastest")] = ""

    def __post_init__(self) -> None:
        _check("machine", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneConfig:
    """Everything that decides a run; with the same dataset and machine, the same result."""

    dataset: DataChoice
    weights: WeightsChoice
    optimizer: OptimizerChoice = field(default_factory=OptimizerChoice)
    schedule: Schedule = field(default_factory=Schedule)
    diffusion: DiffusionChoice = field(default_factory=DiffusionChoice)
    checkpoints: CheckpointChoice = field(default_factory=CheckpointChoice)
    samples: SampleChoice = field(default_factory=SampleChoice)
    machine: MachineChoice = field(default_factory=MachineChoice)

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
        return config_of(read_yaml(path))
    except ValueError as cause:
        raise ConfigError(f"{path}: {cause}") from cause


def write_config(path: Path, config: FinetuneConfig) -> None:
    """Write every field with its help above it, whole or not at all."""
    write_text(path, told_in_yaml(config))


def config_of(plain: Any) -> FinetuneConfig:
    """Make a configuration of plain data; raises ConfigError."""
    try:
        check_names(FinetuneConfig, plain)
        return from_plain(FinetuneConfig, plain)
    except PlainError as cause:
        raise ConfigError(str(cause).replace("FinetuneConfig", "The configuration")) from cause


def _check(section: str, choice: Any) -> None:
    """Refuse what is of the wrong kind or out of range, naming section and field."""
    for knob in knobs_of(type(choice)):
        if knob.plain_type not in (int, float, bool, str):
            continue  # a list: its section looks at it
        try:
            check_knob(knob, getattr(choice, knob.name))
        except ValueError as cause:
            raise ConfigError(f"{section}.{cause}") from cause
