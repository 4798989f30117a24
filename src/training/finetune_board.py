"""TensorBoard events beside the diary, where TensorBoard is installed (an extra)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

BOARD = "tensorboard"
"""The folder within a run, as `tensorboard --logdir` takes it."""

CURVES: Mapping[str, tuple[str, ...]] = {
    "step": ("loss", "mel", "text", "noise", "bound", "rate", "gradient", "seconds", "memory"),
    "validation": ("loss", "train_loss"),
    "sample": ("wer", "similarity"),
}
"""Kind of event -> its numbers that make curves."""


def board_of(run: Path) -> Callable[[Mapping[str, Any]], None]:
    """Return what takes the events of the diary; it does nothing without TensorBoard.

    Any: JSON values.
    """
    if find_spec("tensorboard") is None:
        return lambda event: None
    writer = import_module("torch.utils.tensorboard").SummaryWriter(str(run / BOARD))

    def write(event: Mapping[str, Any]) -> None:
        kind = event["kind"]
        group = "/".join(filter(None, (event.get("stage"), kind)))
        numbers = {name: event.get(name) for name in CURVES.get(kind, ())}
        for name, value in numbers.items():
            if value is not None:
                writer.add_scalar(f"{group}/{name}", value, event["step"])
        if kind in ("checkpoint", "end"):
            writer.flush()

    return write
