"""What HiFi-GAN and BigVGAN share: levels of upsampling, each followed by residual blocks.

Shapes: b batch, c channels, n samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tortoise.modules.weight_norm import conv1d

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsamplingConfig:
    """The architecture of the levels; the defaults are those of HiFi-GAN."""

    channels: int = 512  # before the first upsampling; each one halves them
    upsample_rates: tuple[int, ...] = (8, 8, 2, 2)
    upsample_kernels: tuple[int, ...] = (16, 16, 4, 4)
    block_kernels: tuple[int, ...] = (3, 7, 11)
    block_dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))

    @property
    def hop(self) -> int:
        """Samples per input frame."""
        return math.prod(self.upsample_rates)

    @classmethod
    def released(cls) -> Self:
        """The size of the published weights, the largest where there are several."""
        return cls()


class ResidualConvolutions(nn.Module):
    """The pairs of convolutions of a residual block, the first of each pair dilated."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]):
        super().__init__()
        self.convs1 = nn.ModuleList(
            conv1d(channels, channels, kernel, dilation=dilation) for dilation in dilations
        )
        self.convs2 = nn.ModuleList(conv1d(channels, channels, kernel) for _ in dilations)


def average_blocks(x: Tensor, blocks: nn.ModuleList, level: int, per_level: int) -> Tensor:
    """Return the mean of the residual blocks of a level. x: (b, c, n)."""
    first = level * per_level
    return torch.stack([block(x) for block in list(blocks)[first : first + per_level]]).mean(0)
