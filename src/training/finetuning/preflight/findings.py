"""What the pre-flight checks know and what they find."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tortoise.generation.text_length import TortoiseTextAnalyzer
from training.finetuning.config.facts import MachineFacts, ModelFacts
from training.finetuning.config.schema import FinetuneConfig
from training.finetuning.preflight.clips import InspectedClips

FIX_IN_PREPARE, FIX_IN_MODELS = (
    "prepare",
    "models",
)  # where a fix is made that is no change of a field

FindingLevel = Literal["stop", "warn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightFinding:
    """One thing that is, or may be, wrong.

    kind: a word for it;  what, why, fix: sentences for people;  changes: fields that mend it when
    set so, such as {"optimizer.batch": 4};  place: PREPARE or MODELS where the fix lies there.
    """

    level: FindingLevel
    kind: str
    what: str
    why: str
    fix: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightInput:
    """A run that somebody wants: its configuration, what it begins from, and where.

    dataset, bundle: folders;  free: bytes left on the disk.
    """

    config: FinetuneConfig
    dataset: Path
    bundle: Path
    machine: MachineFacts
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightFacts:
    """What was seen of the files."""

    bundle: ModelFacts
    measure: TortoiseTextAnalyzer
    clips: InspectedClips
