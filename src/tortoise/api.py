"""TorToiSe as a Python library, with the names of the original: `TextToSpeech.tts_with_preset`.

The names and meanings here are stable: they change only with a new major version.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor

from audio.clip import Clip
from audio.io import read_clip
from core.paths import get_project_paths
from core.progress import ProgressReporter
from core.serialization import suggest_similar
from engines.device import pick_device
from engines.speaker_latents import SpeakerLatents
from tortoise.engine import TortoiseEngine
from tortoise.generation.options import TortoiseOptions

VOICE_SAMPLE_RATE = 22_050
STARTER_MODEL = "starter"
PUBLISHED_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "num_autoregressive_samples": "samples",
        "diffusion_iterations": "iterations",
        "cvvp_amount": "cvvp_weight",
        "max_mel_tokens": "max_codes",
        "use_deterministic_seed": "seed",
        "k": "candidates",
    }
)
"""Option of the original -> ours; those with one name in both are not listed."""


class TextToSpeech:
    """A loaded model. models_dir: its folder, None for the starter of this project; device: "auto",
    "cpu", "cuda", …

    Raises ValueError for a folder without a complete model, and a device that is not here.
    """

    def __init__(self, models_dir: str | Path | None = None, device: str = "auto"):
        folder = Path(models_dir) if models_dir else get_project_paths().model(STARTER_MODEL)
        self.engine = TortoiseEngine.load(folder, pick_device(device))
        self.advice = TortoiseOptions.advised(folder)

    @property
    def sample_rate(self) -> int:
        """The sample rate of the waves in Hz."""
        return self.engine.sample_rate

    def get_conditioning_latents(
        self, voice_samples: Iterable[Tensor | str | Path]
    ) -> SpeakerLatents:
        """Compute the latents of a voice from files, or waves (n,) or (1, n) at 22,050 Hz."""
        clips = [_to_clip(sample) for sample in voice_samples]
        if not clips:
            raise ValueError("voice_samples is empty; give at least one recording of the voice.")
        return self.engine.condition(clips, ProgressReporter())

    def get_random_conditioning_latents(self, seed: int = 0) -> SpeakerLatents:
        """Draw the latents of a voice that does not exist; the same seed gives the same one."""
        return self.engine.sample_random_speaker(seed, ProgressReporter())

    def tts_with_preset(
        self, text: str, preset: str = "fast", **options: Any
    ) -> Tensor | list[Tensor]:
        """Speak as `tts` does, with the options of a preset: ultra_fast, fast, standard, …"""
        TortoiseOptions.preset(preset)  # raises for an unknown name
        return self.tts(text, **{**TortoiseOptions.presets()[preset], **options})

    def tts(
        self,
        text: str,
        voice_samples: Iterable[Tensor | str | Path] | None = None,
        conditioning_latents: SpeakerLatents | None = None,
        **options: Any,
    ) -> Tensor | list[Tensor]:
        """Speak a text in the voice of the samples or latents, or else in a random voice.

        options: of `TortoiseOptions`, by its names or those of the original; k: how many waves.
        Returns (1, 1, n) at `sample_rate`, a list of them for k above 1. Raises ValueError for a
        text that is too long for one piece, and an option that is unknown or out of range.
        """
        given = {PUBLISHED_NAMES.get(name, name): value for name, value in options.items()}
        _check_names(given)
        chosen = TortoiseOptions(**{**self.advice, **given})
        if conditioning_latents is None and voice_samples is not None:
            conditioning_latents = self.get_conditioning_latents(voice_samples)
        voice = conditioning_latents or self.get_random_conditioning_latents(chosen.seed or 0)
        output = self.engine.synthesize(text, voice, chosen, ProgressReporter())
        waves = [candidate.clip.wave[None, None] for candidate in output.candidates]
        return waves if chosen.candidates > 1 else waves[0]


def _to_clip(sample: Tensor | str | Path) -> Clip:
    if isinstance(sample, Tensor):
        return Clip(wave=sample.flatten().float(), sample_rate=VOICE_SAMPLE_RATE)
    return read_clip(Path(sample))


def _check_names(options: Mapping[str, Any]) -> None:
    known = [field.name for field in dataclasses.fields(TortoiseOptions)]
    for name in options:
        if name not in known:
            hint = suggest_similar(name, known) or f" Available: {', '.join(known)}."
            raise ValueError(f"There is no option {name!r}.{hint}")
