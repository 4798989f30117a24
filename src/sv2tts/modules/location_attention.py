"""Attention that sees where it has attended before (arXiv:1506.07503).

Shapes: b batch, t characters, d channels, k taps of the location layer.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LocationSensitiveAttention(nn.Module):
    """Additive attention that sees where it has attended before (arXiv:1506.07503)."""

    def __init__(self, dims: int, kernel: int = 31, filters: int = 32):
        super().__init__()
        self.conv = nn.Conv1d(1, filters, kernel, padding=(kernel - 1) // 2)
        self.L = nn.Linear(filters, dims, bias=False)
        self.W = nn.Linear(dims, dims)
        self.v = nn.Linear(dims, 1, bias=False)

    def merge_location_layers(self) -> tuple[Tensor, Tensor]:
        """Return the convolution and L as one layer: its kernel (k, d) and bias (d,)."""
        kernel = (self.L.weight @ self.conv.weight.squeeze(1)).T
        return kernel, F.linear(cast(Tensor, self.conv.bias), self.L.weight)

    def forward(
        self, keys: Tensor, query: Tensor, cumulative: Tensor, mask: Tensor, kernel: Tensor
    ) -> Tensor:
        """keys: (..., t, d) with the bias of the location layer, query: (..., d), cumulative, mask:
        (..., t), kernel: (k, d). Returns (..., t) weights."""
        before = F.pad(cumulative, (len(kernel) // 2, len(kernel) // 2))
        location = before.unfold(-1, len(kernel), 1) @ kernel
        energy = self.v(torch.tanh(self.W(query).unsqueeze(-2) + keys + location)).squeeze(-1)
        # Padding is scored 0, not -inf: so the published weights were trained.
        return F.softmax(energy * mask, dim=-1)
