"""Linear layers and convolutions in the formats that a processor multiplies fast.

A packed copy of a network has the same interface as the network, which does not know of it. Only
oneDNN and FBGEMM, which come with torch, compute; a format whose operators are missing is not
available.

Shapes: o outputs, i inputs, r rows, b batch, n time, k kernel size.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LinearFormat = Literal["float32", "bfloat16", "int8"]
"""float32 and bfloat16: weights reordered once for oneDNN. int8: weights with a scale per output,
inputs rounded per row at each call."""

LINEAR_FORMATS: tuple[LinearFormat, ...] = ("float32", "bfloat16", "int8")
TIMED_CALLS = 5
TIMED_LAYERS = 4  # different weights, so that they come from the memory as in a network
MIN_GAIN = 1.05  # over the plain layer: what is hardly faster changes nothing
ACTIVATION_FLOOR = 1e-12
Multiply = Callable[[Tensor], Tensor]


@cache
def is_format_available(name: LinearFormat) -> bool:
    """Return whether this torch and this processor compute the format; tried with a small layer."""
    if name == "bfloat16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    weight, x = torch.ones(64, 64), torch.ones(2, 64)  # the largest sums: they must not overflow
    try:
        with torch.inference_mode():
            found = PackedLinear(weight, None, name)(x)
    except (RuntimeError, AttributeError):  # no such operator, engine or instruction set
        return False
    return bool(torch.allclose(found, x.sum(1, keepdim=True), rtol=0.02))


@cache
def _needs_reduced_range() -> bool:
    """Return whether this processor adds pairs of 8-bit products in 16 bits, which overflow.

    Processors without VNNI instructions do; there inputs are rounded to 7 bits.
    """
    packed = _prepack_int8(torch.full((64, 64), 127, dtype=torch.int8), torch.ones(64).double())
    found = torch.ops.quantized.linear_dynamic(torch.ones(1, 64), packed, False)
    return not torch.allclose(found, torch.tensor(64.0 * 127), rtol=0.02)


def choose_fastest_format(
    width: int, rows: int, formats: Sequence[LinearFormat] = LINEAR_FORMATS
) -> LinearFormat | None:
    """Measure layers of a network's size on this machine, and return the fastest format.

    width: of the model, whose feed-forward layers are four times as wide; rows: multiplied at once.
    Returns None if the plain layer is as fast. Takes about 0.1 s.
    """
    weights = [torch.randn(4 * width, width) / width for _ in range(TIMED_LAYERS)]
    bias, x = torch.zeros(4 * width), torch.randn(rows, width)
    plain = _time_layers([partial(F.linear, weight=w, bias=bias) for w in weights], x)
    times = {
        name: _time_layers([PackedLinear(weight, bias, name) for weight in weights], x)
        for name in formats
        if is_format_available(name)
    }
    best = min(times, key=lambda name: times[name], default=None)
    return best if best is not None and times[best] * MIN_GAIN < plain else None


class PackedLinear(nn.Module):
    """A linear map with packed weights; it has no parameters."""

    def __init__(self, weight: Tensor, bias: Tensor | None, name: LinearFormat) -> None:
        """weight: (o, i);  bias: (o,) or None."""
        super().__init__()
        weight = weight.detach().float().contiguous()
        bias = None if bias is None else bias.detach().float()
        pack = _pack_int8 if name == "int8" else _pack_for_onednn
        self.dtype = torch.bfloat16 if name == "bfloat16" else torch.float32
        self.multiply: Multiply = pack(weight, bias, self.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """x: (…, i).  Returns (…, o) in the type of x."""
        return self.multiply(x).to(x.dtype)


class PackedConvolution(nn.Module):
    """A convolution over time as one matrix product of its windows."""

    def __init__(self, conv: nn.Conv1d, name: LinearFormat) -> None:
        super().__init__()
        self.kernel = conv.kernel_size[0]
        by_window = conv.weight.detach().transpose(1, 2).flatten(1)  # (o, k i)
        self.linear = PackedLinear(by_window, conv.bias, name)

    def forward(self, x: Tensor) -> Tensor:
        """x: (b, i, n).  Returns (b, o, n) in the type of x."""
        rows = x.new_empty(x.shape[0], x.shape[2], x.shape[1], dtype=self.linear.dtype)
        for item, target in zip(x.to(rows.dtype), rows, strict=True):
            target.copy_(item.t())  # of two dimensions: torch's fast transposition
        found = self.multiply_rows(rows)
        turned = found.new_empty(x.shape[0], found.shape[2], x.shape[2])
        for item, target in zip(found, turned, strict=True):
            target.copy_(item.t())
        return turned.to(x.dtype)

    def multiply_rows(self, rows: Tensor) -> Tensor:
        """rows: (b, n, i).  Returns (b, n, o) in the type of the format."""
        if self.kernel == 1:
            return self.linear.multiply(rows)
        b, n, i = rows.shape
        lead = self.kernel // 2
        padded = rows.new_empty(b, n + 2 * lead, i, dtype=self.linear.dtype)
        padded[:, :lead] = 0
        padded[:, n + lead :] = 0
        padded[:, lead : n + lead].copy_(rows)
        steps = (padded.stride(0), i, 1)
        windows = padded.as_strided((b, n, self.kernel * i), steps)
        return self.linear.multiply(windows.reshape(b * n, -1)).view(b, n, -1)


def _pack_for_onednn(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Multiply:
    """Reorder once into the blocks that oneDNN multiplies."""
    onednn = torch.ops.mkldnn
    packed = onednn._reorder_linear_weight(weight.to(dtype))
    own_bias = None if bias is None else bias.to(dtype)

    def multiply(x: Tensor) -> Tensor:
        found: Tensor = onednn._linear_pointwise(x.to(dtype), packed, own_bias, "none", [], "")
        return found

    return multiply


def _pack_int8(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Multiply:
    """Round each output's weights to 8 bits; each row of the input has a scale of its own.

    The operator rounds its input with one scale for all rows, so each row is first brought to the
    range -1 to 1: rows do not depend on each other, and small rows lose nothing.
    """
    scales = weight.abs().amax(1).clamp(min=ACTIVATION_FLOOR).double() / 127
    whole = (weight / scales[:, None]).round().clamp(-127, 127).to(torch.int8)
    packed, reduce_range = _prepack_int8(whole, scales), _needs_reduced_range()

    def multiply(x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1]).to(dtype)
        largest = flat.abs().amax(1, keepdim=True).clamp(min=ACTIVATION_FLOOR)
        found: Tensor = torch.ops.quantized.linear_dynamic(flat / largest, packed, reduce_range)
        found = found * largest if bias is None else torch.addcmul(bias, found, largest)
        return found.view(*x.shape[:-1], -1)

    return multiply


def _prepack_int8(whole: Tensor, scales: Tensor) -> torch.ScriptObject:
    """whole: (o, i) int8;  scales: (o,) float64."""
    zeros = torch.zeros(len(whole), dtype=torch.long)
    with _quantized_engine():
        packed: torch.ScriptObject = torch.ops.quantized.linear_prepack(
            torch._make_per_channel_quantized_tensor(whole, scales, zeros, 0), None
        )
    return packed


@contextmanager
def _quantized_engine() -> Iterator[None]:
    """Pack with FBGEMM's interface, which serves one row and many; torch keeps the choice."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "x86"
    try:
        yield
    finally:
        torch.backends.quantized.engine = before


def _time_layers(layers: Sequence[Multiply], x: Tensor) -> float:
    """The median seconds of processor time in which all layers multiply x."""
    times = []
    with torch.inference_mode():
        for _ in range(TIMED_CALLS + 1):
            started = time.process_time()
            for layer in layers:
                layer(x)
            times.append(time.process_time() - started)
    return statistics.median(times[1:])
