"""The inventory of the published checkpoints: which tensors a file holds, and their shapes."""

from __future__ import annotations

import json

import pytest
import torch

from support.golden_cases import GOLDEN


def published_shapes(file: str) -> dict[str, tuple[int, ...]]:
    """Every key of a published file and its shape; skips where the inventory is missing."""
    manifest = GOLDEN.parent / "manifest.json"
    if not manifest.exists():
        pytest.skip(f"no inventory of published checkpoints at {manifest}")
    checkpoints = json.loads(manifest.read_text(encoding="utf-8"))["checkpoints"]
    return {entry["key"]: tuple(entry["shape"]) for entry in checkpoints[file]["state_dict"]}


def shapes_of(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """The same of one of our networks."""
    return {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
