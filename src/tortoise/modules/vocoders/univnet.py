"""The UnivNet vocoder: from log mel and noise to audio (arXiv:2106.07889).

A small stack of convolutions upsamples the noise to the sample rate. Beside it, a kernel predictor
reads the mel and writes, for every frame, the weights with which that frame's samples are convolved
(the location-variable convolution, arXiv:2102.10815).

Letters: b batch, f mel frames, n samples, c channels, l layers of a block, s samples per frame,
k taps of a kernel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tortoise.modules.weight_norm import ChannelsLastConv1d, conv1d, upsample1d

KERNEL_SIZE = 3  # of every convolution inside a block


@dataclass(frozen=True, slots=True, kw_only=True)
class UnivNetConfig:
    """The architecture of a UnivNet generator; the defaults are the published one (c32)."""

    noise_dim: int = 64
    channel_size: int = 32
    dilations: tuple[int, ...] = (1, 3, 9, 27)
    strides: tuple[int, ...] = (8, 8, 4)
    leaky_slope: float = 0.2
    predictor_width: int = 64
    predictor_taps: int = 3
    mel_bands: int = 100

    @property
    def hop(self) -> int:
        """Samples per mel frame."""
        return math.prod(self.strides)

    @classmethod
    def released(cls) -> UnivNetConfig:
        """The size of the published vocoder.pth."""
        return cls()

    @classmethod
    def tiny(cls) -> UnivNetConfig:
        """The size that tests run on."""
        return cls(noise_dim=4, channel_size=4, dilations=(1, 3), strides=(4, 2),
                   predictor_width=8, mel_bands=10)  # fmt: skip


class UnivNet(nn.Module):
    """The generator; parameters are named as in the published `model_g`."""

    def __init__(self, config: UnivNetConfig):
        super().__init__()
        self.config = config
        width = config.channel_size
        self.conv_pre = conv1d(config.noise_dim, width, 7, reflect=True)
        hops = [math.prod(config.strides[: i + 1]) for i in range(len(config.strides))]
        self.res_stack = nn.ModuleList(
            LvcBlock(config, stride, hop) for stride, hop in zip(config.strides, hops, strict=True)
        )
        self.conv_post = nn.Sequential(
            nn.LeakyReLU(config.leaky_slope), conv1d(width, 1, 7, reflect=True), nn.Tanh()
        )

    def forward(self, mel: Tensor, noise: Tensor) -> Tensor:
        """Voice a natural-log mel.

        mel: (b, bands, f);  noise: (b, noise_dim, f), standard normal.
        Returns the wave (b, 1, hop * f) in (-1, 1).
        """
        x = self.conv_pre(noise)
        for block in self.res_stack:
            x = block(x, mel)
        return cast(Tensor, self.conv_post(x))


class LvcBlock(nn.Module):
    """Upsampling, then gated convolutions with kernels predicted from the mel."""

    def __init__(self, config: UnivNetConfig, stride: int, hop: int):
        super().__init__()
        self.hop = hop
        width, slope = config.channel_size, config.leaky_slope
        self.kernel_predictor = KernelPredictor(config)
        self.convt_pre = nn.Sequential(
            nn.LeakyReLU(slope), upsample1d(width, width, 2 * stride, stride)
        )
        self.conv_blocks = nn.ModuleList(
            nn.Sequential(
                nn.LeakyReLU(slope),
                ChannelsLastConv1d(width, KERNEL_SIZE, dilation),
                nn.LeakyReLU(slope),
            )
            for dilation in config.dilations
        )

    def forward(self, x: Tensor, mel: Tensor) -> Tensor:
        """x: (b, c, n);  mel: (b, bands, f) -> (b, c, stride * n) with stride * n = hop * f.

        Inside, channels come last: on CPU that takes two thirds of the time.
        """
        kernels, biases = self.kernel_predictor(mel)
        x = self.convt_pre(x).transpose(1, 2)
        for layer, conv in enumerate(self.conv_blocks):
            y = location_variable_conv(conv(x), kernels[:, layer], biases[:, layer], self.hop)
            gate, value = y.chunk(2, dim=2)
            x = x + gate.sigmoid() * value.tanh()
        return x.transpose(1, 2)


class KernelPredictor(nn.Module):
    """Reads the mel; writes one kernel and bias per frame and layer of a block."""

    def __init__(self, config: UnivNetConfig):
        super().__init__()
        self.layers, self.width = len(config.dilations), config.channel_size
        hidden, taps, slope = config.predictor_width, config.predictor_taps, config.leaky_slope
        self.input_conv = nn.Sequential(conv1d(config.mel_bands, hidden, 5), nn.LeakyReLU(slope))
        self.residual_convs = nn.ModuleList(
            nn.Sequential(
                nn.Identity(),  # the published file counts a dropout of zero here
                conv1d(hidden, hidden, taps),
                nn.LeakyReLU(slope),
                conv1d(hidden, hidden, taps),
                nn.LeakyReLU(slope),
            )
            for _ in range(3)
        )
        kernel_size = self.layers * self.width * 2 * self.width * KERNEL_SIZE
        self.kernel_conv = conv1d(hidden, kernel_size, taps)
        self.bias_conv = conv1d(hidden, self.layers * 2 * self.width, taps)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """mel: (b, bands, f) -> kernels (b, l, f, k * c, 2c), biases (b, l, f, 1, 2c)."""
        x = self.input_conv(mel)
        for residual in self.residual_convs:
            x = x + residual(x)
        taps = _unfold_frames(x, self.kernel_conv)
        kernels = F.linear(taps, *self._kernel_weight())
        kernels = kernels.unflatten(-1, (self.layers, KERNEL_SIZE * self.width, 2 * self.width))
        bias_weight = self.bias_conv.weight.flatten(1)
        biases = F.linear(taps, bias_weight, self.bias_conv.bias)
        biases = biases.unflatten(-1, (self.layers, 1, 2 * self.width))
        return kernels.transpose(1, 2), biases.transpose(1, 2)

    def _kernel_weight(self) -> tuple[Tensor, Tensor]:
        """kernel_conv's weight (l*k*c*2c, h*k) and bias with the taps outermost.

        The published order is (l, c, 2c, k). Reordering the weight costs a fraction of reordering
        the kernels that it makes, of which there is one per frame.
        """
        shape = (self.layers, self.width, 2 * self.width, KERNEL_SIZE)
        weight = self.kernel_conv.weight.flatten(1).unflatten(0, shape)
        bias = cast(Tensor, self.kernel_conv.bias).unflatten(0, shape)
        return weight.permute(0, 3, 1, 2, 4).flatten(0, 3), bias.permute(0, 3, 1, 2).flatten()


def _unfold_frames(x: Tensor, conv: nn.Conv1d) -> Tensor:
    """(b, h, f) -> (b, f, h * taps): what `conv` sees at every frame."""
    taps = conv.kernel_size[0]
    side = (taps - 1) // 2
    return F.pad(x, (side, side)).unfold(2, taps, 1).transpose(1, 2).flatten(2)


def location_variable_conv(x: Tensor, kernels: Tensor, biases: Tensor, hop: int) -> Tensor:
    """Convolve the samples of each frame with that frame's own kernel.

    x: (b, n, c);  kernels: (b, f, k * c, o), taps outermost;  biases: (b, f, 1, o);  n = hop * f.
    Returns (b, n, o). One batched matrix product; the frames are its batch.
    """
    frames, taps = kernels.shape[1], kernels.shape[2] // x.shape[2]
    side = (taps - 1) // 2
    padded = F.pad(x, (0, 0, side, side))
    shifted = [padded[:, tap : tap + hop * frames] for tap in range(taps)]
    windows = torch.cat(shifted, dim=2).unflatten(1, (frames, hop))  # (b, f, s, k * c)
    return (torch.matmul(windows, kernels) + biases).flatten(1, 2)
