"""The voice of a dataset that was made of a plain folder: somebody has to speak with its finetune.

A dataset of a voice of the studio needs nothing. For any other, some of the clips that are learned
from are copied into a voice of the dataset's name, unless there is one already.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from core.errors import translate_write_errors
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
"""A voice is heard from a minute or two; a finetune brings better latents of its own."""


def ensure_voice(layout: ProjectPaths, dataset: str) -> str:
    """Return the voice that speaks with finetunes of a dataset, made where there is none."""
    folder = layout.dataset(dataset)
    try:
        prepared = read_dataset(folder)
    except ManifestError:
        prepared = Dataset(name=dataset)  # made by hand: only train.txt says what is in it
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
        part.rename(target)
    return name


def _select_clips(folder: Path, prepared: Dataset) -> list[Path]:
    """Choose the clearest clips that are learned from, or the first where nobody measured."""
    rows = sorted(prepared.kept("train"), key=lambda row: -(row.snr_db or 0.0))
    if rows:
        found = [folder / row.file for row in rows]
        return [path for path in found if path.is_file()][:MAX_VOICE_CLIPS]
    try:
        named = [find_audio(folder, audio) for audio, _ in read_clip_list(folder / TRAIN_FILE)]
    except (ManifestError, OSError):
        return []
    return [path for path in named if path is not None][:MAX_VOICE_CLIPS]
