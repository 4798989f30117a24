"""Building blocks that the conditioning encoder, the diffusion network and the classifier share.

Shapes: b batch, c channels, h heads, n time.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BUCKETS = 32
MAX_DISTANCE = 64


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with the published rule for the number of groups."""
    groups = 8 if channels <= 16 else 16 if channels <= 64 else 32
    while channels % groups:
        groups //= 2
    return nn.GroupNorm(groups, channels)


class AttentionBlock(nn.Module):
    """Self-attention over time around a residual; q, k and v lie together head by head."""

    def __init__(self, channels: int, heads: int, relative_positions: bool = False) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels cannot be split into {heads} heads")
        self.heads = heads
        self.norm = group_norm(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)
        nn.init.zeros_(self.proj_out.weight)  # a new block starts as the identity
        nn.init.zeros_(self.proj_out.bias)
        if relative_positions:
            self.relative_pos_embeddings = RelativePositionBias(
                heads, scale=math.sqrt(channels / heads)
            )
        self.relative_positions = relative_positions

    def forward(self, x: Tensor) -> Tensor:
        """x: (b, c, n).  Returns (b, c, n)."""
        b, c, n = x.shape
        qkv = self.qkv(self.norm(x)).view(b, self.heads, 3 * c // self.heads, n)
        q, k, v = qkv.transpose(2, 3).chunk(3, dim=-1)  # (b, h, n, c / h) each
        bias = self.relative_pos_embeddings(n).to(q.dtype) if self.relative_positions else None
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return x + self.proj_out(mixed.transpose(2, 3).reshape(b, c, n))


class RelativePositionBias(nn.Module):
    """T5's bucketed bias: exact for near positions, logarithmic for far ones (arXiv:1910.10683)."""

    def __init__(self, heads: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.relative_attention_bias = nn.Embedding(BUCKETS, heads)

    def forward(self, n: int) -> Tensor:
        """What to add to the scaled scores of n positions: (h, n, n)."""
        device = self.relative_attention_bias.weight.device
        distance = torch.arange(1 - n, n, device=device)  # key minus query: (2n - 1,)
        by_distance = self.relative_attention_bias(distance_bucket(distance)).T * self.scale
        return by_distance.unfold(-1, n, 1).flip(-2)  # one row per query, all of them shifted copies


def distance_bucket(distance: Tensor) -> Tensor:
    """Bucket of each signed distance (key minus query); keys ahead use the upper half."""
    half, exact = BUCKETS // 2, BUCKETS // 4
    size = distance.abs()
    far = (size.clamp(min=1).float() / exact).log() / math.log(MAX_DISTANCE / exact)
    far = (exact + (far * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(distance > 0, half, 0) + torch.where(size < exact, size, far)
