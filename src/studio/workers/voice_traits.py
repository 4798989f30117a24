"""Pitch and brightness of speech, by autocorrelation and the spectrum of voiced frames.

Shapes: n samples, f frames, w samples of a frame.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from audio.clip import Clip

LOW_HZ, HIGH_HZ = 60.0, 400.0
FRAME_S, HOP_S = 0.040, 0.010
MIN_PERIODICITY = 0.5  # of a voiced frame: correlation with itself one period later
NEARLY = 0.85  # of the highest correlation
MIN_LEVEL = 0.1  # of a voiced frame, of the loudest one
MIN_VOICED_FRAMES = 10


class VoicedSpeech(NamedTuple):
    """The median pitch of the voiced frames in Hz, and the centroid of their spectrum in Hz."""

    pitch_hz: float
    centroid_hz: float


def measure_voiced_speech(clip: Clip) -> VoicedSpeech | None:
    """Measure a clip of speech; None for one that has hardly any voiced frame."""
    rate = clip.sample_rate
    width = round(FRAME_S * rate)
    wave = F.pad(clip.wave.float(), (0, max(0, width - len(clip.wave))))
    frames = wave.unfold(0, width, round(HOP_S * rate))  # (f, w)
    frames = (frames - frames.mean(1, keepdim=True)) * torch.hann_window(width)
    levels = frames.square().mean(1).sqrt()
    lags, peaks = _find_periods(frames, rate)
    voiced = (peaks >= MIN_PERIODICITY) & (levels >= MIN_LEVEL * levels.max())
    if int(voiced.sum()) < MIN_VOICED_FRAMES:
        return None
    power = torch.fft.rfft(frames[voiced]).abs().square().mean(0)
    hertz = torch.arange(len(power)) * (rate / width)
    return VoicedSpeech(
        pitch_hz=float(rate / lags[voiced].float().median()),
        centroid_hz=float((power.sqrt() * hertz).sum() / power.sqrt().sum()),
    )


def _find_periods(frames: Tensor, rate: int) -> tuple[Tensor, Tensor]:
    """Return the lag of the period of each frame, and its correlation: (f,), (f,).

    The period is the shortest peak that is nearly the highest; its multiples are as high.
    """
    width = frames.shape[1]
    spectrum = torch.fft.rfft(frames, 2 * width)
    correlation = torch.fft.irfft(spectrum.abs().square())[:, :width]
    window = torch.hann_window(width)
    falling = torch.fft.irfft(torch.fft.rfft(window, 2 * width).abs().square())[:width]
    shortest, longest = round(rate / HIGH_HZ), min(round(rate / LOW_HZ), width - 2)
    scaled = correlation / correlation[:, :1].clamp(min=1e-12) * (falling[0] / falling)
    inner = scaled[:, shortest : longest + 1]
    is_peak = (inner >= scaled[:, shortest - 1 : longest]) & (
        inner >= scaled[:, shortest + 1 : longest + 2]
    )
    highest = (inner * is_peak).amax(1, keepdim=True)
    lags = ((inner >= NEARLY * highest) & is_peak).int().argmax(1)
    return lags + shortest, inner.gather(1, lags[:, None])[:, 0]
