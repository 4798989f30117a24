"""Weight-normalised convolutions, under the names the published vocoders keep them.

A weight is stored as a length `weight_g` and a direction `weight_v` (arXiv:1602.07868), one length
per entry of the first dimension, and folded into one `weight` when nothing will be trained.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ConvFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]


class WeightNormConv(nn.Module):
    """A convolution `run(x, weight, bias)` with a weight-normalised weight.

    reflect: samples mirrored at either end before it runs.
    """

    def __init__(self, run: ConvFunction, weight: Tensor, bias: Tensor | None, reflect: int = 0):
        super().__init__()
        self.run, self.reflect = run, reflect
        self.weight_v = nn.Parameter(weight.detach().clone())
        self.weight_g = nn.Parameter(torch.norm_except_dim(self.weight_v.detach(), 2, 0))
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.folded = False

    def compute_weight(self) -> Tensor:
        """The weight that the convolution runs with, in the shape of `weight_v`."""
        if self.folded:
            return self.weight
        return torch._weight_norm(self.weight_v, self.weight_g, 0)

    def fold(self) -> None:
        """Replace length and direction by their product."""
        if self.folded:
            return
        self.weight = nn.Parameter(self.compute_weight().detach(), requires_grad=False)
        del self.weight_g, self.weight_v
        self.folded = True

    def forward(self, x: Tensor) -> Tensor:
        if self.reflect:
            x = F.pad(x, (self.reflect, self.reflect), mode="reflect")
        return self.run(x, self.compute_weight(), self.bias)


def fold_weight_norm(module: nn.Module) -> None:
    """Fold every weight-normalised convolution inside `module`, in place, for inference."""
    for part in module.modules():
        if isinstance(part, WeightNormConv):
            part.fold()


def conv1d(
    inputs: int, outputs: int, kernel: int, *, dilation: int = 1, reflect: bool = False
) -> WeightNormConv:
    """A convolution that keeps the length: (b, inputs, n) -> (b, outputs, n), `kernel` odd.

    reflect: mirror the ends instead of padding them with zeros.
    """
    plain = nn.Conv1d(inputs, outputs, kernel)
    pad = dilation * (kernel - 1) // 2
    run = partial(F.conv1d, padding=0 if reflect else pad, dilation=dilation)
    return WeightNormConv(run, plain.weight, plain.bias, reflect=pad if reflect else 0)


def conv1d_channels_last(channels: int, kernel: int, *, dilation: int = 1) -> WeightNormConv:
    """`conv1d` with the channels last: (b, n, channels) -> (b, n, channels), `kernel` odd."""
    plain = nn.Conv1d(channels, channels, kernel)
    return WeightNormConv(
        partial(_convolve_channels_last, dilation=dilation), plain.weight, plain.bias
    )


def _convolve_channels_last(
    x: Tensor, weight: Tensor, bias: Tensor | None, *, dilation: int
) -> Tensor:
    """As a picture of height one, the form in which PyTorch keeps channels last through a layer."""
    pad = dilation * (weight.shape[-1] - 1) // 2
    picture = x.transpose(1, 2).unsqueeze(2)
    kernel = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    y = F.conv2d(picture, kernel, bias, padding=(0, pad), dilation=(1, dilation))
    return y.squeeze(2).transpose(1, 2)


def conv2d(
    inputs: int,
    outputs: int,
    kernel: tuple[int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
) -> WeightNormConv:
    """A convolution over (b, inputs, h, w)."""
    plain = nn.Conv2d(inputs, outputs, kernel)
    run = partial(F.conv2d, stride=stride, padding=padding)
    return WeightNormConv(run, plain.weight, plain.bias)


def upsample1d(inputs: int, outputs: int, kernel: int, stride: int) -> WeightNormConv:
    """A transposed convolution: (b, inputs, n) -> (b, outputs, stride * n)."""
    plain = nn.ConvTranspose1d(inputs, outputs, kernel, stride)
    trim, odd = divmod(kernel - stride, 2)
    run = partial(F.conv_transpose1d, stride=stride, padding=trim + odd, output_padding=odd)
    return WeightNormConv(run, plain.weight, plain.bias)
