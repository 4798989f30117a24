"""Pictures of a synthesizer training: attention, target and predicted mel."""

from __future__ import annotations

import math
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from core.errors import AppError
from core.files import atomic_path


def draw_alignment(path: Path, attention: Tensor, title: str) -> None:
    """Draw an attention (decoder steps, characters) as PNG. Needs matplotlib."""
    _draw(path, [("character", "decoder step", attention.T)], title)


def draw_mels(path: Path, target: Tensor, predicted: Tensor, title: str) -> None:
    """Draw a target and a predicted mel (bands, frames) as PNG. Needs matplotlib."""
    _draw(path, [("target", "frame", target), ("predicted", "frame", predicted)], title)


def draw_embedding(path: Path, embedding: Tensor, title: str) -> None:
    """Draw an embedding (s,) as a square of colors, PNG. Needs matplotlib."""
    side = math.ceil(math.sqrt(len(embedding)))
    square = F.pad(embedding, (0, side * side - len(embedding))).view(side, side)
    _draw(path, [("row", "value", square)], title)


def _draw(path: Path, pictures: list[tuple[str, str, Tensor]], title: str) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise AppError("matplotlib is not installed; pictures are left out.") from error
    figure = Figure(figsize=(8, 3 * len(pictures)), layout="constrained")
    figure.suptitle(title)
    for index, (vertical, horizontal, values) in enumerate(pictures):
        axes = figure.add_subplot(len(pictures), 1, index + 1)
        image = axes.imshow(values.detach().float().cpu().numpy(), aspect="auto", origin="lower")
        axes.set_ylabel(vertical)
        axes.set_xlabel(horizontal)
        figure.colorbar(image)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as part:
        figure.savefig(part, format="png")
