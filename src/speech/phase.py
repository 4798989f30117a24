"""Sound from a mel spectrogram without a trained network.

The mel is spread over the spectrum's lines (non-negative least squares by multiplicative updates,
Lee and Seung 2001), and phases that fit it are searched for by the fast form of Griffin and Lim's
method (Perraudin, Balazs and Sondergaard 2013).
Shapes: b batch, f frames, k spectrum lines, n samples.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from speech.mel import MelSpec, filterbank, hann

SPREADING_ROUNDS = 40
PHASE_ROUNDS = 40
MOMENTUM = 0.99
LEAST = 1e-8


def wave_of_mel(
    mel: Tensor, spec: MelSpec, generator: torch.Generator, guide: Tensor | None = None
) -> Tensor:
    """Find a wave with this mel.

    mel: (b, bands, f) natural log;  generator: on the CPU, of the phases to begin with;
    guide: (b, n) a wave whose phases to begin with instead.  Returns (b, hop * (f - 1)).
    """
    magnitude = spread(mel, spec)
    if guide is None:
        angle = torch.rand(magnitude.shape, generator=generator).to(mel) * (2 * math.pi)
    else:
        angle = _spectrum(guide, spec, magnitude.shape[-1]).angle()
    return search_phase(magnitude, angle, spec)


def spread(mel: Tensor, spec: MelSpec) -> Tensor:
    """Spread a natural-log mel (b, bands, f) over spectrum lines: (b, k, f) magnitudes."""
    bank = filterbank(spec, mel.device)  # (bands, k)
    wanted = mel.float().exp()
    covered = bank.T @ bank
    target = bank.T @ wanted
    lines = (torch.linalg.pinv(bank) @ wanted).clamp(min=LEAST)
    for _ in range(SPREADING_ROUNDS):
        lines = lines * target / (covered @ lines).clamp(min=LEAST)
    magnitude: Tensor = lines.clamp(min=0.0).pow(1.0 / spec.power)
    return magnitude


def search_phase(magnitude: Tensor, angle: Tensor, spec: MelSpec) -> Tensor:
    """Walk from these phases to ones that a real wave can have.

    magnitude, angle: (b, k, f).  Returns (b, hop * (f - 1)).
    """
    before = torch.zeros_like(magnitude, dtype=torch.complex64)
    for _ in range(PHASE_ROUNDS):
        wave = _wave(torch.polar(magnitude, angle), spec)
        heard = _spectrum(wave, spec, magnitude.shape[-1])
        angle = (heard + MOMENTUM * (heard - before)).angle()
        before = heard
    return _wave(torch.polar(magnitude, angle), spec)


def _wave(spectrum: Tensor, spec: MelSpec) -> Tensor:
    window = hann(spec.n_fft, spectrum.device)
    wave: Tensor = torch.istft(spectrum, spec.n_fft, spec.hop, window=window)
    return wave


def _spectrum(wave: Tensor, spec: MelSpec, frames: int) -> Tensor:
    window = hann(spec.n_fft, wave.device)
    heard: Tensor = torch.stft(wave, spec.n_fft, spec.hop, window=window, return_complex=True)
    return heard[..., :frames]
