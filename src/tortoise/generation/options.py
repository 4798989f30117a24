"""What can be turned when TorToiSe speaks. Light: no torch at import time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from core.errors import InvalidValueError
from core.options import OptionInfo, validate_options
from tortoise.checkpoints.layout import CONFIG_FILE, read_json
from tortoise.generation.text_length import TortoiseTextAnalyzer, load_text_analyzer

SAMPLERS = ("p", "ddim", "dpm")
VOCODERS = ("auto", "univnet", "bigvgan", "hifigan", "griffin_lim")
CROP_MODES = ("whole", "original", "chunks", "clip_mean")

# Any: knob values
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "ultra_fast": {"samples": 16, "iterations": 30, "cond_free": False},
        "fast": {"samples": 96, "iterations": 80, "cond_free": True},
        "standard": {"samples": 256, "iterations": 200, "cond_free": True},
        "high_quality": {"samples": 256, "iterations": 400, "cond_free": True},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TortoiseOptions:
    """The knobs of the engine; the defaults are those of the preset Fast."""

    samples: Annotated[int, OptionInfo(1, 4096, 1, "Drafts to choose the best from")] = 96
    iterations: Annotated[
        int,
        OptionInfo(
            2,
            4000,
            1,
            "Steps of the diffusion; more is cleaner, up to what the model is good for",
        ),
    ] = 80
    candidates: Annotated[int, OptionInfo(1, 64, 1, "Takes to return, the best first")] = 1
    seed: Annotated[
        int | None, OptionInfo(0, 2**63 - 1, 1, "Same seed, same take; unset: a new one each time")
    ] = None
    temperature: Annotated[
        float, OptionInfo(0.05, 2.0, 0.05, "How freely drafts are drawn; low is safe and flat")
    ] = 0.8
    top_p: Annotated[
        float,
        OptionInfo(0.05, 1.0, 0.05, "Draw from the likeliest codes that together reach this share"),
    ] = 0.8
    top_k: Annotated[
        int, OptionInfo(0, 8192, 1, "Draw from this many likeliest codes, 0 for all")
    ] = 50
    typical_mass: Annotated[
        float,
        OptionInfo(0.05, 1.0, 0.05, "Draw from the least surprising codes up to this share; 1 off"),
    ] = 1.0
    repetition_penalty: Annotated[
        float, OptionInfo(1.0, 8.0, 0.1, "How much less likely a code becomes once it was used")
    ] = 2.0
    length_penalty: Annotated[
        float,
        OptionInfo(
            -4.0,
            6.0,
            0.1,
            "Above 1 ranks longer drafts higher, below 1 shorter ones: each doubling of length "
            "is worth that many standard deviations of the scores. Drawing is not changed",
        ),
    ] = 1.0
    pause_size: Annotated[
        int, OptionInfo(0, 40, 1, "Codes of silence kept at the end, 1/21.5 s each")
    ] = 8
    diffusion_sampler: Annotated[
        str,
        OptionInfo(
            choices=SAMPLERS, help="p: ancestral, as the original; ddim, dpm: fewer steps do"
        ),
    ] = "ddim"
    diffusion_temperature: Annotated[
        float, OptionInfo(0.0, 1.0, 0.05, "Spread of the noise the diffusion begins with")
    ] = 1.0
    cond_free: Annotated[
        bool,
        OptionInfo(help="Guide the diffusion away from the unconditioned; takes twice the time"),
    ] = True
    cond_free_k: Annotated[float, OptionInfo(0.0, 10.0, 0.1, "How far it is guided away")] = 2.0
    cvvp_weight: Annotated[
        float, OptionInfo(0.0, 1.0, 0.05, "Share of the likeness to the voice in the ranking")
    ] = 0.0
    half_precision: Annotated[
        bool, OptionInfo(help="Draft, rank and denoise in 16 bits: fp16 on CUDA, bf16 elsewhere")
    ] = False
    sample_batch_size: Annotated[
        int, OptionInfo(0, 1024, 1, "Drafts drawn at once, 0 for what fits; changes the time only")
    ] = 0
    low_vram: Annotated[bool, OptionInfo(help="Keep on the device only the network that works")] = (
        False
    )
    vocoder: Annotated[
        str,
        OptionInfo(
            choices=VOCODERS,
            help="What makes sound; hifigan skips the diffusion, griffin_lim needs no network",
        ),
    ] = "auto"
    max_codes: Annotated[
        int, OptionInfo(0, 4096, 1, "Longest draft, 1/21.5 s each; 0 for what the weights allow")
    ] = 0
    voice_crop: Annotated[
        str,
        OptionInfo(
            choices=CROP_MODES,
            help="What is heard of a voice's clips. whole: all of them; original: 6 s and the "
            "first 4.3 s of each; chunks, clip_mean: 6 s, and every full 4.3 s of all or per clip",
        ),
    ] = "whole"
    voice_chunk_s: Annotated[
        float,
        OptionInfo(0.0, 60.0, 0.5, "Longest piece of a clip heard at once, 0: as trained", "s"),
    ] = 0.0
    slim_latents: Annotated[
        bool, OptionInfo(help="Keep no part of the voice that only cvvp_weight needs")
    ] = False

    def __post_init__(self) -> None:
        validate_options(self)
        if self.candidates > self.samples:
            raise InvalidValueError(
                f"candidates is {self.candidates}; it must be at most samples ({self.samples})."
            )
        if 0 < self.voice_chunk_s < 0.5:
            raise InvalidValueError(
                f"voice_chunk_s is {self.voice_chunk_s}; it must be 0 or from 0.5 to 60 s."
            )

    @classmethod
    def presets(cls) -> Mapping[str, Mapping[str, Any]]:
        """The named sets of knobs, from quick to careful."""
        return PRESETS

    @classmethod
    def advised(cls, weights: Path) -> Mapping[str, Any]:
        """The knobs that a bundle wants turned where nobody says otherwise.

        None for a folder that is no bundle: opening it will say what is wrong.
        """
        if not (weights / CONFIG_FILE).is_file():
            return {}
        advice: Mapping[str, Any] = read_json(weights / CONFIG_FILE).get("advice", {})
        return advice

    @classmethod
    def measure(cls, weights: Path) -> TortoiseTextAnalyzer:
        """How a bundle reads texts, without the bundle being opened.

        Raises ValueError for a folder whose vocabulary or config cannot be read.
        """
        return load_text_analyzer(weights)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> TortoiseOptions:
        """The options of a preset, with changes.  Raises ValueError for a name that is none."""
        if name not in PRESETS:
            raise InvalidValueError(f"preset is {name!r}; it must be one of {', '.join(PRESETS)}.")
        return cls(**{**PRESETS[name], **changes})
