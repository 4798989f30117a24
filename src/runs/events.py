"""The events of a training run, one JSON object on each line of `events.jsonl`.

Light. The trainer writes them and the studio reads them. Readers validate everything: an invalid
field becomes None, 0 or "", and only an unknown kind or an unusable step makes a line invalid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

EVENTS_FILE = "events.jsonl"
MAX_COUNT = 2**53  # the largest integer that JavaScript counts exactly
MAX_TEXT_CHARS = 2_000

# Any: unchecked JSON.


def _parse_number(value: Any) -> float | None:
    """Return a finite number rounded to 8 digits, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return round(float(value), 8) if math.isfinite(value) else None
    except OverflowError:
        return None


def _parse_count(value: Any) -> int:
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_COUNT
    return value if usable else 0


def _parse_optional_count(value: Any) -> int | None:
    return _parse_count(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _parse_text(value: Any) -> str:
    return value[:MAX_TEXT_CHARS] if isinstance(value, str) else ""


Number = Annotated[float | None, BeforeValidator(_parse_number)]
Count = Annotated[int, BeforeValidator(_parse_count)]
OptionalCount = Annotated[int | None, BeforeValidator(_parse_optional_count)]
Text = Annotated[str, BeforeValidator(_parse_text)]
Flag = Annotated[bool, BeforeValidator(lambda value: value is True)]


TrainResultState = Literal["done", "stopped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """The result of a run.

    cause: "", or what ended it early: asked, diverged, disk, files, memory, refused.
    """

    state: TrainResultState
    cause: str = ""
    message: str = ""
    best_step: int | None = None


class _Event(BaseModel):
    """time: seconds since 1970;  step: of the run, over both stages. The logger sets both."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    time: Number = None
    step: Annotated[int, Field(strict=True, ge=0, lt=MAX_COUNT)] = 0


class BeginEvent(_Event):
    """A process starts the run, or resumes it at `step`."""

    kind: Literal["begin"] = "begin"
    steps: Count = 0
    gpt_steps: Count = 0
    diffusion_steps: Count = 0
    clips: Count = 0
    validation_clips: Count = 0
    speakers: Count = 0
    validation_speakers: Count = 0
    device: Text = ""
    processes: Count = 0
    batch: Count = 0
    resumed: Flag = False

    @property
    def total_steps(self) -> int:
        """Of both stages, also where an old log has no `steps`."""
        return self.steps or self.gpt_steps + self.diffusion_steps


class _LossEvent(_Event):
    """A loss; encoders add the contrastive one, the class head's, its accuracy, and the EER."""

    loss: Number = None
    ge2e: Number = None
    prediction: Number = None
    accuracy: Number = None
    eer: Number = None


class StepEvent(_LossEvent):
    """Means over the steps since the last such event; memory in bytes."""

    kind: Literal["step"] = "step"
    stage: Text = ""
    rate: Number = None
    seconds: Number = None
    memory: OptionalCount = None
    mel: Number = None
    text: Number = None
    noise: Number = None
    bound: Number = None
    gradient: Number = None
    attention: Number = None


class ValidationEvent(_LossEvent):
    """The loss on held-out clips, and the mean training loss since the last checkpoint."""

    kind: Literal["validation"] = "validation"
    stage: Text = ""
    train_loss: Number = None
    mel: Number = None
    attention: Number = None


class SampleEvent(_Event):
    """A sample was synthesized. path: relative to the run."""

    kind: Literal["sample"] = "sample"
    path: Text = ""
    text: Text = ""
    wer: Number = None
    similarity: Number = None


class CheckpointEvent(_Event):
    """A checkpoint was written. path: relative to the run."""

    kind: Literal["checkpoint"] = "checkpoint"
    path: Text = ""
    bytes: Count = 0
    loss: Number = None
    best: Flag = False


class WarningEvent(_Event):
    """A note for the user."""

    kind: Literal["warning"] = "warning"
    message: Text = ""


class NoteEvent(_Event):
    """Something worth showing."""

    kind: Literal["note"] = "note"
    message: Text = ""


class EndEvent(_Event):
    """The run ended by itself. cause: as in `TrainResult`."""

    kind: Literal["end"] = "end"
    state: TrainResultState
    cause: Text = ""
    message: Text = ""
    best_step: OptionalCount = None


TrainingEvent = (
    BeginEvent
    | StepEvent
    | ValidationEvent
    | SampleEvent
    | CheckpointEvent
    | WarningEvent
    | NoteEvent
    | EndEvent
)
_ADAPTER: TypeAdapter[TrainingEvent] = TypeAdapter(
    Annotated[TrainingEvent, Field(discriminator="kind")]
)


def parse_event(line: bytes) -> TrainingEvent:
    """Read one line.  Raises pydantic.ValidationError for one that is no event."""
    return _ADAPTER.validate_json(line)
