"""Options of SV2TTS synthesis. Light: no torch at import time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from core.options import OptionInfo, validate_options
from engines.model_files import CONFIG_FILE, read_json
from sv2tts.text_analyzer import Sv2ttsTextAnalyzer
from text.tokenizer import FULL, TEXT_CLEANINGS

VOCODERS = ("auto", "istft", "wavernn", "griffin_lim")

# Any: option values
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "ultra_fast": {"retakes": 0, "vocoder": "griffin_lim"},
        "fast": {"retakes": 2},
        "standard": {"retakes": 4},
        "high_quality": {"retakes": 8},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sv2ttsOptions:
    """Options of the engine; the defaults are those of the preset Fast."""

    candidates: Annotated[int, OptionInfo(1, 16, 1, "Candidates to return, best first")] = 1
    seed: Annotated[
        int | None,
        OptionInfo(
            0, 2**63 - 1, 1, "Random seed; the same seed gives the same result; unset: random"
        ),
    ] = None
    retakes: Annotated[
        int,
        OptionInfo(0, 16, 1, "New attempts where the attention skips, repeats or does not end"),
    ] = 2
    vocoder: Annotated[
        str,
        OptionInfo(choices=VOCODERS, help="Vocoder; auto: the model's own; griffin_lim needs none"),
    ] = "auto"
    vocoder_batched: Annotated[
        bool, OptionInfo(help="WaveRNN: generate overlapping chunks at once, much faster")
    ] = True
    vocoder_target: Annotated[
        int, OptionInfo(1_000, 64_000, 100, "WaveRNN: samples of a chunk")
    ] = 8_000
    vocoder_overlap: Annotated[
        int, OptionInfo(100, 8_000, 50, "WaveRNN: samples of the cross-fade between chunks")
    ] = 800
    max_seconds: Annotated[
        float, OptionInfo(1.0, 60.0, 0.5, "Longest speech of one chunk of text", "s")
    ] = 20.0
    text_cleaning: Annotated[
        str,
        OptionInfo(
            choices=TEXT_CLEANINGS,
            help="full: our reading of numbers first; published: exactly as the original",
        ),
    ] = FULL

    def __post_init__(self) -> None:
        validate_options(self)

    @classmethod
    def presets(cls) -> Mapping[str, Mapping[str, Any]]:
        """The presets, from fast to high quality."""
        return PRESETS

    @classmethod
    def advised(cls, weights: Path) -> Mapping[str, Any]:
        """The default options of a model; {} for a folder that is not a model."""
        if not (weights / CONFIG_FILE).is_file():
            return {}
        advice: Mapping[str, Any] = read_json(weights / CONFIG_FILE).get("advice", {})
        return advice

    @classmethod
    def measure(cls, weights: Path) -> Sv2ttsTextAnalyzer:
        """Return the text frontend of a model without opening the model."""
        return Sv2ttsTextAnalyzer()
