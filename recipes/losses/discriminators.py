"""The discriminators of a vocoder, as in UnivNet (arXiv:2106.07889).

Multi-period discriminators see the wave folded by a period (arXiv:2010.05646), multi-resolution
discriminators a magnitude spectrogram. Parameters are named as in the published `model_d`.
Shapes: b batch, n samples, p scores per item.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recipes.losses.stft_loss import STFT_RESOLUTIONS, StftResolution
from tortoise.modules.weight_norm import weight_norm

COARSE_RESOLUTIONS = (
    StftResolution(1024, 256, 1024),
    StftResolution(512, 128, 512),
)  # a quarter of the work


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscriminatorConfig:
    """Sizes of the discriminators; the defaults are the published ones."""

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    period_channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    resolutions: tuple[tuple[int, int, int], ...] = STFT_RESOLUTIONS
    resolution_channels: int = 32
    leaky_slope: float = 0.2

    @classmethod
    def released(cls) -> DiscriminatorConfig:
        """Return the published sizes."""
        return cls()

    @classmethod
    def starter(cls) -> DiscriminatorConfig:
        """Return sizes to train on one CPU core."""
        return cls(resolutions=COARSE_RESOLUTIONS, period_channels=(8, 16, 32, 64, 64),
                   resolution_channels=8)  # fmt: skip

    @classmethod
    def tiny(cls) -> DiscriminatorConfig:
        """Return sizes for tests."""
        return cls(periods=(2, 3), period_channels=(2, 4), resolutions=((64, 16, 32),),
                   resolution_channels=2)  # fmt: skip


class Discriminator(nn.Module):
    """All discriminators together."""

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        self.MRD = MultiResolutionDiscriminator(config)
        self.MPD = MultiPeriodDiscriminator(config)

    def forward(self, wave: Tensor) -> list[Tensor]:
        """Return (b, p) scores of each discriminator for a wave (b, n); 1 is real, 0 generated."""
        return [*self.MRD(wave), *self.MPD(wave)]


class MultiResolutionDiscriminator(nn.Module):
    """One discriminator per STFT resolution."""

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        self.discriminators = nn.ModuleList(
            ResolutionDiscriminator(
                StftResolution(*resolution), config.resolution_channels, config.leaky_slope
            )
            for resolution in config.resolutions
        )

    def forward(self, wave: Tensor) -> list[Tensor]:
        return [discriminator(wave) for discriminator in self.discriminators]


class MultiPeriodDiscriminator(nn.Module):
    """One discriminator per period."""

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        self.discriminators = nn.ModuleList(
            PeriodDiscriminator(period, config.period_channels, config.leaky_slope)
            for period in config.periods
        )

    def forward(self, wave: Tensor) -> list[Tensor]:
        return [discriminator(wave) for discriminator in self.discriminators]


class ResolutionDiscriminator(nn.Module):
    """Discriminator of the magnitudes of one STFT."""

    def __init__(self, resolution: StftResolution, channels: int = 32, leaky_slope: float = 0.2):
        super().__init__()
        self.resolution, self.leaky_slope = resolution, leaky_slope
        wide: tuple[int, int] = (3, 9)
        self.convs = nn.ModuleList([
            _conv2d(1, channels, wide, padding=(1, 4)),
            *(_conv2d(channels, channels, wide, stride=(1, 2), padding=(1, 4)) for _ in range(3)),
            _conv2d(channels, channels, (3, 3), padding=(1, 1)),
        ])  # fmt: skip
        self.conv_post = _conv2d(channels, 1, (3, 3), padding=(1, 1))

    def forward(self, wave: Tensor) -> Tensor:
        """wave: (b, n) -> scores (b, p)."""
        x = _magnitude_spectrogram(wave, self.resolution).unsqueeze(1)
        for conv in self.convs:
            x = F.leaky_relu(conv(x), self.leaky_slope)
        return cast(Tensor, self.conv_post(x)).flatten(1)


def _conv2d(
    inputs: int,
    outputs: int,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
) -> nn.Conv2d:
    return weight_norm(nn.Conv2d(inputs, outputs, kernel, stride, padding))


def _magnitude_spectrogram(wave: Tensor, resolution: StftResolution) -> Tensor:
    """Return the magnitudes (b, bins, frames) with a rectangular window, as published."""
    n_fft, hop, window = resolution
    side = (n_fft - hop) // 2
    with torch.autocast(wave.device.type, enabled=False):
        padded = F.pad(wave.float(), (side, side), mode="reflect")
        flat = torch.ones(window, device=wave.device)
        spectrum = torch.stft(padded, n_fft, hop, window, flat, center=False, return_complex=True)
        return torch.linalg.vector_norm(torch.view_as_real(spectrum), dim=-1)


class PeriodDiscriminator(nn.Module):
    """Discriminator of a wave folded by one period."""

    def __init__(self, period: int, channels: tuple[int, ...], leaky_slope: float = 0.2):
        super().__init__()
        self.period, self.leaky_slope = period, leaky_slope
        sizes = list(pairwise((1, *channels)))
        self.convs = nn.ModuleList(
            _conv2d(inputs, outputs, (5, 1), stride=(3 if i < len(sizes) - 1 else 1, 1),
                   padding=(2, 0))
            for i, (inputs, outputs) in enumerate(sizes)
        )  # fmt: skip
        self.conv_post = _conv2d(channels[-1], 1, (3, 1), padding=(1, 0))

    def forward(self, wave: Tensor) -> Tensor:
        """wave: (b, n) -> scores (b, p)."""
        missing = -wave.shape[-1] % self.period
        x = F.pad(wave.unsqueeze(1), (0, missing), mode="reflect")
        x = x.unflatten(2, (-1, self.period))  # (b, 1, n / period, period)
        for conv in self.convs:
            x = F.leaky_relu(conv(x), self.leaky_slope)
        return cast(Tensor, self.conv_post(x)).flatten(1)


def generator_loss(fake_scores: list[Tensor]) -> Tensor:
    """Return the LSGAN loss of the generator, a mean over the discriminators: ()."""
    return torch.stack([(1 - scores.float()).square().mean() for scores in fake_scores]).mean()


def discriminator_loss(fake_scores: list[Tensor], real_scores: list[Tensor]) -> Tensor:
    """Return the LSGAN loss of the discriminators, a mean over them: ()."""
    losses = [
        fake.float().square().mean() + (1 - real.float()).square().mean()
        for fake, real in zip(fake_scores, real_scores, strict=True)
    ]
    return torch.stack(losses).mean()
