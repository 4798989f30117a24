"""AdamW as in the original training, in 32 or 8 bits, and Muon."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from training.finetuning.config.schema import OptimizerConfig

MIN_MATRIX_SIDE = 16  # smaller matrices are left to AdamW


def set_lr(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all groups."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def make_adamw(
    module: nn.Module, rate: float, decay: float, betas: tuple[float, float] = (0.9, 0.96)
) -> torch.optim.AdamW:
    """Create AdamW with weight decay on matrices only: no bias, norm or embedding."""
    embeddings = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for parameter in module.parameters():
        matrix = parameter.dim() > 1 and id(parameter) not in embeddings
        (decayed if matrix else plain).append(parameter)
    groups = [{"params": decayed, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=rate, betas=betas)


def make_muon_and_adamw(
    module: nn.Module, blocks: nn.Module, rate: float, decay: float
) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Create Muon for the matrices in `blocks`, AdamW for the rest of `module`.

    Muon (arXiv:2502.16982): its updates are scaled to the size of AdamW's, so both share one
    learning rate.
    """
    matrices = [p for p in blocks.parameters() if p.dim() == 2]
    inside = {id(p) for p in matrices}
    rest = [p for p in module.parameters() if id(p) not in inside]
    muon = torch.optim.Muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    return muon, torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.96), weight_decay=0.0)


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


def clip_grad_norm(parameters: Iterable[nn.Parameter], limit: float) -> float:
    """Clip the gradient norm to `limit`; return the norm before."""
    return float(nn.utils.clip_grad_norm_(parameters, limit))


BITSANDBYTES = "bitsandbytes"  # an extra: NVIDIA GPUs only


def create_optimizer(module: nn.Module, choice: OptimizerConfig) -> torch.optim.Optimizer:
    """Create AdamW.  Raises ValueError where 8 bits are chosen but not available."""
    plain = make_adamw(module, choice.rate, choice.weight_decay, (choice.beta1, choice.beta2))
    if not choice.eight_bit:
        return plain
    if find_spec(BITSANDBYTES) is None or not torch.cuda.is_available():
        raise ValueError(
            f"optimizer.eight_bit needs an NVIDIA GPU and the package {BITSANDBYTES}. Install it "
            f"with `.venv/bin/python -m pip install {BITSANDBYTES}`, or turn eight_bit off."
        )
    groups = [
        {"params": group["params"], "weight_decay": group["weight_decay"]}
        for group in plain.param_groups
    ]
    small: torch.optim.Optimizer = import_module(BITSANDBYTES).optim.AdamW8bit(
        groups, lr=choice.rate, betas=(choice.beta1, choice.beta2)
    )
    return small


class TrainableState:
    """The state dict of the trainable parameters; the frozen ones come from the model."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def state_dict(self) -> dict[str, Tensor]:
        """Return the trainable parameters by name."""
        named = self._module.named_parameters()
        return {name: value.detach() for name, value in named if value.requires_grad}

    @torch.no_grad()
    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load them.  Raises ValueError where other parameters were trainable."""
        own = self.state_dict()
        if own.keys() != state_dict.keys():
            raise ValueError("the saved state has other trainable parameters")
        for name, value in own.items():
            value.copy_(state_dict[name])
