"""How large a step is, and which parameters decay."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Use this learning rate from now on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def adamw(
    module: nn.Module, rate: float, decay: float, betas: tuple[float, float] = (0.9, 0.96)
) -> torch.optim.AdamW:
    """AdamW that decays matrices only: no bias, norm or embedding (SPEC of the original, 11)."""
    embeddings = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for parameter in module.parameters():
        matrix = parameter.dim() > 1 and id(parameter) not in embeddings
        (decayed if matrix else plain).append(parameter)
    groups = [{"params": decayed, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=rate, betas=betas)


def muon_and_adamw(
    module: nn.Module, blocks: nn.Module, rate: float, decay: float
) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Muon for the matrices inside `blocks`, AdamW for everything else of `module`.

    Muon (arXiv:2502.16982) takes about a third fewer steps to the same loss; its steps are scaled
    to the size of AdamW's, so both follow one learning rate.
    """
    matrices = [p for p in blocks.parameters() if p.dim() == 2]
    inside = {id(p) for p in matrices}
    rest = [p for p in module.parameters() if id(p) not in inside]
    muon = torch.optim.Muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    return muon, torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.96), weight_decay=0.0)


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> float:
    """Scale gradients down to a norm of `limit`; returns the norm before."""
    return float(nn.utils.clip_grad_norm_(parameters, limit))
