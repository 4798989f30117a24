"""The 16 kHz mel of the synthesizer and the vocoder, and its inverse.

Shapes: n samples, f frames, m mel bands, k spectrum bins; the batch axis b is optional.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

from audio.griffin_lim import griffin_lim
from audio.mel import MelSpec, hann_window, mel_filterbank

SYNTHESIZER_MEL = MelSpec(
    sample_rate=16_000,
    n_fft=800,
    hop=200,
    bands=80,
    low_hz=55.0,
    high_hz=7_600.0,
    scale="slaney",
    power=1.0,
)
PREEMPHASIS = 0.97
PEAK = 0.9
MIN_LEVEL_DB = -100.0
REFERENCE_DB = 20.0
MAX_ABS = 4.0  # the mel is in [-4, 4]
AMPLITUDE_FLOOR = 1e-5
POWER = 1.5  # sharpens the magnitudes before Griffin-Lim


def normalize_peak(wave: Tensor) -> Tensor:
    """Scale a wave (n,) to a peak of 0.9; silence stays as it is."""
    peak = wave.abs().max()
    return wave / peak * PEAK if peak > 0 else wave


def preemphasize(wave: Tensor) -> Tensor:
    """Return x[n] - 0.97 x[n-1]; wave: (..., n)."""
    return torch.cat([wave[..., :1], wave[..., 1:] - PREEMPHASIS * wave[..., :-1]], dim=-1)


def deemphasize(wave: Tensor) -> Tensor:
    """Undo `preemphasize`; wave: (..., n)."""
    filtered = lfilter([1.0], [1.0, -PREEMPHASIS], wave.detach().cpu().double().numpy())
    return torch.from_numpy(np.asarray(filtered)).to(wave)


def synthesizer_mel(wave: Tensor) -> Tensor:
    """Return the mel in [-4, 4].

    wave: (n,) or (b, n) at 16 kHz, with its peak at 0.9. Returns (m, f) or (b, m, f) with
    f = 1 + n // 200.
    """
    return normalize_db(mel_db(wave))


def mel_db(wave: Tensor) -> Tensor:
    """Return the mel in dB, see `synthesizer_mel`."""
    spec = SYNTHESIZER_MEL
    spectrum = torch.stft(
        preemphasize(wave.float()),
        spec.n_fft,
        spec.hop,
        window=hann_window(spec.n_fft, wave.device),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    mel = mel_filterbank(spec, wave.device) @ spectrum.abs()
    return 20.0 * mel.clamp(min=AMPLITUDE_FLOOR).log10() - REFERENCE_DB


def normalize_db(decibels: Tensor) -> Tensor:
    """Map dB to [-4, 4]; any shape."""
    scaled = 2.0 * MAX_ABS * (decibels - MIN_LEVEL_DB) / -MIN_LEVEL_DB - MAX_ABS
    return scaled.clamp(-MAX_ABS, MAX_ABS)


def denormalize_db(mel: Tensor) -> Tensor:
    """Undo `normalize_db`; any shape."""
    clipped = mel.clamp(-MAX_ABS, MAX_ABS)
    return (clipped + MAX_ABS) * -MIN_LEVEL_DB / (2.0 * MAX_ABS) + MIN_LEVEL_DB


def mel_to_magnitude(mel: Tensor) -> Tensor:
    """Spread a mel (..., m, f) over the spectrum bins: (..., k, f)."""
    amplitude = 10.0 ** ((denormalize_db(mel) + REFERENCE_DB) / 20.0)
    inverse = torch.linalg.pinv(mel_filterbank(SYNTHESIZER_MEL, mel.device))
    return (inverse @ amplitude).clamp(min=1e-10)


def mel_to_wave(mel: Tensor, generator: torch.Generator) -> Tensor:
    """Invert the mel by Griffin-Lim.

    mel: (b, m, f). generator: on the CPU, of the initial phases. Returns (b, 200 * (f - 1)).
    """
    magnitude = mel_to_magnitude(mel) ** POWER
    angle = torch.rand(magnitude.shape, generator=generator).to(mel) * (2 * torch.pi)
    return deemphasize(griffin_lim(magnitude, angle, SYNTHESIZER_MEL))
