"""The multi-resolution STFT loss (arXiv:1910.11480)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from audio.mel import hann_window


class StftResolution(NamedTuple):
    """One short-time Fourier transform; all in samples."""

    n_fft: int
    hop: int
    window: int


STFT_RESOLUTIONS = (
    StftResolution(1024, 120, 600),
    StftResolution(2048, 240, 1200),
    StftResolution(512, 50, 240),
)
MIN_POWER = 1e-7  # below it a magnitude is silence, and its logarithm stays finite


class StftLosses(NamedTuple):
    """Both terms averaged over the resolutions; UnivNet adds 2.5 times their sum."""

    spectral_convergence: Tensor  # (): ||Y - X|| / ||Y|| over the whole batch
    log_magnitude: Tensor  # (): mean |log Y - log X|

    def total(self) -> Tensor:
        """The sum of both: ()."""
        return self.spectral_convergence + self.log_magnitude


def compute_stft_loss(
    fake: Tensor, real: Tensor, resolutions: Sequence[StftResolution] = STFT_RESOLUTIONS
) -> StftLosses:
    """Compare waves (b, n); the gradient flows into `fake`."""
    convergences, magnitudes = [], []
    for resolution in resolutions:
        x, y = compute_magnitude(fake, resolution), compute_magnitude(real, resolution)
        convergences.append(torch.linalg.norm(y - x) / torch.linalg.norm(y))
        magnitudes.append((y.log() - x.log()).abs().mean())
    return StftLosses(torch.stack(convergences).mean(), torch.stack(magnitudes).mean())


def compute_magnitude(wave: Tensor, resolution: StftResolution) -> Tensor:
    """wave: (b, n) -> (b, n_fft // 2 + 1, frames), at least sqrt(LEAST_POWER). Always float32."""
    n_fft, hop, window = resolution
    with torch.autocast(wave.device.type, enabled=False):
        spectrum = torch.stft(
            wave.float(), n_fft, hop, window, hann_window(window, wave.device), return_complex=True
        )
        parts = torch.view_as_real(spectrum)
        return parts.square().sum(-1).clamp(min=MIN_POWER).sqrt()
