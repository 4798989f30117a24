"""Change the pace of speech without changing its pitch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from audio.ffmpeg import change_tempo, find_ffmpeg
from core.errors import InvalidValueError


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
