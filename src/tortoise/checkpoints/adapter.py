"""LoRA adapters of a finetuned GPT (arXiv:2106.09685), added to the weights in part or whole."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from engines.model_files import ModelFileError
from engines.safetensors_io import (
    find_tensor_problem,
    is_finite,
    load_weights_strict,
    read_tensors,
)
from tortoise.checkpoints.layout import get_adapter_paths

MERGED = 1.0  # the strength that gpt.safetensors of a finetune has


@torch.no_grad()
def load_adapted_weights(network: nn.Module, folder: Path, strength: float) -> None:
    """Load weight + strength * (down @ up) for each adapted projection, the rest as in the base.

    Raises ModelFileError for an adapter that does not fit the network.
    """
    adapter, base = get_adapter_paths(folder)
    load_weights_strict(network, base)
    tensors = read_tensors(adapter)
    weights = dict(network.named_parameters())
    for name in sorted({key.rpartition(".")[0] for key in tensors}):
        weight = weights.get(f"{name}.weight")
        down, up = tensors.get(f"{name}.down"), tensors.get(f"{name}.up")
        if weight is None or down is None or up is None or not _do_fit(weight, down, up):
            raise ModelFileError(
                f"{adapter} does not fit the GPT of the model at {name}. Export the checkpoint "
                "again.",
                code="bundle_incompatible",
            )
        if strength:
            weight.data = weight + strength * (down.float() @ up.float())


def _do_fit(weight: Tensor, down: Tensor, up: Tensor) -> bool:
    if any(find_tensor_problem(half) or not is_finite(half) for half in (down, up)):
        return False
    if down.dim() != 2 or up.dim() != 2 or not down.is_floating_point():
        return False
    return down.shape[1] == up.shape[0] and (len(down), up.shape[1]) == tuple(weight.shape)
