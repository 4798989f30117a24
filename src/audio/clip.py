"""Audio clips in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import soxr
import torch
from torch import Tensor
from torch.nn import functional as F

from audio.ffmpeg import change_tempo, find_ffmpeg
from core.errors import CodedError, InvalidValueError


class ClipError(CodedError, ValueError):
    """A clip cannot be used; the message says why and what to do."""

    code = "bad_clip"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """A mono audio clip.

    wave: (n,) float32 in [-1, 1]. sample_rate: Hz. name: as messages call it.
    """

    wave: Tensor
    sample_rate: int
    name: str = ""

    def __post_init__(self) -> None:
        if self.wave.dim() != 1:
            raise ValueError(f"a clip's wave is (n,), not {tuple(self.wave.shape)}")
        if self.sample_rate <= 0:
            raise ValueError(f"a clip's sample rate is positive, not {self.sample_rate}")

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return self.wave.shape[0] / self.sample_rate

    def resample(self, sample_rate: int) -> Clip:
        """Return the clip at another sample rate.

        Steeper than `audio.mel.resample`, which equals the resampling that published weights were
        trained with.
        """
        if sample_rate == self.sample_rate:
            return self
        samples = self.wave.detach().cpu().numpy()
        wave = torch.from_numpy(soxr.resample(samples, self.sample_rate, sample_rate, "HQ"))
        return replace(self, wave=wave, sample_rate=sample_rate)


def change_pace(wave: Tensor, sample_rate: int, speed: float) -> Tensor:
    """Return the wave `speed` times as fast: (n,) to (round(n / speed),).

    Raises InvalidValueError where ffmpeg is missing.
    """
    if speed == 1.0 or not len(wave):
        return wave
    if find_ffmpeg() is None:
        raise InvalidValueError(
            f"speed is {speed:g}, but this model has no speed of its own and ffmpeg, which "
            "changes it, is not installed. Install ffmpeg, or set speed to 1.",
            code="missing_ffmpeg",
        )
    samples = wave.detach().cpu().numpy().astype("<f4").tobytes()
    played = np.frombuffer(change_tempo(samples, sample_rate, speed), dtype="<f4").copy()
    length = round(len(wave) / speed)
    return F.pad(torch.from_numpy(played[:length]), (0, max(0, length - len(played))))
