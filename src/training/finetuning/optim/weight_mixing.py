"""Keep a share of the weights from before a training (arXiv:2109.01903)."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def mix_parameters(before: nn.Module, after: nn.Module, kept: float) -> None:
    """Give `after` a share of the parameters of `before`, in place.  kept: 0 to 1."""
    for old, new in zip(before.parameters(), after.parameters(), strict=True):
        new.lerp_(old, kept)
