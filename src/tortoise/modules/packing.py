"""Copies of networks whose blocks compute with packed layers.

A packed copy has the same interface as the network, which does not know of it. The blocks of the
diffusion network and of CLVP keep time before channels, as the packed layers take it, and CLVP
reads a few candidates at once, so that what lies between two layers stays in the processor's cache.

Shapes: b batch, c channels, d width, e channels of a head, h heads, n time.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tortoise.modules.attention import AttentionBlock, compute_attention
from tortoise.modules.diffusion_decoder import ResBlock
from tortoise.modules.gpt import Projection
from tortoise.modules.linear_formats import (
    LinearFormat,
    PackedConvolution,
    PackedLinear,
    is_format_available,
)
from tortoise.modules.transformer import (
    HEAD_DIM,
    ROTARY_DIM,
    Attention,
    AttentionLayers,
    BlockWrapper,
    FeedForward,
    Residual,
)

POSITIONS_AT_ONCE = 1024  # of CLVP: the states of so many lie in the cache
EXACT_PARTS = frozenset(
    {
        "aligner",  # small, and its durations decide the rhythm
        "to_symbols",  # small, and its log-probabilities decide the ranking
        "conditioning_encoder",  # used for voices only, which are the same in every format
        "contextual_embedder",
        "code_converter",
    }
)

N = TypeVar("N", bound=nn.Module)


def pack_linears(network: N, name: LinearFormat) -> N:
    """Return a copy for inference whose linear layers and convolutions are packed.

    Everything else is shared with the network. `EXACT_PARTS`, and convolutions with a stride,
    groups or an even kernel, stay as they are.
    """
    shared = {id(one): one for one in (*network.parameters(), *network.buffers())}
    copy = deepcopy(network, shared)
    _pack_children(copy, name)
    return copy.eval()


def _pack_children(parent: nn.Module, name: LinearFormat) -> None:
    for child_name, child in parent.named_children():
        if child_name in EXACT_PARTS:
            continue
        packed = _pack_module(child, name)
        if packed is None:
            _pack_children(child, name)
        else:
            setattr(parent, child_name, packed)


def _pack_module(module: nn.Module, name: LinearFormat) -> nn.Module | None:
    """The packed form of a layer or a block; None for a module that has none."""
    if isinstance(module, Projection):
        return PackedLinear(module.weight.t(), module.bias, name)
    if isinstance(module, nn.Linear):
        return PackedLinear(module.weight, module.bias, name)
    if isinstance(module, nn.Conv1d) and _is_plain_convolution(module):
        return PackedConvolution(module, name)
    if isinstance(module, ResBlock):
        return PackedResBlock(module, name)
    if isinstance(module, AttentionBlock):
        return PackedAttentionBlock(module, name)
    if isinstance(module, AttentionLayers):
        return PackedAttentionLayers(module, name)
    return None


def _is_plain_convolution(conv: nn.Conv1d) -> bool:
    kernel = conv.kernel_size[0]
    return (
        conv.groups == 1
        and conv.stride == (1,)
        and conv.dilation == (1,)
        and conv.padding == (kernel // 2,)
        and conv.padding_mode == "zeros"
        and kernel % 2 == 1
    )


def choose_attention_type(name: LinearFormat) -> torch.dtype:
    """Return the type that attention computes in: 16 bits where the layers have 16 or fewer."""
    fewer = name != "float32" and is_format_available("bfloat16")
    return torch.bfloat16 if fewer else torch.float32


class PackedResBlock(nn.Module):
    """`ResBlock` with time before channels."""

    def __init__(self, block: ResBlock, name: LinearFormat) -> None:
        super().__init__()
        in_norm, _, in_conv = block.in_layers
        out_norm, _, _, out_conv = block.out_layers
        assert isinstance(in_norm, nn.GroupNorm) and isinstance(in_conv, nn.Conv1d)
        assert isinstance(out_norm, nn.GroupNorm) and isinstance(out_conv, nn.Conv1d)
        activation, embed = block.emb_layers
        assert isinstance(embed, nn.Linear)
        self.in_norm, self.out_norm = in_norm, out_norm
        self.in_conv = PackedConvolution(in_conv, name)
        self.out_conv = PackedConvolution(out_conv, name)
        self.emb_layers = nn.Sequential(activation, PackedLinear(embed.weight, embed.bias, name))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x: (b, d, n);  time: (b, d).  Returns (b, d, n), with time before channels in memory."""
        rows = x.transpose(1, 2).contiguous()
        scale, shift = self.emb_layers(time)[:, None].chunk(2, dim=-1)
        dtype = self.in_conv.linear.dtype
        gain, offset = compute_norm_affine(rows, self.in_norm)
        hidden = F.silu(torch.addcmul(offset, rows, gain).to(dtype), inplace=True)
        hidden = self.in_conv.multiply_rows(hidden)
        gain, offset = compute_norm_affine(hidden, self.out_norm)
        gain, offset = gain * (1 + scale), offset * (1 + scale) + shift
        hidden = F.silu(torch.addcmul(offset, hidden, gain).to(dtype), inplace=True)
        return (rows + self.out_conv.multiply_rows(hidden)).transpose(1, 2)


class PackedAttentionBlock(nn.Module):
    """`AttentionBlock` with time before channels."""

    def __init__(self, block: AttentionBlock, name: LinearFormat) -> None:
        super().__init__()
        self.heads, self.norm = block.heads, block.norm
        self.relative_pos_embeddings = block.relative_pos_embeddings
        self.residual_from_norm = block.residual_from_norm
        self.qkv = PackedConvolution(block.qkv, name)
        self.proj_out = PackedConvolution(block.proj_out, name)
        self.dtype = choose_attention_type(name)

    def forward(self, x: Tensor) -> Tensor:
        """x: (b, c, n).  Returns (b, c, n), with time before channels in memory."""
        rows = x.transpose(1, 2).contiguous()
        b, n, c = rows.shape
        gain, offset = compute_norm_affine(rows, self.norm)
        normed = torch.addcmul(offset, rows, gain)
        qkv = self.qkv.multiply_rows(normed).to(self.dtype)
        q, k, v = qkv.view(b, n, self.heads, -1).transpose(1, 2).chunk(3, dim=-1)  # (b, h, n, e)
        bias = None
        if self.relative_pos_embeddings is not None:
            bias = self.relative_pos_embeddings.for_reversed_keys(n).to(q.dtype).unsqueeze(0)
            k, v = k.flip(2), v.flip(2)
        mixed = compute_attention(q, k, v, bias).transpose(1, 2).reshape(b, n, c)
        attended = self.proj_out.multiply_rows(mixed)
        return ((normed if self.residual_from_norm else rows) + attended).transpose(1, 2)


def compute_norm_affine(rows: Tensor, norm: nn.GroupNorm) -> tuple[Tensor, Tensor]:
    """Return gain and offset of each channel that normalize the rows as a GroupNorm does.

    rows: (b, n, c).  Returns two of (b, 1, c) float32: the result is rows * gain + offset. Sums
    over time are taken first, for which torch is ten times as fast as for sums over groups.
    """
    rows = rows.float()
    start = rows[:, :1]  # a value near the mean, so that no digits are lost in the variance
    centred = rows - start
    means, squares = centred.mean(1, keepdim=True), centred.square().mean(1, keepdim=True)
    return _join_groups(means + start, squares - means.square(), norm)


def _join_groups(means: Tensor, variances: Tensor, norm: nn.GroupNorm) -> tuple[Tensor, Tensor]:
    """Make the affine map of each channel from the moments of the channels: (b, 1, c) each."""
    b, _, c = means.shape
    grouped = means.view(b, norm.num_groups, -1)
    mean = grouped.mean(-1, keepdim=True)
    within = variances.view(b, norm.num_groups, -1).mean(-1, keepdim=True)
    variance = within + (grouped - mean).square().mean(-1, keepdim=True)
    scale = (variance.clamp(min=0) + norm.eps).rsqrt()
    gain = scale.expand_as(grouped).reshape(b, 1, c) * norm.weight
    return gain, norm.bias - mean.expand_as(grouped).reshape(b, 1, c) * gain


class PackedAttentionLayers(nn.Module):
    """`AttentionLayers` of CLVP and CVVP, a few items of the batch at once."""

    def __init__(self, layers: AttentionLayers, name: LinearFormat) -> None:
        super().__init__()
        self.rotary_pos_emb = layers.rotary_pos_emb
        self.layers = nn.ModuleList(PackedResidual(layer, name) for layer in layers.layers)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x: (b, n, d);  mask: (b, n), true where real, or None.  Returns (b, n, d)."""
        size = max(1, POSITIONS_AT_ONCE // x.shape[1])
        angles = self.rotary_pos_emb(x.shape[1])[:, None, ::2]  # (n, 1, 16)
        parts = x.split(size)
        masks = [None] * len(parts) if mask is None else mask.split(size)
        return torch.cat([self._read(*one, angles) for one in zip(parts, masks, strict=True)])

    def _read(self, x: Tensor, mask: Tensor | None, angles: Tensor) -> Tensor:
        turns = angles.cos(), angles.sin()
        for layer in self.layers:
            x = layer(x, turns, mask)
        return x


class PackedResidual(nn.Module):
    """`Residual` around a packed block."""

    def __init__(self, layer: nn.Module, name: LinearFormat) -> None:
        super().__init__()
        assert isinstance(layer, Residual)
        self.norm, block = layer
        block = block.wrap if isinstance(block, BlockWrapper) else block
        if isinstance(block, Attention):
            self.block: nn.Module = PackedAttention(block, name)
        else:
            assert isinstance(block, FeedForward)
            self.block = PackedFeedForward(block, name)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """x: (b, n, d); the others as in `PackedAttention`.  Returns (b, n, d)."""
        return x + self.block(self.norm(x), turns, mask)


class PackedAttention(nn.Module):
    """`Attention` with one product for queries, keys and values."""

    def __init__(self, block: Attention, name: LinearFormat) -> None:
        super().__init__()
        weights = [one.weight for one in (block.to_q, block.to_k, block.to_v)]
        self.to_qkv = PackedLinear(torch.cat(weights), None, name)
        self.to_out = PackedLinear(block.to_out.weight, block.to_out.bias, name)
        self.dtype = choose_attention_type(name)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """x: (b, n, d); turns: cosines and sines, (n, 1, 16) each; mask: (b, n) or None.

        Returns (b, n, d).
        """
        b, n, _ = x.shape
        qkv = self.to_qkv.multiply(x).view(b, n, -1, HEAD_DIM)  # (b, n, 3 h, 64)
        rotate_in_place(qkv, *turns)
        q, k, v = qkv.to(self.dtype).transpose(1, 2).chunk(3, dim=1)
        bias = None
        if mask is not None:
            bias = q.new_zeros(b, 1, 1, n).masked_fill(~mask[:, None, None], -math.inf)
        mixed = compute_attention(q, k, v, bias).transpose(1, 2).reshape(b, n, -1)
        return self.to_out.multiply(mixed)


class PackedFeedForward(nn.Module):
    """`FeedForward` with packed layers."""

    def __init__(self, block: FeedForward, name: LinearFormat) -> None:
        super().__init__()
        gated, _, _, output = block.net
        inner = gated.proj
        assert isinstance(inner, nn.Linear) and isinstance(output, nn.Linear)
        self.proj = PackedLinear(inner.weight, inner.bias, name)
        self.output = PackedLinear(output.weight, output.bias, name)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """x: (b, n, d); the others are not used.  Returns (b, n, d)."""
        value, gate = self.proj.multiply(x).chunk(2, dim=-1)
        return self.output.multiply(value * F.gelu(gate))


def rotate_in_place(heads: Tensor, cosines: Tensor, sines: Tensor) -> None:
    """Rotate channel i of the first 16 of every head with channel i + 16, as the checkpoints do.

    heads: (b, n, h, 64), changed;  cosines, sines: (n, 1, 16).
    """
    first, second = heads[..., :ROTARY_DIM].float().chunk(2, dim=-1)
    turned_first = first * cosines - second * sines
    heads[..., ROTARY_DIM // 2 : ROTARY_DIM] = second * cosines + first * sines
    heads[..., : ROTARY_DIM // 2] = turned_first
