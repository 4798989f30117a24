"""A LoRA finetune of a tiny bundle, as an export of a checkpoint leaves it."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from engines.safetensors_io import save_tensors
from tortoise.checkpoints.layout import compute_weights_id, get_adapter_paths
from tortoise.checkpoints.loading import load_network
from tortoise.modules.gpt import Gpt
from training.finetuning.checkpoints.run_layout import (
    FINETUNE_FILE,
    FinetuneMetadata,
    write_info_file,
)
from training.finetuning.optim.freezing import get_trainable_parameters
from training.finetuning.optim.lora import (
    add_lora_adapters,
    get_adapter_state_dict,
    get_merged_state_dict,
)

FACTS = {"run": "001", "step": 1, "loss": 1.0, "train_loss": 1.0, "clips": 1, "seconds": 9.0}


def make_lora_finetune(base: Path, target: Path, voice: str = "somebody") -> Path:
    """Write a finetune whose adapter has learned random numbers; return its folder."""
    shutil.copytree(base, target)
    gpt = load_network(base, "gpt")
    assert isinstance(gpt, Gpt)
    add_lora_adapters(gpt, rank=2, alpha=2.0, frozen=frozenset(), seed=0)
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in get_trainable_parameters(gpt):
            parameter.add_(torch.randn(parameter.shape, generator=draws) * 0.3)
    save_tensors(target / "gpt.safetensors", get_merged_state_dict(gpt))
    adapter, kept = get_adapter_paths(target)
    kept.parent.mkdir()
    save_tensors(adapter, get_adapter_state_dict(gpt))
    shutil.copyfile(base / "gpt.safetensors", kept)
    metadata = FinetuneMetadata(
        voice=voice,
        dataset=voice,
        base=base.name,
        base_weights_id=compute_weights_id(base),
        created=1.0,
        **FACTS,  # type: ignore[arg-type]
    )
    write_info_file(target / FINETUNE_FILE, metadata)
    return target
