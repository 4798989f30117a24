"""Options of the engine `quick`. Light: no torch at import time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from core.options import OptionInfo, validate_options
from tortoise.generation.options import VOCODERS, TortoiseOptions

QUICK_VOCODERS = tuple(name for name in VOCODERS if name != "hifigan")  # it takes no mel


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickOptions:
    """Options of the engine."""

    speed: Annotated[
        float, OptionInfo(0.5, 2.0, 0.05, "Pace of the speech; 1 is natural, 2 twice as fast")
    ] = 1.0
    seed: Annotated[
        int | None,
        OptionInfo(
            0, 2**63 - 1, 1, "Random seed; the same seed gives the same result; unset: random"
        ),
    ] = None
    vocoder: Annotated[
        str, OptionInfo(choices=QUICK_VOCODERS, help="Vocoder; griffin_lim needs no model")
    ] = "auto"

    def __post_init__(self) -> None:
        validate_options(self)

    @classmethod
    def advised(cls, weights: Path) -> Mapping[str, Any]:  # Any: option values
        """Return the options that a model recommends, of those that this engine has."""
        vocoder = TortoiseOptions.advised(weights).get("vocoder")
        return {"vocoder": vocoder} if vocoder in QUICK_VOCODERS else {}
