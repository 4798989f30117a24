"""Metadata of a generated clip: enough to reproduce it bit for bit."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import AppError
from core.serialization import ValidationError, from_dict, to_dict
from engines.registry import get_options_class

SCHEMA_VERSION = 1  # raised when a reader of the old form would misunderstand the new one
OPTIONAL_ENTRIES = (
    *("latents", "redone", "checks", "effects", "source", "pronunciations", "speaker_voices"),
    *("heard", "word_times", "voice_effects"),
)
MAX_METADATA_CHARS = 4_000_000  # characters of JSON; one with latents has some hundred thousand


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeEnvironment:
    """The hardware and torch version that a take can be reproduced on."""

    device: str = ""
    threads: int = 0
    torch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeCheck:
    """What the check of a take found.

    recognizer: its name;  heard: the words that it heard;  words: of the text;  word_errors: wrong,
    missing and added ones;  faults: each in words, none where the take passed.
    """

    recognizer: str = ""
    heard: str = ""
    words: int = 0
    word_errors: int = 0
    faults: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Return whether nothing is wrong with the take."""
        return not self.faults


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOverride:
    """A regenerated line of a clip, or another of its candidates.

    index counts the lines from 0;  text is as the engine received it;  duration_s is its exact
    length, 0 for none.
    """

    index: int
    text: str
    voice: str
    options: Mapping[str, Any]  # Any: as in the record of a take
    candidate: int = 1
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeMetadata:
    """The settings of one take, as embedded in its file.

    text is as it was typed; options are those of the engine, delivery those of the output; speakers
    maps each voice to the content id of its latents; latents is base64 of safetensors, only where
    requested; took is seconds per stage; redone are regenerated lines; checks is what the check of
    the takes found, in sentences; effects are the chains of effects that were applied, in order,
    source the clip that the last one was applied to, by its path below the results; pronunciations
    are the entries of the user's list that were used; speaker_voices the voices of the names that
    lines begin with; voice_effects the effects that a voice always has, by voice, already in the
    sound; heard is the text without the prompt, and word_times are the seconds at
    which each of its words begins and ends, one after the other.
    """

    schema: int = SCHEMA_VERSION
    text: str
    voice: str
    engine: str
    bundle: str
    weights_id: str
    seed: int
    options: Mapping[str, Any]  # Any: options of the engine, checked by its options class
    delivery: Mapping[str, Any]  # Any: output options, checked by Delivery
    speakers: Mapping[str, str] = field(default_factory=dict)
    score: float | None = None
    candidate: int = 1
    duration_s: float = 0.0
    took: Mapping[str, float] = field(default_factory=dict)
    created: str = ""
    machine: ComputeEnvironment = ComputeEnvironment()
    warnings: tuple[str, ...] = ()
    redone: tuple[LineOverride, ...] = ()
    checks: tuple[str, ...] = ()
    effects: tuple[Mapping[str, Any], ...] = ()  # Any: options of effects
    source: str = ""
    pronunciations: Mapping[str, str] = field(default_factory=dict)
    speaker_voices: Mapping[str, str] = field(default_factory=dict)
    voice_effects: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # Any: as effects
    heard: str = ""
    word_times: tuple[float, ...] = ()
    latents: str | None = None

    def __post_init__(self) -> None:
        if self.schema != SCHEMA_VERSION:
            raise ValidationError(
                f"schema is {self.schema}; this version of Testudo reads {SCHEMA_VERSION}. "
                "Use the version that wrote the file."
            )

    def without_latents(self) -> TakeMetadata:
        """Return the metadata without the embedded voice."""
        return replace(self, latents=None)


def to_json(record: TakeMetadata) -> str:
    """Return the metadata as a JSON object, without empty optional entries."""
    plain = to_dict(record)
    for name in OPTIONAL_ENTRIES:
        if not plain[name]:
            del plain[name]
    return json.dumps(plain, ensure_ascii=False, allow_nan=False)


def from_json(text: str, source: str) -> TakeMetadata:
    """Parse metadata of unknown origin; raise AppError where it is not valid."""
    if len(text) > MAX_METADATA_CHARS:
        raise AppError(
            f"The settings in {source} take {len(text):,} characters; at most "
            f"{MAX_METADATA_CHARS:,} are read. They were not written by Testudo."
        )
    try:
        data = json.loads(text, parse_constant=_parse_finite, parse_float=_parse_finite)
        record = from_dict(TakeMetadata, data)
    except (ValueError, TypeError, RecursionError) as cause:
        raise AppError(
            f"The settings in {source} were not written by Testudo: {cause}", code="no_record"
        ) from cause
    return replace(record, options={**_get_old_defaults(record.engine), **record.options})


def _get_old_defaults(engine: str) -> Mapping[str, Any]:
    """Return values of options that clips made before these options were added do not record."""
    try:
        cls = get_options_class(engine)
    except ValueError:  # an engine of another version
        return {}
    defaults: Mapping[str, Any] = getattr(cls, "defaults_of_old_clips", dict)()
    return defaults


def _parse_finite(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(f"{word} is not a finite number")
    return number
