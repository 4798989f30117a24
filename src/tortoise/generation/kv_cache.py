"""The autoregressive network one code at a time: what was read stays in a key/value cache.

Text and voice are read once and shared by all rows; each row keeps only the keys of its own codes.

Shapes: r rows, p prefix positions, s codes so far, h heads, c width of a head, d model width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tortoise.modules.gpt import Attention, Gpt

CACHE_GROWTH = 64  # codes by which the cache grows when it is full


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrefixCache:
    """Keys and values of voice and text, per layer: (h, p, c)."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]


def prefill(gpt: Gpt, conditioning: Tensor, text: Tensor) -> PrefixCache:
    """Read what comes before the first code.

    conditioning: (1, d);  text: (1, t) ended by a stop.
    """
    x = gpt.prefix(conditioning, text)
    keys, values = [], []
    for block in gpt.gpt.blocks:
        q, k, v = block.attn.split(block.ln_1(x))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + block.attn.c_proj(mixed.transpose(1, 2).flatten(2))
        x = x + block.mlp(block.ln_2(x))
        keys.append(k[0])
        values.append(v[0])
    return PrefixCache(keys=tuple(keys), values=tuple(values))


class KVCacheDecoder:
    """Feeds several rows of codes after one prefix, a code of each at a time."""

    def __init__(self, gpt: Gpt, prefix: PrefixCache, rows: int) -> None:
        self.gpt = gpt
        self.blocks = gpt.gpt.blocks
        self.prefix = prefix
        self.length = 0
        h, _, c = prefix.keys[0].shape
        self.keys = [k.new_zeros(rows, h, CACHE_GROWTH, c) for k in prefix.keys]
        self.values = [v.new_zeros(rows, h, CACHE_GROWTH, c) for v in prefix.values]

    def decode_step(self, codes: Tensor, aligned: Tensor | None = None) -> Tensor:
        """Append one code to each row and return the hidden states.

        codes: (r,), the start code first; aligned: (d,) text at the next code, of a GPT with an
        aligner. Returns (r, d).
        """
        if self.length == self.keys[0].shape[2]:
            self.keys = [F.pad(k, (0, 0, 0, CACHE_GROWTH)) for k in self.keys]
            self.values = [F.pad(v, (0, 0, 0, CACHE_GROWTH)) for v in self.values]
        position = self.gpt.mel_pos_embedding.emb.weight[self.length]
        if aligned is not None:
            position = position + aligned
        x: Tensor = self.gpt.mel_embedding(codes) + position  # (r, d)
        for layer, block in enumerate(self.blocks):
            x = x + self._attend(layer, block.attn, block.ln_1(x))
            x = x + block.mlp(block.ln_2(x))
        self.length += 1
        states: Tensor = self.gpt.final_norm(self.gpt.gpt.ln_f(x))
        return states

    def select_rows(self, rows: Tensor) -> None:
        """Go on with these rows only.  rows: (r',) indices."""
        self.keys = [k[rows] for k in self.keys]
        self.values = [v[rows] for v in self.values]

    def _attend(self, layer: int, attention: Attention, x: Tensor) -> Tensor:
        """x: (r, d).  Returns (r, d); the prefix is one matrix product for all rows."""
        q, k, v = attention.split(x[:, None])  # (r, h, 1, c) each
        own_keys, own_values = self.keys[layer], self.values[layer]
        own_keys[:, :, self.length] = k[:, :, 0]
        own_values[:, :, self.length] = v[:, :, 0]
        own_keys = own_keys[:, :, : self.length + 1]
        own_values = own_values[:, :, : self.length + 1]
        q = q * q.shape[-1] ** -0.5
        shared = q[:, :, 0].transpose(0, 1) @ self.prefix.keys[layer].transpose(1, 2)  # (h, r, p)
        own = (q @ own_keys.transpose(2, 3))[:, :, 0]  # (r, h, s)
        weights = torch.cat([shared.transpose(0, 1), own], dim=-1).softmax(-1).to(v.dtype)
        of_prefix, of_own = weights[..., : shared.shape[-1]], weights[..., shared.shape[-1] :]
        mixed = (of_prefix.transpose(0, 1) @ self.prefix.values[layer]).transpose(0, 1)  # (r, h, c)
        mixed = mixed + (of_own[:, :, None] @ own_values)[:, :, 0]
        projected: Tensor = attention.c_proj(mixed.flatten(1))
        return projected
