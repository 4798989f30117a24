"""Input, facts and findings of the preflight checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from tortoise.generation.text_length import TortoiseTextAnalyzer
from training.finetuning.config.facts import MachineFacts, ModelFacts
from training.finetuning.config.schema import FinetuneConfig
from training.finetuning.preflight.clips import InspectedClips

FIX_IN_PREPARE, FIX_IN_MODELS = "prepare", "models"  # the page where a fix is made

FindingLevel = Literal["stop", "warn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightFinding:
    """A problem of a run. level: "stop" prevents a start.

    what, why, fix: sentences;  changes: field values that fix it, such as {"optimizer.batch": 4};
    place: FIX_IN_PREPARE or FIX_IN_MODELS where the fix is made there.  The HTTP API returns
    neither kind, changes nor place.
    """

    level: FindingLevel
    kind: Annotated[str, Field(exclude=True)]
    what: str
    why: str
    fix: str
    changes: Annotated[Mapping[str, Any], Field(exclude=True)] = field(default_factory=dict)
    place: Annotated[str, Field(exclude=True)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightInput:
    """Input of the preflight checks. dataset, bundle: folders; free: bytes of disk space."""

    config: FinetuneConfig
    dataset: Path
    bundle: Path
    machine: MachineFacts
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightFacts:
    """Facts from the files of the dataset and the model."""

    bundle: ModelFacts
    measure: TortoiseTextAnalyzer
    clips: InspectedClips
