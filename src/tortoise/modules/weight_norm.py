"""Weight-normalised convolutions, under the names of the published vocoders.

torch keeps length and direction of a weight (arXiv:1602.07868) as
`parametrizations.weight.original0` and `original1`; in a state dict they are `weight_g` and
`weight_v`.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

ConvT = TypeVar("ConvT", bound=nn.Module)
PUBLISHED_NAMES = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}


def weight_norm(conv: ConvT) -> ConvT:
    """Normalise the weight of a convolution, one length per entry of its first dimension.

    torch itself renames the published keys on loading; the hook does the same on saving.
    """
    parametrizations.weight_norm(conv)
    conv.register_state_dict_post_hook(_use_published_names)
    return conv


def fold_weight_norm(module: nn.Module) -> None:
    """Replace length and direction of every convolution by their product, in place, for inference.

    `remove_parametrizations` would break the module that `module` is a deep copy of: it takes the
    weight from the class that both share.
    """
    for part in list(module.modules()):
        if parametrize.is_parametrized(part, "weight"):
            weight = cast(Tensor, part.weight).detach()
            del part.parametrizations
            part.__class__ = parametrize.type_before_parametrizations(part)
            part.register_parameter("weight", nn.Parameter(weight, requires_grad=False))


def conv1d(
    inputs: int, outputs: int, kernel: int, *, dilation: int = 1, reflect: bool = False
) -> nn.Conv1d:
    """A convolution that keeps the length: (b, inputs, n) -> (b, outputs, n), `kernel` odd.

    reflect: mirror the ends instead of padding them with zeros.
    """
    padding = dilation * (kernel - 1) // 2
    mode: Literal["reflect", "zeros"] = "reflect" if reflect else "zeros"
    return weight_norm(
        nn.Conv1d(inputs, outputs, kernel, padding=padding, dilation=dilation, padding_mode=mode)
    )


def upsample1d(inputs: int, outputs: int, kernel: int, stride: int) -> nn.ConvTranspose1d:
    """A transposed convolution: (b, inputs, n) -> (b, outputs, stride * n)."""
    trim, odd = divmod(kernel - stride, 2)
    return weight_norm(
        nn.ConvTranspose1d(inputs, outputs, kernel, stride, padding=trim + odd, output_padding=odd)
    )


class ChannelsLastConv1d(nn.Conv1d):
    """A convolution of (b, n, channels) that keeps the length, `kernel` odd.

    It runs as a picture of height one, in which form torch keeps channels last through a layer.
    """

    def __init__(self, channels: int, kernel: int, dilation: int = 1) -> None:
        super().__init__(channels, channels, kernel, dilation=dilation)
        weight_norm(self)

    def forward(self, x: Tensor) -> Tensor:
        weight, dilation = self.weight, self.dilation[0]
        pad = dilation * (weight.shape[-1] - 1) // 2
        picture = x.transpose(1, 2).unsqueeze(2)
        kernel = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        y = F.conv2d(picture, kernel, self.bias, padding=(0, pad), dilation=(1, dilation))
        return y.squeeze(2).transpose(1, 2)


def _use_published_names(
    conv: nn.Module, state: dict[str, Any], prefix: str, metadata: Any
) -> None:  # Any: the signature that torch gives this hook
    for ours, published in PUBLISHED_NAMES.items():
        if prefix + ours in state:
            state[prefix + published] = state.pop(prefix + ours)
