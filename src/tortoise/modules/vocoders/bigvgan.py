"""BigVGAN: a log mel in, a wave out (arXiv:2206.04658).

HiFi-GAN's upsampling stack with periodic activations; each activation runs at twice the rate,
between two low-pass filters, so that the tones it makes do not fold back. Shapes: b batch,
c channels, f mel frames, n samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tortoise.modules.vocoders.upsampling import (
    ResidualConvolutions,
    UpsamplingConfig,
    average_blocks,
)
from tortoise.modules.weight_norm import conv1d, upsample1d

FILTER_TAPS = 12
OVERSAMPLING = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BigVganConfig(UpsamplingConfig):
    """The architecture; the defaults are bigvgan_24khz_100band."""

    mel_bands: int = 100
    channels: int = 1536
    upsample_rates: tuple[int, ...] = (4, 4, 2, 2, 2, 2)
    upsample_kernels: tuple[int, ...] = (8, 8, 4, 4, 4, 4)

    @classmethod
    def released_base(cls) -> BigVganConfig:
        """The smaller published model, bigvgan_base_24khz_100band."""
        return cls(channels=512, upsample_rates=(8, 8, 2, 2), upsample_kernels=(16, 16, 4, 4))

    @classmethod
    def tiny(cls) -> BigVganConfig:
        """The size that tests run on."""
        return cls(mel_bands=10, channels=8, upsample_rates=(4, 2), upsample_kernels=(8, 4),
                   block_kernels=(3,), block_dilations=((1, 3),))  # fmt: skip


class BigVgan(nn.Module):
    """The generator; parameters are named as in the published `generator`."""

    def __init__(self, config: BigVganConfig):
        super().__init__()
        self.config = config
        self.conv_pre = conv1d(config.mel_bands, config.channels, 7)
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        width = config.channels
        for rate, kernel in zip(config.upsample_rates, config.upsample_kernels, strict=True):
            self.ups.append(nn.ModuleList([upsample1d(width, width // 2, kernel, rate)]))
            width //= 2
            sizes = zip(config.block_kernels, config.block_dilations, strict=True)
            self.resblocks.extend(AmpBlock(width, taps, spread) for taps, spread in sizes)
        self.activation_post = AntiAliasedActivation(width)
        self.conv_post = conv1d(width, 1, 7)

    def forward(self, mel: Tensor) -> Tensor:
        """mel: (b, bands, f), natural log -> wave (b, 1, hop * f) in (-1, 1)."""
        x = self.conv_pre(mel)
        per_level = len(self.config.block_kernels)
        for level, up in enumerate(self.ups):
            x = cast(nn.ModuleList, up)[0](x)
            x = average_blocks(x, self.resblocks, level, per_level)
        return cast(Tensor, self.conv_post(self.activation_post(x)).tanh())


class AmpBlock(ResidualConvolutions):
    """Residual pairs of convolutions, a periodic activation before each."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]):
        super().__init__(channels, kernel, dilations)
        self.activations = nn.ModuleList(
            AntiAliasedActivation(channels) for _ in range(2 * len(dilations))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, n) -> (b, c, n)."""
        acts = zip(self.activations[::2], self.activations[1::2], strict=True)
        for (act1, act2), conv1, conv2 in zip(acts, self.convs1, self.convs2, strict=True):
            x = x + conv2(act2(conv1(act1(x))))
        return x


class AntiAliasedActivation(nn.Module):
    """A periodic activation at twice the rate, between two low-pass filters."""

    def __init__(self, channels: int):
        super().__init__()
        self.upsample = Upsample()
        self.act = SnakeBeta(channels)
        self.downsample = Downsample()

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, n) -> (b, c, n)."""
        return cast(Tensor, self.downsample(self.act(self.upsample(x))))


class SnakeBeta(nn.Module):
    """x + sin²(αx) / β, with α and β stored as logarithms, one of each per channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, n) -> (b, c, n)."""
        alpha, beta = self.alpha.exp().unsqueeze(-1), self.beta.exp().unsqueeze(-1)
        return x + (alpha * x).sin().square() / (beta + 1e-9)


class Upsample(nn.Module):
    """Twice the rate, by a windowed sinc."""

    filter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", make_kaiser_sinc_filter(OVERSAMPLING, FILTER_TAPS))

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, n) -> (b, c, 2 * n)."""
        channels, edge = x.shape[1], FILTER_TAPS // OVERSAMPLING - 1
        x = F.pad(x, (edge, edge), mode="replicate")
        taps = self.filter.expand(channels, -1, -1)
        y = OVERSAMPLING * F.conv_transpose1d(x, taps, stride=OVERSAMPLING, groups=channels)
        trim = edge * OVERSAMPLING + (FILTER_TAPS - OVERSAMPLING) // 2
        return y[..., trim:-trim]


class Downsample(nn.Module):
    """Half the rate, after a windowed sinc."""

    def __init__(self) -> None:
        super().__init__()
        self.lowpass = LowPass()

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, 2 * n) -> (b, c, n)."""
        return cast(Tensor, self.lowpass(x))


class LowPass(nn.Module):
    """Keeps the lower half of the spectrum, and every second sample."""

    filter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", make_kaiser_sinc_filter(OVERSAMPLING, FILTER_TAPS))

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, 2 * n) -> (b, c, n)."""
        channels = x.shape[1]
        x = F.pad(x, (FILTER_TAPS // 2 - 1, FILTER_TAPS // 2), mode="replicate")
        taps = self.filter.expand(channels, -1, -1)
        return F.conv1d(x, taps, stride=OVERSAMPLING, groups=channels)


def make_kaiser_sinc_filter(ratio: int, taps: int) -> Tensor:
    """A Kaiser-windowed sinc that passes 1/ratio of the spectrum, for an even number of taps.

    Returns (1, 1, taps), summing to one.
    """
    cutoff, transition = 0.5 / ratio, 4 * 0.6 / ratio
    attenuation = 2.285 * (taps // 2 - 1) * math.pi * transition + 7.95  # dB, Kaiser's estimate
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    else:
        beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    window = torch.kaiser_window(taps, beta=beta, periodic=False)
    time = torch.arange(taps) - taps / 2 + 0.5
    sinc = window * torch.sinc(2 * cutoff * time)
    return (sinc / sinc.sum()).view(1, 1, taps)
