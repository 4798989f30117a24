"""Muon for convolutions: a kernel is flattened to a matrix (out, in * taps)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

MIN_MATRIX_SIDE = 16  # smaller matrices are left to AdamW


class ConvMuon(torch.optim.Optimizer):
    """torch.optim.Muon for weights of three axes.

    weights: (out, in, taps) each; a step moves them as (out, in * taps), sized like AdamW's steps.
    """

    def __init__(self, weights: Iterable[nn.Parameter], rate: float, decay: float) -> None:
        kept = list(weights)
        super().__init__(kept, {"lr": rate})
        self._weights = kept
        self._matrices = [nn.Parameter(weight.data.flatten(1)) for weight in kept]  # same memory
        self._muon = torch.optim.Muon(
            self._matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient."""
        for matrix, weight in zip(self._matrices, self._weights, strict=True):
            matrix.grad = None if weight.grad is None else weight.grad.flatten(1)
        self._muon.param_groups[0]["lr"] = self.param_groups[0]["lr"]
        self._muon.step()

    def state_dict(self) -> dict[str, Any]:  # Any: as of every optimizer
        """Return the momentum of every matrix."""
        state: dict[str, Any] = self._muon.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the momentum."""
        self._muon.load_state_dict(state_dict)


def create_conv_muon_and_adamw(
    module: nn.Module, blocks: nn.Module, rate: float, decay: float
) -> tuple[ConvMuon, torch.optim.AdamW]:
    """Create ConvMuon for the convolutions in `blocks`, AdamW for the rest of `module`."""
    kernels = [
        p
        for p in blocks.parameters()
        if p.dim() == 3 and min(p.flatten(1).shape) >= MIN_MATRIX_SIDE
    ]
    inside = {id(p) for p in kernels}
    rest = [p for p in module.parameters() if id(p) not in inside]
    adamw = torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.99), weight_decay=0.0)
    return ConvMuon(kernels, rate, decay), adamw
