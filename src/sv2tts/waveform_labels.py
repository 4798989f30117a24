"""Mu-law, sample labels and the chunks that WaveRNN generates side by side.

Shapes: n samples, d features, c chunks. Sources: SV2TTS as published (mu = number of labels).
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def encode_mu_law(wave: Tensor, levels: int) -> Tensor:
    """Return labels 0 to levels - 1 of a wave in [-1, 1]; any shape, the wave's dtype."""
    mu = levels - 1
    companded = wave.sign() * torch.log1p(mu * wave.abs()) / math.log(levels)
    return torch.floor((companded + 1.0) / 2.0 * mu + 0.5)


def decode_mu_law(companded: Tensor, levels: int) -> Tensor:
    """Return the wave of companded values in [-1, 1]; any shape."""
    mu = levels - 1
    return companded.sign() / mu * (float(levels) ** companded.abs() - 1.0)


def float_to_label(wave: Tensor, bits: int) -> Tensor:
    """Return linear labels of a wave in [-1, 1]; any shape."""
    return ((wave + 1.0) * (2**bits - 1) / 2.0).clamp(0, 2**bits - 1)


def label_to_float(label: Tensor, bits: int) -> Tensor:
    """Map labels to [-1, 1]; any shape."""
    return 2.0 * label / (2**bits - 1) - 1.0


def count_chunks(length: int, target: int, overlap: int) -> int:
    """Return how many chunks `fold` makes."""
    whole, rest = divmod(length - overlap, target + overlap)
    return whole + (rest > 0)


def fold(x: Tensor, target: int, overlap: int) -> Tensor:
    """Cut conditioning into overlapping chunks; the last one is padded with zeros.

    x: (1, n, d). Returns (c, target + 2 * overlap, d).
    """
    chunks = count_chunks(x.shape[1], target, overlap)
    needed = chunks * (target + overlap) + overlap
    padded = F.pad(x, (0, 0, 0, max(0, needed - x.shape[1])))
    return torch.cat(
        [
            padded[:, start : start + target + 2 * overlap]
            for start in range(0, chunks * (target + overlap), target + overlap)
        ]
    )


def unfold(chunks: np.ndarray, overlap: int) -> np.ndarray:
    """Cross-fade generated chunks into one wave.

    chunks: (c, target + 2 * overlap). Returns (c * (target + overlap) + overlap,).
    """
    count, length = chunks.shape
    silence = overlap // 2
    ramp = np.linspace(-1.0, 1.0, overlap - silence, dtype=np.float64)
    fade_in = np.concatenate([np.zeros(silence), np.sqrt(0.5 * (1.0 + ramp))])
    fade_out = np.concatenate([np.sqrt(0.5 * (1.0 - ramp)), np.zeros(silence)])
    window = np.ones(length)
    window[:overlap] *= fade_in
    window[length - overlap :] *= fade_out
    step = length - overlap
    wave = np.zeros(count * step + overlap)
    for number, chunk in enumerate(chunks):
        wave[number * step : number * step + length] += chunk * window
    return wave
