"""Request and result of a batch size probe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Any: each field of a configuration has its own type.


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProbeRequest:
    """Measure the batch size that fits and the time of a step.

    values: the fields of the configuration, from
    `studio.training_runs.config_service.config_to_values`.
    """

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProbeResult:
    """Result of a probe.

    batch, diffusion_batch: batch sizes that fit, 0 for a stage that is left out; gpt_s,
    diffusion_s: seconds of a whole step; memory: peak bytes; seconds: of the whole run without its
    checkpoints; gpt_loss, chance: loss of the untrained GPT on the dataset, and of uniform
    guessing; advice: "" for none; changes: fields to set so that it fits, {} for none.
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
