"""The autoregressive network one code at a time: what was read stays in a key/value cache.

Text and voice are read once and shared by all rows; each row keeps only the keys of its own codes.

Shapes: r rows, p prefix positions, s codes so far, h heads, c width of a head, d model width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from tortoise.modules.gpt import Attention, Gpt

CACHE_GROWTH = 64  # codes by which the cache grows when it is full
PADDED_GROWTH = 32  # the same where all of it is multiplied


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


class StepDecoder(Protocol):
    """Feeds several rows of codes after one prefix, a code of each at a time."""

    def decode_step(self, codes: Tensor, aligned: Tensor | None = None) -> Tensor:
        """Append one code to each row, (r,), and return the hidden states, (r, d)."""
        ...

    def select_rows(self, rows: Tensor) -> None:
        """Go on with these rows only.  rows: (r',) indices."""
        ...


class KVCacheDecoder:
    """Feeds several rows of codes after one prefix, a code of each at a time.

    `padded` multiplies the whole cache and masks what is not written yet. The rounding differs,
    and it is faster: torch copies a part of a cache before it multiplies (measured with 16 rows and
    100 codes on a CPU: 2.0 against 1.0 ms for a layer).
    """

    def __init__(self, gpt: Gpt, prefix: PrefixCache, rows: int, padded: bool = False) -> None:
        self.gpt = gpt
        self.blocks = gpt.gpt.blocks
        self.prefix = prefix
        self.length = 0
        self.growth = PADDED_GROWTH if padded else CACHE_GROWTH
        self.padded, self.unwritten = padded, prefix.keys[0].new_empty(0)
        h, _, c = prefix.keys[0].shape
        self.keys = [k.new_zeros(rows, h, self.growth, c) for k in prefix.keys]
        self.values = [v.new_zeros(rows, h, self.growth, c) for v in prefix.values]

    def decode_step(self, codes: Tensor, aligned: Tensor | None = None) -> Tensor:
        """Append one code to each row and return the hidden states.

        codes: (r,), the start code first; aligned: (d,) text at the next code, of a GPT with an
        aligner. Returns (r, d).
        """
        if self.length == self.keys[0].shape[2]:
            self.keys = [F.pad(k, (0, 0, 0, self.growth)) for k in self.keys]
            self.values = [F.pad(v, (0, 0, 0, self.growth)) for v in self.values]
        position = self.gpt.mel_pos_embedding.emb.weight[self.length]
        if aligned is not None:
            position = position + aligned
        x: Tensor = self.gpt.mel_embedding(codes) + position  # (r, d)
        if self.padded:
            self.unwritten = x.new_zeros(self.keys[0].shape[2])
            self.unwritten[self.length + 1 :] = -torch.inf
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
        """x: (r, d).  Returns (r, d)."""
        q, k, v = attention.split(x[:, None])  # (r, h, 1, c) each
        own_keys, own_values = self.keys[layer], self.values[layer]
        own_keys[:, :, self.length] = k[:, :, 0]
        own_values[:, :, self.length] = v[:, :, 0]
        if self.padded:
            mixed = _attend_to_both(q, self.prefix, layer, (own_keys, own_values), self.unwritten)
        else:
            written = slice(self.length + 1)
            cache = own_keys[:, :, written], own_values[:, :, written]
            mixed = _attend_to_both(q, self.prefix, layer, cache)
        projected: Tensor = attention.c_proj(mixed)
        return projected


class StaticKVCacheDecoder:
    """The same with fixed shapes: a step of one bucket of rows is one CUDA graph on a GPU.

    Every step reads the whole cache and masks what is not written yet. Rows that left stay as
    padding until half of the bucket is unused; then a smaller bucket takes over.
    """

    def __init__(self, gpt: Gpt, prefix: PrefixCache, rows: int, max_codes: int) -> None:
        self.gpt, self.prefix = gpt, prefix
        self.blocks = gpt.gpt.blocks
        h, _, c = prefix.keys[0].shape
        shape = (get_row_bucket(rows), h, max_codes, c)
        self.keys = [k.new_zeros(shape) for k in prefix.keys]
        self.values = [v.new_zeros(shape) for v in prefix.values]
        self.rows = rows
        self.position = torch.zeros(1, dtype=torch.long, device=self.keys[0].device)
        self.places = torch.arange(max_codes, device=self.keys[0].device)
        self._make_inputs(shape[0])

    def decode_step(self, codes: Tensor, aligned: Tensor | None = None) -> Tensor:
        """As `KVCacheDecoder.decode_step`."""
        self.codes[: self.rows] = codes
        if aligned is not None:
            self.aligned.copy_(aligned)
        if self.graph is None and self.codes.is_cuda:
            self._capture()
        if self.graph is None:
            self.states = self._step()
        else:
            self.graph.replay()
        self.position += 1
        return self.states[: self.rows].clone()

    def select_rows(self, rows: Tensor) -> None:
        """As `KVCacheDecoder.select_rows`."""
        self.rows = len(rows)
        bucket = get_row_bucket(self.rows)
        if bucket < len(self.codes):
            padded = F.pad(rows, (0, bucket - self.rows))
            self.keys = [k[padded] for k in self.keys]
            self.values = [v[padded] for v in self.values]
            self._make_inputs(bucket)
            return
        for cache in (*self.keys, *self.values):  # in place: the graph reads these tensors
            cache[: self.rows] = cache[rows]

    def _make_inputs(self, bucket: int) -> None:
        """New buffers of a bucket; the graph is captured at its first step."""
        self.codes = torch.zeros(bucket, dtype=torch.long, device=self.position.device)
        self.aligned = self.keys[0].new_zeros(self.gpt.config.model_dim)
        self.states = self.keys[0].new_zeros(bucket, self.gpt.config.model_dim)
        self.graph: torch.cuda.CUDAGraph | None = None

    def _capture(self) -> None:
        """Record one step; it writes the cache at the position that the next one writes again."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # lazy initialization must not be recorded
            self._step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.states = self._step()
        self.graph = graph

    def _step(self) -> Tensor:
        """One step of all rows of the bucket, from its buffers: (r, d)."""
        gpt = self.gpt
        position = gpt.mel_pos_embedding.emb.weight.index_select(0, self.position)
        x: Tensor = gpt.mel_embedding(self.codes) + position + self.aligned
        unwritten = torch.zeros_like(self.places, dtype=x.dtype)
        unwritten = unwritten.masked_fill(self.places > self.position, -torch.inf)
        for layer, block in enumerate(self.blocks):
            x = x + self._attend(layer, block.attn, block.ln_1(x), unwritten)
            x = x + block.mlp(block.ln_2(x))
        states: Tensor = gpt.final_norm(gpt.gpt.ln_f(x))
        return states

    def _attend(self, layer: int, attention: Attention, x: Tensor, unwritten: Tensor) -> Tensor:
        """x: (r, d);  unwritten: (s,), -inf at codes to come.  Returns (r, d)."""
        q, k, v = attention.split(x[:, None])  # (r, h, 1, c) each
        keys, values = self.keys[layer], self.values[layer]
        keys.index_copy_(2, self.position, k)
        values.index_copy_(2, self.position, v)
        mixed = _attend_to_both(q, self.prefix, layer, (keys, values), unwritten)
        projected: Tensor = attention.c_proj(mixed)
        return projected


def get_row_bucket(rows: int) -> int:
    """Return the number of rows that a static decoder computes: the next power of two."""
    return 1 << max(0, rows - 1).bit_length()


def _attend_to_both(
    q: Tensor,
    prefix: PrefixCache,
    layer: int,
    cache: tuple[Tensor, Tensor],
    unwritten: Tensor | None = None,
) -> Tensor:
    """Attention to the shared prefix, one matrix product for all rows, and to each row's codes.

    q: (r, h, 1, c);  cache: keys and values (r, h, s, c);  unwritten: (s,), -inf at codes to come.
    Returns (r, d).
    """
    keys, values = cache
    q = q * q.shape[-1] ** -0.5
    shared = q[:, :, 0].transpose(0, 1) @ prefix.keys[layer].transpose(1, 2)  # (h, r, p)
    own = (q @ keys.transpose(2, 3))[:, :, 0]  # (r, h, s)
    own = own if unwritten is None else own + unwritten
    weights = torch.cat([shared.transpose(0, 1), own], dim=-1).softmax(-1).to(values.dtype)
    of_prefix, of_own = weights[..., : shared.shape[-1]], weights[..., shared.shape[-1] :]
    mixed = (of_prefix.transpose(0, 1) @ prefix.values[layer]).transpose(0, 1)  # (r, h, c)
    mixed = mixed + (of_own[:, :, None] @ values)[:, :, 0]
    return mixed.flatten(1)
