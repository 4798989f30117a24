"""The optimizer of a finetuning: AdamW as the original was trained with, in 32 or in 8 bits."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from training.config import OptimizerChoice
from training.schedule import adamw

EIGHT_BIT = "bitsandbytes"  # an extra: NVIDIA GPUs only


def adamw_of(module: nn.Module, choice: OptimizerChoice) -> torch.optim.Optimizer:
    """Return AdamW over a module.  Raises ValueError where 8 bits are wanted but not to be had."""
    plain = adamw(module, choice.rate, choice.weight_decay, (choice.beta1, choice.beta2))
    if not choice.eight_bit:
        return plain
    if find_spec(EIGHT_BIT) is None or not torch.cuda.is_available():
        raise ValueError(
            f"optimizer.eight_bit needs an NVIDIA GPU and the package {EIGHT_BIT}. Install it "
            f"with `.venv/bin/python -m pip install {EIGHT_BIT}`, or turn eight_bit off."
        )
    groups = [
        {"params": group["params"], "weight_decay": group["weight_decay"]}
        for group in plain.param_groups
    ]
    small: torch.optim.Optimizer = import_module(EIGHT_BIT).optim.AdamW8bit(
        groups, lr=choice.rate, betas=(choice.beta1, choice.beta2)
    )
    return small


class Learned:
    """What a run has changed of a network: all the rest comes from the bundle again."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def state_dict(self) -> dict[str, Tensor]:
        """Return the parameters that learn, by name."""
        named = self._module.named_parameters()
        return {name: value.detach() for name, value in named if value.requires_grad}

    @torch.no_grad()
    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Go on with these.  Raises ValueError where they are those of another choice."""
        own = self.state_dict()
        if own.keys() != state_dict.keys():
            raise ValueError("what learns is not what learned")
        for name, value in own.items():
            value.copy_(state_dict[name])
