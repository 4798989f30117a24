"""The HiFi-GAN decoder that goes from GPT latents straight to a wave (arXiv:2010.05646).

It skips the diffusion network, for streaming. Shapes: b batch, d latent width, m mel codes,
c channels, f frames of 256 samples, n samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from audio.mel import GPT_MEL, VOCODER_MEL
from tortoise.modules.vocoders.upsampling import (
    ResidualConvolutions,
    UpsamplingConfig,
    average_blocks,
)
from tortoise.modules.weight_norm import conv1d, upsample1d

LEAKY_SLOPE = 0.1
FINAL_LEAKY_SLOPE = 0.01  # as the published weights were trained: PyTorch's default, by oversight
FRAMES_PER_CODE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class HifiganConfig(UpsamplingConfig):
    """The architecture; the defaults are the published hifidecoder.pth."""

    latent_dim: int = 1024
    voice_dim: int = 1024

    @classmethod
    def tiny(cls) -> HifiganConfig:
        """The size that tests run on."""
        return cls(latent_dim=6, voice_dim=6, channels=8, upsample_rates=(4, 2),
                   upsample_kernels=(8, 4), block_kernels=(3,),
                   block_dilations=((1, 3),))  # fmt: skip


class Hifigan(nn.Module):
    """The decoder; parameters are named as published."""

    def __init__(self, config: HifiganConfig):
        super().__init__()
        self.config = config
        self.conv_pre = conv1d(config.latent_dim, config.channels, 7)
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        width = config.channels
        for rate, kernel in zip(config.upsample_rates, config.upsample_kernels, strict=True):
            self.ups.append(upsample1d(width, width // 2, kernel, rate))
            width //= 2
            sizes = zip(config.block_kernels, config.block_dilations, strict=True)
            self.resblocks.extend(HifiganResBlock(width, taps, spread) for taps, spread in sizes)
        self.conv_post = conv1d(width, 1, 7)
        self.cond_layer = nn.Conv1d(config.voice_dim, config.channels, 1)

    def forward(self, frames: Tensor, voice: Tensor) -> Tensor:
        """frames: (b, d, f);  voice: (b, voice_dim, 1) -> wave (b, 1, hop * f) in (-1, 1)."""
        x = self.conv_pre(frames) + self.cond_layer(voice)
        per_level = len(self.config.block_kernels)
        for level, up in enumerate(self.ups):
            x = average_blocks(up(F.leaky_relu(x, LEAKY_SLOPE)), self.resblocks, level, per_level)
        return cast(Tensor, self.conv_post(F.leaky_relu(x, FINAL_LEAKY_SLOPE)).tanh())


class HifiganResBlock(ResidualConvolutions):
    """Residual pairs of convolutions, a leaky ReLU before each."""

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, n) -> (b, c, n)."""
        for conv1, conv2 in zip(self.convs1, self.convs2, strict=True):
            y = conv1(F.leaky_relu(x, LEAKY_SLOPE))
            x = x + conv2(F.leaky_relu(y, LEAKY_SLOPE))
        return x


def decode_latents(net: Hifigan, latents: Tensor, voice: Tensor) -> Tensor:
    """Generate audio from GPT latents.

    latents: (b, m, d); voice: (b, voice_dim), the conditioning latent of the GPT. Returns the wave
    (b, n) at 24 kHz, about 1114 samples per latent.
    """
    frames = interpolate_latents(latents.transpose(1, 2))
    return cast(Tensor, net(frames, voice.unsqueeze(-1))).squeeze(1)


def interpolate_latents(latents: Tensor) -> Tensor:
    """(b, d, m) -> (b, d, f): from the rate of codes to mel frames, then to those of 24 kHz.

    In two linear interpolations, as the decoder was trained.
    """
    frames = F.interpolate(latents, scale_factor=float(FRAMES_PER_CODE), mode="linear")
    ratio = VOCODER_MEL.sample_rate / GPT_MEL.sample_rate
    return F.interpolate(frames, scale_factor=ratio, mode="linear")
