"""Training state on disk: whole or not at all, and read without unpickling code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training.finetuning.checkpoints.state import STATE_FILE


def save_state(folder: Path, step: int, **parts: nn.Module | torch.optim.Optimizer) -> None:
    """Write step and the state of each part beside, then rename over the previous state."""
    state: dict[str, Any] = {"step": step}  # Any: state dicts are nested and heterogeneous
    state |= {name: part.state_dict() for name, part in parts.items()}
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / (STATE_FILE + ".part")
    with beside.open("wb") as handle:
        torch.save(state, handle)
        handle.flush()
        os.fsync(handle.fileno())
    beside.replace(folder / STATE_FILE)


def load_state(folder: Path, **parts: nn.Module | torch.optim.Optimizer) -> int:
    """Put each part back where `save_state` left it; returns the step, 0 for a fresh start."""
    path = folder / STATE_FILE
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    missing = sorted(set(parts) - set(state))
    if missing:
        raise ValueError(f"{path} has no {', '.join(missing)}; it belongs to another recipe")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["step"])
