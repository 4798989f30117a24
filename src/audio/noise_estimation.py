"""Estimate the background noise of a recording and its signal-to-noise ratio.

Shapes: k frequencies, f frames, n samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from audio.clip import Clip
from audio.mel import hann_window

WINDOW_S = 0.0427  # 1024 samples at 24 kHz
NOISE_QUANTILE = 0.10  # of the frames: the quietest ones at each frequency are background
NOISE_SMOOTHING = (9, 5)  # frequencies and frames averaged before the quietest are looked for
NOISE_BIAS_CORRECTION = (
    1.25  # the quietest tenth of averaged noise is this much below its mean; measured
)
DIGITAL_SILENCE_POWER = 1e-13  # power of a frame that holds digital silence
SPEECH_POWER_RATIO = 10**-2.5  # frames within 25 dB of the loudest are spoken


@dataclass(frozen=True, slots=True, kw_only=True)
class Stft:
    """Short-time Fourier transform and its inverse."""

    n_fft: int

    @classmethod
    def for_sample_rate(cls, sample_rate: int) -> Stft:
        """Choose the window nearest to WINDOW_S that is a power of two."""
        return cls(n_fft=2 ** round(math.log2(WINDOW_S * sample_rate)))

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return self.n_fft // 4

    def spectrum(self, wave: Tensor) -> Tensor:
        """wave: (n,).  Returns complex (k, f)."""
        padded = functional.pad(wave, (0, max(0, self.n_fft - wave.shape[0])))
        window = hann_window(self.n_fft, wave.device)
        return torch.stft(padded, self.n_fft, self.hop, window=window, return_complex=True)

    def wave(self, spectrum: Tensor, samples: int) -> Tensor:
        """spectrum: complex (k, f).  Returns (samples,)."""
        window = hann_window(self.n_fft, spectrum.device)
        back = torch.istft(spectrum, self.n_fft, self.hop, window=window)
        return functional.pad(back, (0, max(0, samples - back.shape[0])))[:samples]

    def power(self, wave: Tensor) -> Tensor:
        """Mean square per frequency: (n,) -> (k, f); a frame's sum is the wave's mean square."""
        scale = 2 / (self.n_fft * hann_window(self.n_fft, wave.device).square().sum())
        return self.spectrum(wave).abs().square() * scale


def estimate_noise_spectrum(power: Tensor) -> Tensor:
    """Return the mean power of the background at each frequency: (k, f) -> (k,).

    Taken where each frequency is quiet, so no pause in all of them is needed. Frames of digital
    silence, which no microphone makes, are left out.
    """
    audible = power[:, power.sum(0) > DIGITAL_SILENCE_POWER]
    if audible.shape[1] < NOISE_SMOOTHING[1]:
        return torch.zeros(power.shape[0])
    pads = (
        NOISE_SMOOTHING[1] // 2,
        NOISE_SMOOTHING[1] // 2,
        NOISE_SMOOTHING[0] // 2,
        NOISE_SMOOTHING[0] // 2,
    )
    framed = functional.pad(audible[None, None], pads, mode="replicate")
    even = functional.avg_pool2d(framed, NOISE_SMOOTHING, stride=1)[0, 0]  # (k, f)
    return even.quantile(NOISE_QUANTILE, dim=1) * NOISE_BIAS_CORRECTION


def estimate_snr_db(power: Tensor) -> float:
    """Return the signal-to-noise ratio of the speech in dB: (k, f) -> 0 to 80."""
    noise = float(estimate_noise_spectrum(power).sum())
    frames = power.sum(0)  # (f,)
    loudest = float(frames.quantile(0.95))
    spoken = float(frames[frames >= loudest * SPEECH_POWER_RATIO].mean())
    above = max(spoken - noise, 1e-12)
    return min(80.0, max(0.0, 10 * math.log10(above / max(noise, above * 1e-8))))


def compute_power_spectrum(clip: Clip) -> Tensor:
    """Return the power of a clip at each frequency: (k, f)."""
    return Stft.for_sample_rate(clip.sample_rate).power(clip.wave.detach().cpu().float())
