"""Configurations of the trainings, and the option lists of the original programs. Light."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml

from core.errors import InvalidValueError
from core.files import write_text
from core.options import OptionInfo, validate_options
from core.serialization import from_dict, to_dict
from core.yaml_io import read_yaml
from runs.config import RunConfig
from sv2tts.text import SYMBOL_SETS

SYNTHESIZER_FILE, VOCODER_FILE = "synthesizer.yaml", "vocoder.yaml"
TACOTRON_2_FILE = "tacotron_2.yaml"
PUBLISHED_NAMES: Mapping[str, str] = {
    "tts_schedule": "schedule",
    "tts_clip_grad_norm": "clip_grad_norm",
    "tts_eval_interval": "eval_every",
    "max_mel_frames": "max_mel_frames",
    "voc_lr": "learning_rate",
    "voc_batch_size": "batch_size",
    "voc_mode": "mode",
}
"""Option of Real-Time Voice Cloning -> ours."""
MEL_KINDS = ("published", "vocoder_24k")
PRECISIONS = ("float32", "bfloat16")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePhase:
    """Up to `until_step`: r frames per decoder step, a learning rate and a batch size."""

    r: Annotated[int, OptionInfo(1, 20, 1, "Mel frames per decoder step")] = 2
    learning_rate: Annotated[float, OptionInfo(1e-8, 1.0, help="Learning rate")] = 1e-3
    until_step: Annotated[int, OptionInfo(1, 100_000_000, 1, "Last step of the phase")] = 20_000
    batch_size: Annotated[int, OptionInfo(1, 1_024, 1, "Utterances in a batch")] = 12

    def __post_init__(self) -> None:
        validate_options(self)


PUBLISHED_SCHEDULE = tuple(
    SchedulePhase(r=2, learning_rate=rate, until_step=until, batch_size=12)
    for rate, until in (
        (1e-3, 20_000),
        (5e-4, 40_000),
        (2e-4, 80_000),
        (1e-4, 160_000),
        (3e-5, 320_000),
        (1e-5, 640_000),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sv2ttsTrainConfig(RunConfig):
    """What the trainings of a synthesizer and a vocoder share."""

    validation_share: Annotated[
        float, OptionInfo(0.0, 0.5, 0.01, "Share of the utterances kept apart for validation")
    ] = 0.02
    eval_every: Annotated[
        int, OptionInfo(0, 100_000_000, 1, "Steps between validations and pictures")
    ] = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesizerTrainConfig(Sv2ttsTrainConfig):
    """The training of a Tacotron. network: what differs from the published one."""

    schedule: tuple[SchedulePhase, ...] = PUBLISHED_SCHEDULE
    network: Mapping[str, Any] | None = None  # Any: sizes, and shares of dropout
    guided_attention: Annotated[
        float, OptionInfo(0.0, 100.0, help="Weight of the guided attention loss; 0: as published")
    ] = 0.0
    forced_attention: Annotated[
        int,
        OptionInfo(0, 100_000_000, 1, "First steps that use the known alignments as attention"),
    ] = 0
    symbols: Annotated[
        str, OptionInfo(help="Letters, or phonemes in braces", choices=SYMBOL_SETS)
    ] = "published"
    mel: Annotated[
        str, OptionInfo(help="Mel of the dataset, for the sounds", choices=MEL_KINDS)
    ] = "published"
    precision: Annotated[
        str, OptionInfo(help="bfloat16 is faster where supported", choices=PRECISIONS)
    ] = "float32"
    clip_grad_norm: Annotated[float, OptionInfo(0.0, 1e6, help="Gradient norm limit")] = 1.0
    max_mel_frames: Annotated[int, OptionInfo(20, 4_000, 1, "Longer utterances are left out")] = 900

    def __post_init__(self) -> None:
        validate_options(self)
        untils = [phase.until_step for phase in self.schedule]
        if not untils or untils != sorted(set(untils)):
            raise InvalidValueError(
                f"schedule ends its phases at {untils}; the steps must increase."
            )

    @property
    def steps(self) -> int:
        """The last step of the schedule."""
        return self.schedule[-1].until_step

    def phase_at(self, step: int) -> SchedulePhase:
        """Return the phase of a step, counted from 0."""
        return next(phase for phase in self.schedule if step < phase.until_step)


@dataclass(frozen=True, slots=True, kw_only=True)
class VocoderTrainConfig(Sv2ttsTrainConfig):
    """The training of a WaveRNN. network: sizes that differ from the published ones."""

    steps: Annotated[int, OptionInfo(1, 100_000_000, 1, "Training steps")] = 1_000_000
    batch_size: Annotated[int, OptionInfo(1, 1_024, 1, "Crops in a batch")] = 100
    learning_rate: Annotated[float, OptionInfo(1e-8, 1.0, help="Learning rate")] = 1e-4
    mode: Annotated[str, OptionInfo(help="Output: labels or mixture", choices=("RAW", "MOL"))] = (
        "RAW"
    )
    ground_truth: Annotated[
        bool, OptionInfo(help="Train on mels of recordings instead of the synthesizer's")
    ] = True
    network: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        validate_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tacotron2TrainConfig(Sv2ttsTrainConfig):
    """The training of Pee Wee's Tacotron 2. network: sizes that differ from the published ones."""

    steps: Annotated[int, OptionInfo(1, 100_000_000, 1, "Training steps")] = 100_000
    batch_size: Annotated[int, OptionInfo(1, 1_024, 1, "Utterances in a batch")] = 64
    learning_rate: Annotated[float, OptionInfo(1e-8, 1.0, help="Learning rate")] = 1e-3
    weight_decay: Annotated[float, OptionInfo(0.0, 1.0, help="L2 penalty")] = 1e-6
    decay_after: Annotated[
        int, OptionInfo(0, 100_000_000, 1, "Batches of 64 before the rate falls tenfold an epoch")
    ] = 50_000
    clip_grad_norm: Annotated[float, OptionInfo(0.0, 1e6, help="Gradient norm limit")] = 1.0
    max_mel_frames: Annotated[int, OptionInfo(20, 4_000, 1, "Longer utterances are left out")] = 900
    network: Mapping[str, Any] | None = None  # Any: numbers, and num_layers

    def __post_init__(self) -> None:
        validate_options(self)

    def compute_rate(self, step: int, utterances: int) -> float:
        """Return the learning rate of a step, counted from 0, of a dataset of this size."""
        start = self.decay_after * 64 / self.batch_size
        epochs = max(0.0, (step - start) * self.batch_size / utterances)
        return float(self.learning_rate * 0.1 ** int(epochs))


def read_config(path: Path, kind: type[T]) -> T:
    """Read a configuration. Raises InvalidValueError for an unknown or invalid option."""
    return from_dict(kind, read_yaml(path) or {})


def write_config(path: Path, config: object) -> None:
    """Write a configuration as YAML."""
    write_text(path, yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True))


def apply_hparams(config: T, text: str) -> T:
    """Change a configuration by "name=value,name=value", with the original names or ours.

    A value may be a number, a word, a list or tuples: "tts_schedule=[(7,1e-3,10000,12)]". Raises
    InvalidValueError for text that is not of this form, and for an unknown name.
    """
    given = parse_hparams(text)
    known = {field.name for field in fields(config)}  # type: ignore[arg-type]
    changes: dict[str, Any] = {}
    for name, value in given.items():
        ours = PUBLISHED_NAMES.get(name, name)
        if ours not in known:
            names = known | {name for name, other in PUBLISHED_NAMES.items() if other in known}
            raise InvalidValueError(
                f"There is no option {name!r}. Available: {', '.join(sorted(names))}."
            )
        changes[ours] = _to_schedule(value) if ours == "schedule" else value
    return from_dict(type(config), to_dict(replace(config, **changes)))  # type: ignore[type-var]


def parse_hparams(text: str) -> dict[str, Any]:
    """Split "name=value,…" at the commas outside brackets and quotes."""
    if not text.strip():
        return {}
    try:
        call = ast.parse(f"f({_quote_words(text)})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError("a name and a value are joined by =")
        pairs = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise InvalidValueError(
            f"{text!r} is not a list of options ({error}). Write it as name=value,name=value."
        ) from error
    if None in pairs:
        raise InvalidValueError(f"{text!r} has ** in it. Write it as name=value,name=value.")
    return {str(name): value for name, value in pairs.items()}


def _quote_words(text: str) -> str:
    """Put bare words and paths after = in quotes: voc_mode=RAW."""
    return re.sub(
        r"=\s*(?!True\b|False\b|None\b)((?:[A-Za-z_]|[~.]{0,2}/)[\w./-]*)(?=\s*(?:,|$))",
        lambda found: f"={found[1]!r}",
        text,
    )


def _to_schedule(value: Any) -> tuple[SchedulePhase, ...]:
    try:
        return tuple(
            SchedulePhase(r=r, learning_rate=float(rate), until_step=int(until), batch_size=batch)
            for r, rate, until, batch in value
        )
    except (TypeError, ValueError) as error:
        raise InvalidValueError(
            f"the schedule {value!r} is not a list of (r, learning rate, last step, batch size)."
        ) from error
