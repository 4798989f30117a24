"""Options of the effects and their presets. Light: no torch at import time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from core.options import OptionInfo, validate_options

# Any: option values

BANDS = ("full", "radio", "telephone")


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectOptions:
    """A chain of effects, applied in the order of the fields; the defaults change nothing."""

    pitch: Annotated[
        float, OptionInfo(-12.0, 12.0, 0.5, "Pitch shift; the length stays", "semitones")
    ] = 0.0
    band: Annotated[
        str,
        OptionInfo(
            choices=BANDS,
            help="Frequencies that are left: telephone 300 to 3400 Hz, radio 150 to 5000 Hz, both "
            "with slight distortion",
        ),
    ] = "full"
    bass: Annotated[float, OptionInfo(-12.0, 12.0, 0.5, "Gain below 200 Hz", "dB")] = 0.0
    presence: Annotated[float, OptionInfo(-12.0, 12.0, 0.5, "Gain around 3 kHz", "dB")] = 0.0
    treble: Annotated[float, OptionInfo(-12.0, 12.0, 0.5, "Gain above 6 kHz", "dB")] = 0.0
    compression: Annotated[
        float, OptionInfo(1.0, 10.0, 0.5, "Ratio of the compressor; 1 = off")
    ] = 1.0
    reverb: Annotated[float, OptionInfo(0.0, 1.0, 0.05, "Share of reverberation")] = 0.0
    reverb_s: Annotated[
        float, OptionInfo(0.1, 5.0, 0.1, "Time in which the reverberation decays by 60 dB", "s")
    ] = 1.0

    def __post_init__(self) -> None:
        validate_options(self)


EFFECT_PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "telephone": {"band": "telephone", "compression": 4.0},
        "radio": {"band": "radio", "presence": 4.0, "compression": 6.0},
        "narrator": {"bass": 3.0, "presence": 2.0, "treble": 1.0, "compression": 3.0},
        "room": {"reverb": 0.15, "reverb_s": 0.4},
        "hall": {"reverb": 0.35, "reverb_s": 2.2},
        "deep": {"pitch": -3.0, "bass": 3.0},
        "high": {"pitch": 4.0, "bass": -2.0},
    }
)
