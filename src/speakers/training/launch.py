"""Start encoder trainings. Light.

start_training(models / "english", dataset, config)
"""

from __future__ import annotations

import sys
from pathlib import Path

from core.errors import AppError
from runs.launch import start_process
from speakers.dataset import read_speaker_dataset
from speakers.training.config import CONFIG_FILE, EncoderTrainConfig, write_encoder_config

TRAINER = ("-m", "speakers.training.trainer")


def start_training(
    run: Path,
    dataset: Path,
    config: EncoderTrainConfig | None = None,
    *,
    force_restart: bool = False,
    turn: Path | None = None,
) -> None:
    """Start a training, or resume it, in a process of its own.

    run: its folder;  config: None for the one that the folder has;  turn: a lock file of which one
    holder trains at a time. Raises AppError where it runs already, or nothing can be trained.
    """
    read_speaker_dataset(dataset)
    if config is None and not (run / CONFIG_FILE).is_file():
        raise AppError(f"{run} has no {CONFIG_FILE}; give the options of a new training.")
    command = [sys.executable, *TRAINER, str(run.absolute()), "--dataset", str(dataset.absolute())]
    if force_restart:
        command.append("--force-restart")

    def prepare() -> None:
        if config is not None:
            write_encoder_config(run / CONFIG_FILE, config)

    start_process(run, command, prepare, turn)
