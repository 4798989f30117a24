"""Options of TorToiSe synthesis. Light: no torch at import time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from core.errors import InvalidValueError
from core.options import OptionInfo, validate_options
from engines.model_files import CONFIG_FILE, read_json
from text.tokenizer import FULL, PUBLISHED, TEXT_CLEANINGS
from tortoise.generation.text_length import TortoiseTextAnalyzer, load_text_analyzer

SAMPLERS = ("p", "ddim", "dpm")
VOCODERS = ("auto", "univnet", "bigvgan", "hifigan", "istft", "griffin_lim")
PRECISIONS = ("exact", "fast", "float32", "bfloat16", "int8")
CROP_MODES = ("whole", "original", "chunks", "clip_mean")

# Any: option values
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
    """Options of the engine; the defaults are those of the preset Ultra Fast."""

    samples: Annotated[int, OptionInfo(1, 4096, 1, "Candidates to sample; the best are kept")] = 16
    iterations: Annotated[
        int,
        OptionInfo(
            2,
            4000,
            1,
            "Diffusion steps; more is cleaner and slower",
        ),
    ] = 30
    candidates: Annotated[int, OptionInfo(1, 64, 1, "Candidates to return, best first")] = 1
    seed: Annotated[
        int | None,
        OptionInfo(
            0, 2**63 - 1, 1, "Random seed; the same seed gives the same result; unset: random"
        ),
    ] = None
    speed: Annotated[
        float, OptionInfo(0.5, 2.0, 0.05, "Pace of the speech; 1 is natural, 2 twice as fast")
    ] = 1.0
    temperature: Annotated[
        float,
        OptionInfo(
            0.05, 2.0, 0.05, "Sampling temperature; lower is more stable and less expressive"
        ),
    ] = 0.8
    top_p: Annotated[
        float,
        OptionInfo(0.05, 1.0, 0.05, "Top-p (nucleus) sampling: cumulative probability; 1 = off"),
    ] = 0.8
    top_k: Annotated[int, OptionInfo(0, 8192, 1, "Top-k sampling; 0 = off")] = 50
    typical_mass: Annotated[
        float,
        OptionInfo(0.05, 1.0, 0.05, "Typical sampling: probability mass; 1 = off"),
    ] = 1.0
    repetition_penalty: Annotated[
        float, OptionInfo(1.0, 8.0, 0.1, "Penalty for repeated sounds; 1 = off")
    ] = 2.0
    length_penalty: Annotated[
        float,
        OptionInfo(
            -4.0,
            6.0,
            0.1,
            "Favor longer (> 1) or shorter (< 1) candidates in the ranking, by standard "
            "deviations of the score per doubling of the length",
        ),
    ] = 1.0
    pause_size: Annotated[
        int, OptionInfo(0, 40, 1, "Trailing silence, in codes of 47 ms at speed 1")
    ] = 8
    diffusion_sampler: Annotated[
        str,
        OptionInfo(
            choices=SAMPLERS, help="p: ancestral, as in the original; ddim, dpm: need fewer steps"
        ),
    ] = "ddim"
    diffusion_temperature: Annotated[
        float, OptionInfo(0.0, 1.0, 0.05, "Standard deviation of the initial diffusion noise")
    ] = 1.0
    cond_free: Annotated[
        bool,
        OptionInfo(help="Classifier-free guidance of the diffusion (2x slower)"),
    ] = False
    cond_free_k: Annotated[float, OptionInfo(0.0, 10.0, 0.1, "Guidance scale")] = 2.0
    cvvp_weight: Annotated[
        float, OptionInfo(0.0, 1.0, 0.05, "Weight of voice similarity (CVVP) in the ranking")
    ] = 0.0
    half_precision: Annotated[
        bool, OptionInfo(help="Run the models in half precision: fp16 on CUDA, bf16 elsewhere")
    ] = False
    precision: Annotated[
        str,
        OptionInfo(
            choices=PRECISIONS,
            help="exact: a seed gives the same clip as ever; fast: the fastest of the others, as "
            "measured here, which the clip records. float32: other rounding; bfloat16, int8: "
            "fewer bits, so that a seed gives other takes",
        ),
    ] = "exact"
    lora_strength: Annotated[
        float,
        OptionInfo(
            0.0,
            2.0,
            0.05,
            "Strength of the LoRA adapter of the model; 1: as it was trained, 0: the model before "
            "the training",
        ),
    ] = 1.0
    sample_batch_size: Annotated[
        int,
        OptionInfo(0, 1024, 1, "Candidates sampled at once; 0: automatic; changes only the speed"),
    ] = 0
    low_vram: Annotated[bool, OptionInfo(help="Offload idle models to save VRAM")] = False
    vocoder: Annotated[
        str,
        OptionInfo(
            choices=VOCODERS,
            help="Vocoder; hifigan skips the diffusion, griffin_lim needs no model",
        ),
    ] = "auto"
    max_codes: Annotated[
        int,
        OptionInfo(
            0,
            4096,
            1,
            "Maximum length of a candidate, in codes of 47 ms; 0: the limit of the model",
        ),
    ] = 0
    voice_crop: Annotated[
        str,
        OptionInfo(
            choices=CROP_MODES,
            help="Part of the reference clips that is used. whole: all of them; original: 6 s "
            "and the first 4.3 s of each; chunks, clip_mean: 6 s, and every full 4.3 s of "
            "all or per clip",
        ),
    ] = "whole"
    voice_chunk_s: Annotated[
        float,
        OptionInfo(0.0, 60.0, 0.5, "Maximum length of a reference chunk; 0: as trained", "s"),
    ] = 0.0
    text_cleaning: Annotated[
        str,
        OptionInfo(
            choices=TEXT_CLEANINGS,
            help="How published weights get a text. full: numbers, dates, units and markup are "
            "written out as for other models; published: the cleaning of the original alone",
        ),
    ] = FULL
    slim_latents: Annotated[
        bool, OptionInfo(help="Smaller voice cache: omit the part that only cvvp_weight uses")
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
        """The presets, from fast to high quality."""
        return PRESETS

    @classmethod
    def defaults_of_old_clips(cls) -> Mapping[str, Any]:
        """Values of options that older clips do not record, so that they can be reproduced."""
        return {"text_cleaning": PUBLISHED}

    @classmethod
    def advised(cls, weights: Path) -> Mapping[str, Any]:
        """The default options of a model.

        None for a folder that is not a model; opening it raises the error.
        """
        if not (weights / CONFIG_FILE).is_file():
            return {}
        advice: Mapping[str, Any] = read_json(weights / CONFIG_FILE).get("advice", {})
        return advice

    @classmethod
    def measure(cls, weights: Path) -> TortoiseTextAnalyzer:
        """Return the text frontend of a model without opening the model.

        Raises ValueError for a folder whose vocabulary or config cannot be read.
        """
        return load_text_analyzer(weights)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> TortoiseOptions:
        """The options of a preset, with changes.  Raises ValueError for a name that is none."""
        if name not in PRESETS:
            raise InvalidValueError(f"preset is {name!r}; it must be one of {', '.join(PRESETS)}.")
        return cls(**{**PRESETS[name], **changes})
