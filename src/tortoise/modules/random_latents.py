"""Random voices: networks that map noise to the distribution of real speaker latents.

Parameter names are those of rlg_auto.pth (for the GPT) and rlg_diffuser.pth (the diffusion).
Shapes: b batch, c channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NUM_HIDDEN_LAYERS = 5
LR_MULTIPLIER = 0.1  # weights are stored divided by it, so that they learn slowly


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomLatentConfig:
    """The size of one network; the published ones have 1024 and 2048 channels."""

    channels: int = 1024

    @classmethod
    def released(cls) -> RandomLatentConfig:
        """The published network for GPT latents."""
        return cls()

    @classmethod
    def released_diffusion(cls) -> RandomLatentConfig:
        """The published network for diffusion latents."""
        return cls(channels=2048)

    @classmethod
    def tiny(cls) -> RandomLatentConfig:
        return cls(channels=8)


class RandomLatentGenerator(nn.Module):
    """Noise in, one latent out (the mapping network of arXiv:1912.04958)."""

    def __init__(self, config: RandomLatentConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        self.layers = nn.Sequential(
            *(EqualLinear(c) for _ in range(NUM_HIDDEN_LAYERS)), nn.Linear(c, c)
        )

    def forward(self, noise: Tensor) -> Tensor:
        """noise: (b, c), standard normal.  Returns (b, c)."""
        latent: Tensor = self.layers(noise)
        return latent

    def draw(self, generator: torch.Generator) -> Tensor:
        """One latent from a generator on the CPU: (1, c)."""
        noise = torch.randn(1, self.config.channels, generator=generator)
        latent: Tensor = self(noise.to(next(self.parameters()).device))
        return latent


class EqualLinear(nn.Module):
    """A linear map with equalised learning rate, and a leaky rectifier that keeps the variance."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, channels) / LR_MULTIPLIER)
        self.bias = nn.Parameter(torch.zeros(channels))
        self.scale = LR_MULTIPLIER / math.sqrt(channels)

    def forward(self, x: Tensor) -> Tensor:
        """x: (b, c).  Returns (b, c)."""
        mapped = F.linear(x, self.weight * self.scale, self.bias * LR_MULTIPLIER)
        return math.sqrt(2) * F.leaky_relu(mapped, 0.2)
