"""The bidirectional transformer of CLVP and CVVP, under the parameter names of x-transformers.

Pre-RMSNorm, gated feed-forward, rotary positions on the first half of every head.
b batch, n positions, d width, h heads.
"""

from __future__ import annotations

import torch
from rotary_embedding_torch import apply_rotary_emb
from torch import Tensor, nn
from torch.nn import functional

from tortoise.modules.attention import compute_attention

HEAD_DIM = 64
ROTARY_DIM = 32
ROTARY_BASE = 10_000.0
NORM_EPSILON = 1e-8


class Transformer(nn.Module):
    """A stack of attention and feed-forward blocks with a final LayerNorm."""

    def __init__(
        self, dim: int, depth: int, heads: int, *, feedforward_mult: int, wrapped: bool
    ) -> None:
        """`wrapped`: whether the checkpoint has one more level, `wrap`, around each block."""
        super().__init__()
        self.attn_layers = AttentionLayers(dim, depth, heads, feedforward_mult, wrapped)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x: (b, n, d);  mask: (b, n), true where real, or None for all.  Returns (b, n, d)."""
        return self.norm(self.attn_layers(x, mask))


class AttentionLayers(nn.Module):
    """The blocks in turn: even ones attend, odd ones feed forward, each around a residual."""

    def __init__(
        self, dim: int, depth: int, heads: int, feedforward_mult: int, wrapped: bool
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for _ in range(depth):
            for block in (Attention(dim, heads), FeedForward(dim, feedforward_mult)):
                self.layers.append(Residual(dim, BlockWrapper(block) if wrapped else block))
        self.rotary_pos_emb = RotaryEmbedding()

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x: (b, n, d);  mask: (b, n) or None.  Returns (b, n, d)."""
        angles = self.rotary_pos_emb(x.shape[1])
        bias = None if mask is None else _make_attention_bias(mask)
        for layer in self.layers:
            x = layer(x, angles, bias)
        return x


def _make_attention_bias(mask: Tensor) -> Tensor:
    """Return the attention mask of padding. mask: (b, n). Returns (b, 1, 1, n) for all queries."""
    bias = torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, -torch.inf)
    return bias[:, None, None]


class Residual(nn.ModuleList):
    """A norm and a block, added to the input; the checkpoint numbers the two."""

    def __init__(self, dim: int, block: nn.Module) -> None:
        super().__init__([nn.Sequential(RmsNorm(dim)), block])

    def forward(self, x: Tensor, angles: Tensor, bias: Tensor | None) -> Tensor:
        """x: (b, n, d);  angles: (n, 32);  bias: (b, 1, 1, n) or None.  Returns (b, n, d)."""
        norm, block = self
        return x + block(norm(x), angles, bias)


class BlockWrapper(nn.Module):
    """The level that CLVP's checkpoint has around each block; it adds a name only."""

    def __init__(self, wrap: nn.Module) -> None:
        super().__init__()
        self.wrap = wrap

    def forward(self, x: Tensor, angles: Tensor, bias: Tensor | None) -> Tensor:
        return self.wrap(x, angles, bias)


class Attention(nn.Module):
    """Self-attention with heads of 64 channels whatever the width of the model."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        inner = heads * HEAD_DIM
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_k = nn.Linear(dim, inner, bias=False)
        self.to_v = nn.Linear(dim, inner, bias=False)
        self.to_out = nn.Linear(inner, dim)

    def forward(self, x: Tensor, angles: Tensor, bias: Tensor | None) -> Tensor:
        """x: (b, n, d);  angles: (n, 32);  bias: (b, 1, 1, n) or None.  Returns (b, n, d)."""
        q, k, v = (
            apply_rotary_embedding(_split_heads(project(x)), angles)
            for project in (self.to_q, self.to_k, self.to_v)
        )
        mixed = compute_attention(q, k, v, None if bias is None else bias.to(q.dtype))
        return self.to_out(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """A gated feed-forward block (GEGLU, arXiv:2002.05202)."""

    def __init__(self, dim: int, mult: int) -> None:
        super().__init__()
        # 1 and 2 hold nothing: the checkpoint counts an unused norm and a dropout there
        self.net = nn.Sequential(
            GatedProjection(dim, dim * mult),
            nn.Identity(),
            nn.Identity(),
            nn.Linear(dim * mult, dim),
        )

    def forward(self, x: Tensor, angles: Tensor, bias: Tensor | None) -> Tensor:
        """x: (b, n, d); without position embedding. Returns (b, n, d)."""
        return self.net(x)


class GatedProjection(nn.Module):
    """Project to twice the width and let one half gate the other."""

    def __init__(self, dim: int, out_dim: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, 2 * out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., d).  Returns (..., out)."""
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * functional.gelu(gate)


class RmsNorm(nn.Module):
    """Scale to unit root mean square, then by a learned gain."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., d).  Returns the same shape."""
        rms = x.norm(dim=-1, keepdim=True) * x.shape[-1] ** -0.5
        return x / rms.clamp(min=NORM_EPSILON) * self.g


class RotaryEmbedding(nn.Module):
    """Angles of rotary position embedding (arXiv:2104.09864), under the checkpoint's key."""

    inv_freq: Tensor

    def __init__(self) -> None:
        super().__init__()
        exponents = torch.arange(0, ROTARY_DIM, 2).float() / ROTARY_DIM
        self.register_buffer("inv_freq", ROTARY_BASE**-exponents)

    def forward(self, n: int) -> Tensor:
        """Angles of n positions, each twice in a row, as `apply_rotary_emb` takes them: (n, 32)."""
        positions = torch.arange(n, device=self.inv_freq.device).float()
        return torch.outer(positions, self.inv_freq.float()).repeat_interleave(2, dim=-1)


def apply_rotary_embedding(heads: Tensor, angles: Tensor) -> Tensor:
    """Rotate the first 32 channels of every head by its position and leave the rest.

    The published networks rotate values as well as queries and keys. They pair channel i with
    i + 16, the library pairs neighbours, so the channels are interleaved around it.
    heads: (b, h, n, 64);  angles: (n, 32).  Returns the same shape and dtype.
    """
    turned, kept = heads[..., :ROTARY_DIM].float(), heads[..., ROTARY_DIM:]
    paired = turned.unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2)
    rotated: Tensor = apply_rotary_emb(angles, paired)
    turned = rotated.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)
    return torch.cat([turned.to(heads.dtype), kept], dim=-1)


def _split_heads(x: Tensor) -> Tensor:
    """(b, n, h * 64) to (b, h, n, 64)."""
    b, n, _ = x.shape
    return x.view(b, n, -1, HEAD_DIM).transpose(1, 2)
