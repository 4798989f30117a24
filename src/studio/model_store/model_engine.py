"""Which engine a model is of, and which of that engine's files it lacks. Light."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import AppError
from engines.model_files import (
    CONFIG_FILE,
    ModelFileError,
    compute_files_id,
    get_network_path,
    read_json,
)
from tortoise.checkpoints.layout import compute_weights_id, find_missing_files

TORTOISE, SV2TTS = "tortoise", "sv2tts"
SV2TTS_NETWORKS = ("encoder", "synthesizer")
PUBLISHED_SV2TTS_FILE = "synthesizer.pt"


def get_model_engine(folder: Path) -> str | None:
    """Return the engine that config.json names; None for a model of TorToiSe, which names none."""
    try:
        config: Any = read_json(folder / CONFIG_FILE)  # Any: JSON
    except ModelFileError:
        return None
    engine = config.get("engine") if isinstance(config, dict) else None
    return engine if isinstance(engine, str) else None


def find_missing_model_files(folder: Path) -> list[str]:
    """Return the missing files that synthesis requires."""
    if get_model_engine(folder) != SV2TTS:
        return find_missing_files(folder)
    needed = [get_network_path(folder, name).name for name in SV2TTS_NETWORKS]
    return [name for name in needed if not (folder / name).is_file()]


def compute_model_id(folder: Path) -> str:
    """Return the id of the weights that determine latents and speech."""
    if get_model_engine(folder) != SV2TTS:
        return compute_weights_id(folder)
    return compute_files_id(folder, SV2TTS_NETWORKS)


def holds_published_sv2tts(folder: Path) -> bool:
    """Return whether a folder holds the files that Real-Time Voice Cloning publishes."""
    return (folder / PUBLISHED_SV2TTS_FILE).is_file()


def refuse_other_engine(folder: Path, engine: str) -> None:
    """Raise AppError where a model of another engine has the place of an import."""
    there = get_model_engine(folder) or TORTOISE
    if (folder / CONFIG_FILE).is_file() and there != engine:
        raise AppError(
            f"{folder} is a model of the engine {there}, and the files are of {engine}. Give the "
            "new model another name."
        )
