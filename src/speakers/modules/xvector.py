"""A small convolutional speaker encoder with statistics pooling (x-vectors, ICASSP 2018).

Shapes: b utterances, f frames, c bins, w channels, e embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-5
ENERGY_FLOOR = 1e-6
DILATIONS = (1, 2, 3)


class XVectorEncoder(nn.Module):
    """Dilated convolutions over log-energies, mean and deviation over time, two linear layers."""

    def __init__(self, bins: int = 40, hidden: int = 192, embedding: int = 256):
        super().__init__()
        self.conv_in = nn.Conv1d(bins, hidden, 5, padding=2)
        self.convs = nn.ModuleList(
            nn.Conv1d(hidden, hidden, 3, padding=dilation, dilation=dilation)
            for dilation in DILATIONS
        )
        self.norms = nn.ModuleList(nn.GroupNorm(1, hidden) for _ in DILATIONS)
        self.hidden = nn.Linear(2 * hidden, 2 * hidden)
        self.linear = nn.Linear(2 * hidden, embedding)

    @classmethod
    def tiny(cls) -> XVectorEncoder:
        """Return a network for tests."""
        return cls(hidden=8, embedding=6)

    @property
    def embedding_size(self) -> int:
        """The length of an embedding."""
        return self.linear.out_features

    def forward(self, frames: Tensor) -> Tensor:
        """Energies (b, f, c) -> (b, e), each of unit length with values >= 0.

        The level of an utterance has no effect.
        """
        logs = frames.clamp(min=ENERGY_FLOOR).log()
        logs = logs - logs.mean((1, 2), keepdim=True)
        hidden = functional.silu(self.conv_in(logs.transpose(1, 2)))
        for conv, norm in zip(self.convs, self.norms, strict=True):
            hidden = hidden + functional.silu(conv(norm(hidden)))
        pooled = torch.cat([hidden.mean(2), hidden.std(2)], dim=1)
        raw = functional.relu(self.linear(functional.silu(self.hidden(pooled))))
        return raw / (raw.norm(dim=1, keepdim=True) + EPSILON)
