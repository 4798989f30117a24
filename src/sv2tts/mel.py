"""The mels of synthesizers and vocoders, and their inverses, all in [-4, 4].

`published` is the 16 kHz mel of Real-Time Voice Cloning, `vocoder_24k` the 24 kHz mel that the
iSTFT vocoder reads.

Shapes: n samples, f frames, m mel bands, k spectrum bins; the batch axis b is optional.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

from audio.griffin_lim import griffin_lim, mel_to_audio
from audio.mel import (
    VOCODER_MEL,
    MelSpec,
    denormalize_mel,
    hann_window,
    mel_filterbank,
    normalize_mel,
    vocoder_mel,
)

MelKind = Literal["published", "vocoder_24k"]

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
PEEWEE_MEL = MelSpec(
    sample_rate=22_050,
    n_fft=2_048,
    hop=275,
    window=1_102,
    bands=80,
    high_hz=11_025.0,
    scale="htk",
    norm=None,
    power=2.0,
)
"""Of Pee Wee's Tacotron 2, without logarithm."""
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


def compute_vocoder_mel(wave: Tensor) -> Tensor:
    """Return the mel of the iSTFT vocoder, scaled to [-4, 4].

    wave: (n,) at 24 kHz. Returns (m, f) with f = 1 + n // 256.
    """
    return (normalize_mel(vocoder_mel(wave))[0] * MAX_ABS).clamp(-MAX_ABS, MAX_ABS)


def to_vocoder_mel(mel: Tensor) -> Tensor:
    """Return the natural-log mel that the iSTFT vocoder reads; any shape."""
    return denormalize_mel(mel.clamp(-MAX_ABS, MAX_ABS) / MAX_ABS)


def vocoder_mel_to_wave(mel: Tensor, generator: torch.Generator) -> Tensor:
    """Invert a mel of `compute_vocoder_mel` by Griffin-Lim: (b, m, f) to (b, 256 * (f - 1))."""
    return mel_to_audio(to_vocoder_mel(mel), VOCODER_MEL, generator)


@dataclass(frozen=True, slots=True, kw_only=True)
class MelFormat:
    """A kind of mel. compute: a wave (n,) to (m, f); invert: a mel (b, m, f) to waves (b, n)."""

    spec: MelSpec
    compute: Callable[[Tensor], Tensor]
    invert: Callable[[Tensor, torch.Generator], Tensor]


MEL_FORMATS: Mapping[MelKind, MelFormat] = MappingProxyType(
    {
        "published": MelFormat(spec=SYNTHESIZER_MEL, compute=synthesizer_mel, invert=mel_to_wave),
        "vocoder_24k": MelFormat(
            spec=VOCODER_MEL, compute=compute_vocoder_mel, invert=vocoder_mel_to_wave
        ),
    }
)
