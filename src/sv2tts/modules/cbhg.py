"""Pre-net, highway layer and CBHG, which Tacotron's encoder and post-net share (arXiv:1703.10135).

Shapes: b batch, t steps, c channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PreNet(nn.Module):
    """Two linear layers whose dropout stays on when the network is evaluated."""

    def __init__(self, in_dims: int, fc1_dims: int, fc2_dims: int, dropout: float = 0.5):
        super().__init__()
        self.fc1 = nn.Linear(in_dims, fc1_dims)
        self.fc2 = nn.Linear(fc1_dims, fc2_dims)
        self.dropout = dropout

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """x: (..., in_dims). generator: of the dropout, on the CPU. Returns (..., fc2_dims)."""
        for layer in (self.fc1, self.fc2):
            x = dropout(F.relu(layer(x)), self.dropout, generator)
        return x


def dropout(x: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    """Drop elements with this probability and scale the others; any shape."""
    if probability == 0.0:
        return x
    if generator is None:
        return F.dropout(x, probability, training=True)
    kept = torch.rand(x.shape, generator=generator) >= probability
    return x * kept.to(x) / (1.0 - probability)


class BatchNormConv(nn.Module):
    """A convolution without bias, optionally ReLU, then batch normalization."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, relu: bool = True):
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
        self.bnorm = nn.BatchNorm1d(out_channels)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        normalized: Tensor = self.bnorm(F.relu(x) if self.relu else x)
        return normalized


class Highway(nn.Module):
    """A highway layer (arXiv:1505.00387)."""

    def __init__(self, size: int):
        super().__init__()
        self.W1 = nn.Linear(size, size)
        self.W2 = nn.Linear(size, size)
        nn.init.zeros_(self.W1.bias)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.W2(x))
        return gate * F.relu(self.W1(x)) + (1.0 - gate) * x


class CBHG(nn.Module):
    """Convolution bank, highway layers and a bidirectional GRU."""

    def __init__(
        self,
        bank_size: int,
        in_channels: int,
        channels: int,
        projections: tuple[int, int],
        highways: int,
    ):
        super().__init__()
        self.conv1d_bank = nn.ModuleList(
            BatchNormConv(in_channels, channels, kernel) for kernel in range(1, bank_size + 1)
        )
        self.conv_project1 = BatchNormConv(bank_size * channels, projections[0], 3)
        self.conv_project2 = BatchNormConv(projections[0], projections[1], 3, relu=False)
        self.pre_highway = (
            nn.Linear(projections[1], channels, bias=False) if projections[1] != channels else None
        )
        self.highways = nn.ModuleList(Highway(channels) for _ in range(highways))
        self.rnn = nn.GRU(channels, channels // 2, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        """x: (b, in_channels, t). Returns (b, t, channels)."""
        steps = x.shape[-1]
        bank = torch.cat([conv(x)[..., :steps] for conv in self.conv1d_bank], dim=1)
        bank = torch.maximum(bank, F.pad(bank, (1, -1), mode="replicate"))  # a max-pool of 2
        y = (self.conv_project2(self.conv_project1(bank)) + x).transpose(1, 2)
        if self.pre_highway is not None:
            y = self.pre_highway(y)
        for highway in self.highways:
            y = highway(y)
        encoded: Tensor = self.rnn(y)[0]
        return encoded
