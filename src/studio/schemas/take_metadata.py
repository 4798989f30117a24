"""What a spoken clip knows about itself: enough to say it again, bit for bit."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import AppError
from core.serialization import ValidationError, from_dict, to_dict

SCHEMA_VERSION = 1  # raised when a reader of the old form would misunderstand the new one
MAX_METADATA_CHARS = 4_000_000  # characters of JSON; one with latents has some hundred thousand


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeEnvironment:
    """Where a take was computed: the same numbers come out only there."""

    device: str = ""
    threads: int = 0
    torch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOverride:
    """A line of a clip that was spoken anew, or in another of its candidates.

    index counts the lines from 0;  text is as the engine was given it.
    """

    index: int
    text: str
    voice: str
    options: Mapping[str, Any]  # Any: as in the record of a take
    candidate: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeMetadata:
    """The settings of one take, as they travel inside its file.

    text is as it was typed;  options holds every knob of the engine, delivery every knob of the
    studio;  speakers maps each voice that speaks to the content id of its latents;  latents is
    base64 of safetensors, only where asked for;  took is seconds per stage;  redone are the lines
    that the rest does not tell.
    """

    schema: int = SCHEMA_VERSION
    text: str
    voice: str
    engine: str
    bundle: str
    weights_id: str
    seed: int
    options: Mapping[str, Any]  # Any: an engine's knobs, checked by its options class
    delivery: Mapping[str, Any]  # Any: the studio's knobs, checked by Delivery
    speakers: Mapping[str, str] = field(default_factory=dict)
    score: float | None = None
    candidate: int = 1
    duration_s: float = 0.0
    took: Mapping[str, float] = field(default_factory=dict)
    created: str = ""
    machine: ComputeEnvironment = ComputeEnvironment()
    warnings: tuple[str, ...] = ()
    redone: tuple[LineOverride, ...] = ()
    latents: str | None = None

    def __post_init__(self) -> None:
        if self.schema != SCHEMA_VERSION:
            raise ValidationError(
                f"schema is {self.schema}; this version of Testudo reads {SCHEMA_VERSION}. "
                "Use the version that wrote the file."
            )

    def without_latents(self) -> TakeMetadata:
        """Return the record as people want to see it."""
        return replace(self, latents=None)


def to_json(record: TakeMetadata) -> str:
    """Write the record as one JSON object, leaving out what it does not hold."""
    plain = to_dict(record)
    for name in ("latents", "redone"):
        if not plain[name]:
            del plain[name]
    return json.dumps(plain, ensure_ascii=False, allow_nan=False)


def from_json(text: str, source: str) -> TakeMetadata:
    """Read a record that may come from anyone.

    Raises StudioError, and nothing else, for whatever is not a record of ours.
    """
    if len(text) > MAX_METADATA_CHARS:
        raise AppError(
            f"The settings in {source} take {len(text):,} characters; at most "
            f"{MAX_METADATA_CHARS:,} are read. They were not written by Testudo."
        )
    try:
        data = json.loads(text, parse_constant=_parse_finite, parse_float=_parse_finite)
        return from_dict(TakeMetadata, data)
    except (ValueError, TypeError, RecursionError) as cause:
        raise AppError(
            f"The settings in {source} are not ones that Testudo wrote: {cause}", code="no_record"
        ) from cause


def _parse_finite(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(f"{word} is not a finite number")
    return number
