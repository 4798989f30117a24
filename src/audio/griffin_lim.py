"""Invert a mel spectrogram without a trained network.

The mel is spread over the bins of the spectrum (non-negative least squares by multiplicative
updates, Lee and Seung 2001), and consistent phases are found by the fast Griffin-Lim algorithm
(Perraudin, Balazs and Sondergaard 2013). Shapes: b batch, f frames, k bins, n samples.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from audio.mel import MelSpec, hann_window, mel_filterbank

NNLS_ITERATIONS = 40
GRIFFIN_LIM_ITERATIONS = 40
MOMENTUM = 0.99
EPSILON = 1e-8


def mel_to_audio(
    mel: Tensor, spec: MelSpec, generator: torch.Generator, guide: Tensor | None = None
) -> Tensor:
    """Find a wave with this mel.

    mel: (b, bands, f) natural log. generator: on the CPU, of the initial phases. guide: (b, n) a
    wave whose phases are used instead. Returns (b, hop * (f - 1)).
    """
    magnitude = invert_mel_scale(mel, spec)
    if guide is None:
        angle = torch.rand(magnitude.shape, generator=generator).to(mel) * (2 * math.pi)
    else:
        angle = _stft(guide, spec, magnitude.shape[-1]).angle()
    return griffin_lim(magnitude, angle, spec)


def invert_mel_scale(mel: Tensor, spec: MelSpec, iterations: int = NNLS_ITERATIONS) -> Tensor:
    """Spread a natural-log mel (b, bands, f) over spectrum bins: (b, k, f) magnitudes."""
    bank = mel_filterbank(spec, mel.device)  # (bands, k)
    wanted = mel.float().exp()
    target = bank.T @ wanted
    lines = (_invert_filterbank(spec, mel.device) @ wanted).clamp(min=EPSILON)
    for _ in range(iterations):
        lines = lines * target / (bank.T @ (bank @ lines)).clamp(min=EPSILON)
    magnitude: Tensor = lines.clamp(min=0.0).pow(1.0 / spec.power)
    return magnitude


@lru_cache(maxsize=4)
def _invert_filterbank(spec: MelSpec, device: torch.device) -> Tensor:
    """Return the pseudo-inverse of the filters: (k, bands)."""
    with torch.inference_mode(False):  # cached, as the filters
        inverse: Tensor = torch.linalg.pinv(mel_filterbank(spec, device))
        return inverse


def griffin_lim(magnitude: Tensor, angle: Tensor, spec: MelSpec) -> Tensor:
    """Iterate from these phases to consistent ones.

    magnitude, angle: (b, k, f). Returns (b, hop * (f - 1)).
    """
    before = torch.zeros_like(magnitude, dtype=torch.complex64)
    for _ in range(GRIFFIN_LIM_ITERATIONS):
        wave = _istft(torch.polar(magnitude, angle), spec)
        rebuilt = _stft(wave, spec, magnitude.shape[-1])
        angle = (rebuilt + MOMENTUM * (rebuilt - before)).angle()
        before = rebuilt
    return _istft(torch.polar(magnitude, angle), spec)


def _istft(spectrum: Tensor, spec: MelSpec) -> Tensor:
    window = hann_window(spec.n_fft, spectrum.device)
    wave: Tensor = torch.istft(spectrum, spec.n_fft, spec.hop, window=window)
    return wave


def _stft(wave: Tensor, spec: MelSpec, frames: int) -> Tensor:
    window = hann_window(spec.n_fft, wave.device)
    spectrum: Tensor = torch.stft(wave, spec.n_fft, spec.hop, window=window, return_complex=True)
    return spectrum[..., :frames]
