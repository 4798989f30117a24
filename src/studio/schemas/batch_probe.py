"""What is asked of, and told by, the dry step of a configuration. Light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Any: each field of a configuration has its own type.


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProbeRequest:
    """A wish to know what fits and how long it takes.

    values: the fields of the configuration, from
    `studio.training_runs.config_service.config_to_values`.
    """

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProbeResult:
    """What a dry step found.

    batch, diffusion_batch: clips and stretches that fit at once, 0 for a stage that is left out;
    gpt_s, diffusion_s: seconds of a whole step;  memory: bytes at the most;  seconds: of the whole
    run without its checkpoints;  gpt_loss, chance: how well the GPT guesses the dataset's codes
    before it has learned anything, and how well nobody would;  advice: what to make of that, "" for
    nothing;  changes: fields to set so that it fits and helps, {} where it does as it is.
    """

    batch: int
    diffusion_batch: int
    gpt_s: float
    diffusion_s: float
    memory: int
    device: str
    seconds: float | None
    gpt_loss: float
    chance: float
    advice: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
