"""The speech of the package hibari-tts (Apache-2.0): one natural voice, at any pace, on the CPU."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch

from audio.clip import Clip
from core.errors import InvalidValueError, UnrecoverableError

PACKAGE = "hibari"
SAMPLE_RATE = 24_000  # Hz


def speak(text: str, speed: float, seed: int) -> Clip:
    """Speak a text.

    speed: 0.5 to 2; it changes the durations, not the pitch. Raises UnrecoverableError where the
    package is missing, and ValueError for a text without words.
    """
    wave = torch.from_numpy(_load_voice()(text, speed=speed, seed=seed)).float()
    if not len(wave):
        raise InvalidValueError(f"There is nothing to speak in {text!r}.", code="unspeakable")
    return Clip(wave=wave.clamp(-1.0, 1.0), sample_rate=SAMPLE_RATE)


def check_installed() -> None:
    """Raise UnrecoverableError where the package is missing."""
    if find_spec(PACKAGE) is None:
        raise UnrecoverableError(
            "The engine quick needs the package hibari-tts, which is not installed. Install it "
            "with: pip install -r requirements-extra.txt",
            code="missing_package",
        )


@lru_cache(maxsize=1)
def _load_voice() -> Any:  # Any: the package has no types
    check_installed()
    return import_module(PACKAGE).Hibari()
