"""The options that every training run has. Light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.options import OptionInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Limits, files and intervals of a training run. 0 means never."""

    max_minutes: Annotated[
        float, OptionInfo(0.0, 1e6, help="End after so long; 0: no limit", unit="min")
    ] = 0.0
    seed: Annotated[int, OptionInfo(0, 2**31 - 1, 1, "Random seed")] = 0
    device: Annotated[str, OptionInfo(help="Device, or auto")] = "auto"
    start_from: Annotated[
        str, OptionInfo(help="File, run or model folder to finetune, or empty")
    ] = ""
    patience: Annotated[
        int, OptionInfo(0, 100_000, 1, "Stop after so many validations without gain; 0: never")
    ] = 0
    vis_every: Annotated[int, OptionInfo(0, 1_000_000, 1, "Steps between points of a curve")] = 10
    save_every: Annotated[
        int, OptionInfo(0, 100_000_000, 1, "Steps between saves; 0: at the end only")
    ] = 1_000
    backup_every: Annotated[
        int, OptionInfo(0, 100_000_000, 1, "Steps between backups; 0: none")
    ] = 25_000
