"""Create the voice of a dataset that was prepared from a plain folder, for its finetuned models."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.errors import translate_write_errors
from core.files import commit_folder
from core.paths import ProjectPaths
from training.dataset_prep.manifest import (
    TRAIN_FILE,
    Dataset,
    ManifestError,
    read_clip_list,
    read_dataset,
)
from training.finetuning.preflight.clips import find_audio

MAX_VOICE_CLIPS = 10


def ensure_voice(layout: ProjectPaths, dataset: str) -> str:
    """Return the voice of a dataset's finetuned models.

    Creates a voice of the dataset's name from training clips where neither is there.
    """
    folder = layout.dataset(dataset)
    prepared = _read_prepared(folder)
    name = prepared.voice or dataset
    target = layout.voice(name)
    clips = [] if target.exists() else _select_clips(folder, prepared)
    if not clips:
        return name
    part = target.with_name(f".{name}.part")
    with translate_write_errors(target):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for clip in clips:
            shutil.copyfile(clip, part / clip.name)
        commit_folder(part, target)
    return name


def get_voice_name(layout: ProjectPaths, dataset: str) -> str:
    """Return the name of that voice, which may not be there yet."""
    return _read_prepared(layout.dataset(dataset)).voice or dataset


def _read_prepared(folder: Path) -> Dataset:
    try:
        return read_dataset(folder)
    except ManifestError:
        return Dataset(name=folder.name)  # made by hand: it has only a train.txt


def _select_clips(folder: Path, prepared: Dataset) -> list[Path]:
    """Return the training clips with the best SNR, or the first ones where it is unknown."""
    rows = sorted(prepared.kept("train"), key=lambda row: -(row.snr_db or 0.0))
    if rows:
        found = [folder / row.file for row in rows]
        return [path for path in found if path.is_file()][:MAX_VOICE_CLIPS]
    try:
        named = [find_audio(folder, audio) for audio, _ in read_clip_list(folder / TRAIN_FILE)]
    except (ManifestError, OSError):
        return []
    return [path for path in named if path is not None][:MAX_VOICE_CLIPS]
