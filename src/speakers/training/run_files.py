"""The files of an encoder training.

<models>/<run>/
    encoder.yaml  model.txt  inputs/            configuration, network, four input examples
    events.jsonl  console.log  lock  stop       as every detached training has
    state.pt                                    to resume from, exactly
    encoder.pt                                  the latest encoder
    saved_model.pt                              the one with the lowest validation loss
    encoder_<step>.bak  umap_<step>.png         backups and pictures
    ckpt_<step>.ckpt                            the last one, of a training that reached its end
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from core.files import atomic_path, write_text
from speakers.modules.checkpoints import count_parameters
from speakers.training.config import EncoderTrainConfig

ENCODER_FILE, BEST_FILE, NETWORK_FILE, INPUTS_DIR = (
    "encoder.pt", "saved_model.pt", "model.txt", "inputs"
)  # fmt: skip
INPUT_EXAMPLES = 4
PICTURED_SPEAKERS = 10


def get_backup_path(run: Path, step: int) -> Path:
    """Return the backup of a step."""
    return run / f"encoder_{step:06d}.bak"


def get_final_path(run: Path, step: int) -> Path:
    """Return the file of a training that ended at a step."""
    return run / f"ckpt_{step}.ckpt"


def get_projection_path(run: Path, step: int) -> Path:
    """Return the picture of the embeddings at a step."""
    return run / f"umap_{step:06d}.png"


def write_description(
    run: Path, model: nn.Module, config: EncoderTrainConfig, frames: Tensor
) -> None:
    """Write the network as text, and the first input examples as .npy and, if possible, .png."""
    lines = [str(model), f"{count_parameters(model):,} parameters", str(config)]
    write_text(run / NETWORK_FILE, "\n\n".join(lines) + "\n")
    folder = run / INPUTS_DIR
    folder.mkdir(exist_ok=True)
    for number, example in enumerate(frames[:INPUT_EXAMPLES].numpy()):
        with atomic_path(folder / f"{number}.npy") as part:
            np.save(part, example)
        if find_spec("matplotlib") is not None:
            with atomic_path(folder / f"{number}.png") as part:
                import_module("matplotlib.image").imsave(part, example.T[::-1], format="png")


def draw_projection(path: Path, embeddings: Tensor, speakers: Sequence[str]) -> None:
    """Draw the embeddings of up to ten speakers with UMAP: (n, m, e).

    Raises ImportError or AppError where a package for it is not installed.
    """
    from speakers.evaluation.plots import plot_projection
    from speakers.evaluation.projection import project

    shown = embeddings[:PICTURED_SPEAKERS]
    names = [name for name in speakers[:PICTURED_SPEAKERS] for _ in range(shown.shape[1])]
    points = project(shown.flatten(0, 1).numpy(), "umap")
    plot_projection(points, names, [""] * len(names), path.stem, path)
