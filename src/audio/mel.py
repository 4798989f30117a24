"""Log-mel front ends that the networks were trained with, and the resampling between them.

Shapes: b batch, n samples, f frames. The batch axis is optional everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torchaudio import functional as audio

MAGNITUDE_FLOOR = 1e-5  # magnitudes below it are silence
LOG_MEL_MIN = math.log(MAGNITUDE_FLOOR)  # what silence looks like in log-mel
LOG_MEL_MAX = (
    2.3143386840820312  # the loudest value of the range that the diffusion network works in
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MelSpec:
    """Parameters of a log-mel spectrogram."""

    sample_rate: int  # Hz
    n_fft: int = 1024  # samples per window, a periodic Hann
    hop: int = 256  # samples per frame
    bands: int
    low_hz: float = 0.0
    high_hz: float
    scale: Literal["htk", "slaney"]
    norm: Literal["slaney"] | None = "slaney"  # triangles of equal area, or of equal height
    power: float  # 1 for magnitudes, 2 for energies
    window: int | None = None  # samples of the Hann window, where shorter than n_fft


GPT_MEL = MelSpec(sample_rate=22_050, bands=80, high_hz=8_000.0, scale="htk", power=2.0)
VOCODER_MEL = MelSpec(sample_rate=24_000, bands=100, high_hz=12_000.0, scale="slaney", power=1.0)


def log_mel(wave: Tensor, spec: MelSpec) -> Tensor:
    """Return the natural log of the wave's mel spectrum, floored at 1e-5.

    wave: (b, n) or (n,) at spec.sample_rate.  Returns (b, bands, f) with f = 1 + n // hop; a wave
    without batch axis counts as a batch of one. Always float32, also under autocast.
    """
    if wave.shape[-1] <= spec.n_fft // 2:
        raise ValueError(
            f"{wave.shape[-1]} samples are too few for a mel spectrum; it needs more than "
            f"{spec.n_fft // 2}. Pad the wave or leave it out."
        )
    return mel_spectrum(wave, spec, "reflect").clamp(min=MAGNITUDE_FLOOR).log()


def mel_spectrum(wave: Tensor, spec: MelSpec, padding: Literal["constant", "reflect"]) -> Tensor:
    """Return the mel spectrum of a wave, without logarithm.

    wave: (b, n) or (n,) at spec.sample_rate.  padding: of its two ends, so that the first frame is
    centred on the first sample. Returns (b, bands, f) with f = 1 + n // hop. Always float32.
    """
    wave = wave.unsqueeze(0) if wave.dim() == 1 else wave
    with torch.autocast(wave.device.type, enabled=False):
        spectrum = torch.stft(
            wave.float(),
            spec.n_fft,
            spec.hop,
            spec.window,
            window=hann_window(spec.window or spec.n_fft, wave.device),
            center=True,
            pad_mode=padding,
            return_complex=True,
        )  # (b, n_fft // 2 + 1, f)
        magnitude = spectrum.abs() if spec.power == 1.0 else spectrum.abs().pow(spec.power)
        return mel_filterbank(spec, wave.device) @ magnitude


def gpt_mel(wave: Tensor, norms: Tensor) -> Tensor:
    """Return the mel for the GPT's conditioning, CVVP and the discrete VAE.

    wave: (b, n) or (n,) at 22.05 kHz. norms: (80,) per-band divisors. Returns (b, 80, f).
    """
    return log_mel(wave, GPT_MEL) / norms.to(wave.device).unsqueeze(-1)


def vocoder_mel(wave: Tensor) -> Tensor:
    """Return the mel between the diffusion network and the vocoder, in natural log.

    wave: (b, n) or (n,) at 24 kHz, clamped to [-1, 1] first. Returns (b, 100, f).
    """
    return log_mel(wave.clamp(-1.0, 1.0), VOCODER_MEL)


def normalize_mel(mel: Tensor) -> Tensor:
    """Map log-mel from [LOWEST, HIGHEST] to [-1, 1]; any shape."""
    return 2.0 * (mel - LOG_MEL_MIN) / (LOG_MEL_MAX - LOG_MEL_MIN) - 1.0


def denormalize_mel(mel: Tensor) -> Tensor:
    """Undo `normalize_mel`; any shape."""
    return (mel + 1.0) / 2.0 * (LOG_MEL_MAX - LOG_MEL_MIN) + LOG_MEL_MIN


def resample(wave: Tensor, source_hz: int, target_hz: int) -> Tensor:
    """Change the sample rate by windowed-sinc interpolation.

    wave: (..., n).  Returns (..., ceil(n * target_hz / source_hz)).
    """
    resampled: Tensor = audio.resample(wave, source_hz, target_hz)
    return resampled


@lru_cache(maxsize=16)
def mel_filterbank(spec: MelSpec, device: torch.device) -> Tensor:
    """Return the triangular filters: (bands, 1 + n_fft / 2)."""
    with torch.inference_mode(False):  # cached: training must be able to use it afterwards
        bank: Tensor = audio.melscale_fbanks(
            n_freqs=spec.n_fft // 2 + 1,
            f_min=spec.low_hz,
            f_max=spec.high_hz,
            n_mels=spec.bands,
            sample_rate=spec.sample_rate,
            norm=spec.norm,
            mel_scale=spec.scale,
        )
        return bank.T.contiguous().to(device)


@lru_cache(maxsize=16)
def hann_window(length: int, device: torch.device) -> Tensor:
    """Return the periodic Hann window: (length,)."""
    with torch.inference_mode(False):  # see filterbank
        return torch.hann_window(length, device=device)
