"""AdamW as in the original training, in 32 or 8 bits, and Muon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from training.finetuning.config.schema import OptimizerConfig


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
