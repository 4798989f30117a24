"""Which engine a model is of, and which of that engine's files it lacks. Light."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import AppError
from core.files import sha256_file
from core.progress import ProgressReporter
from engines.model_files import (
    CONFIG_FILE,
    ModelFileError,
    compute_files_id,
    get_network_path,
    list_tensor_files,
    read_checksums,
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
    engine = get_model_engine(folder)
    if engine in (None, TORTOISE):
        return find_missing_files(folder)
    if engine != SV2TTS:
        return []  # the engine of an installed package says so when it loads the model
    needed = [get_network_path(folder, name).name for name in SV2TTS_NETWORKS]
    return [name for name in needed if not (folder / name).is_file()]


def compute_model_id(folder: Path) -> str:
    """Return the id of the weights that determine latents and speech."""
    engine = get_model_engine(folder)
    if engine in (None, TORTOISE):
        return compute_weights_id(folder)
    if engine == SV2TTS:
        return compute_files_id(folder, SV2TTS_NETWORKS)
    return compute_files_id(folder, [file.stem for file in list_tensor_files(folder)])


def check_model_files(folder: Path, report: ProgressReporter) -> list[tuple[str, str]]:
    """Check the files of a model: (file name, error message or "")."""
    from sv2tts.checkpoints import verify_model
    from tortoise.checkpoints.verify import verify_model_folder

    match get_model_engine(folder):
        case None | "tortoise":
            return verify_model_folder(folder, report)
        case "sv2tts":
            return verify_model(folder)
        case _:  # of an installed package
            return _check_tensor_files(folder)


def _check_tensor_files(folder: Path) -> list[tuple[str, str]]:
    """Check all tensor files against their recorded checksums: (file name, error message or "")."""
    recorded = read_checksums(folder)
    changed = "its content is not what was written; import the model again"
    return [
        (file.name, "" if expected in (None, sha256_file(file)) else changed)
        for file in list_tensor_files(folder)
        for expected in (recorded.get(file.name, {}).get("sha256"),)
    ]


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
