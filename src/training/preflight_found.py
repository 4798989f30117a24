"""What the pre-flight finds, and what it looks at. Light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tortoise.measure import TextMeasure
from training.config import FinetuneConfig
from training.preflight_clips import Clips
from training.suggest_facts import BundleFacts, MachineFacts

# Any: a change sets a field to a value of its own type.

Level = Literal["stop", "warn"]
PREPARE, MODELS = "prepare", "models"  # where a fix is made that is no change of a field


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is, or may be, wrong.

    kind: a word for it;  what, why, fix: sentences for people;  changes: fields that mend it when
    set so, such as {"optimizer.batch": 4};  place: PREPARE or MODELS where the fix lies there.
    """

    level: Level
    kind: str
    what: str
    why: str
    fix: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A run that somebody wants: its configuration, what it begins from, and where.

    dataset, bundle: folders;  free: bytes left on the disk.
    """

    config: FinetuneConfig
    dataset: Path
    bundle: Path
    machine: MachineFacts
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What was seen of the files."""

    bundle: BundleFacts
    measure: TextMeasure
    clips: Clips
