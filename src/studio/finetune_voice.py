"""The voice of a dataset that was made of a plain folder: somebody has to speak with its finetune.

A dataset of a voice of the studio needs nothing. For any other, some of the clips that are learned
from are copied into a voice of the dataset's name, unless there is one already.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from studio.errors import writing_to
from studio.layout import Layout
from training.manifest import (
    TRAIN,
    Dataset,
    ManifestError,
    read_dataset,
    read_lines,
)
from training.preflight_clips import find_audio

MOST_CLIPS = 10
"""A voice is heard from a minute or two; a finetune brings better latents of its own."""


def ensure_voice(layout: Layout, dataset: str) -> str:
    """Return the voice that speaks with finetunes of a dataset, made where there is none."""
    folder = layout.dataset(dataset)
    try:
        prepared = read_dataset(folder)
    except ManifestError:
        prepared = Dataset(name=dataset)  # made by hand: only train.txt says what is in it
    name = prepared.voice or dataset
    target = layout.voice(name)
    clips = [] if target.exists() else _clips(folder, prepared)
    if not clips:
        return name
    part = target.with_name(f".{name}.part")
    with writing_to(target):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for clip in clips:
            shutil.copyfile(clip, part / clip.name)
        part.rename(target)
    return name


def _clips(folder: Path, prepared: Dataset) -> list[Path]:
    """Choose the clearest clips that are learned from, or the first where nobody measured."""
    rows = sorted(prepared.kept("train"), key=lambda row: -(row.snr_db or 0.0))
    if rows:
        found = [folder / row.file for row in rows]
        return [path for path in found if path.is_file()][:MOST_CLIPS]
    try:
        named = [find_audio(folder, audio) for audio, _ in read_lines(folder / TRAIN)]
    except (ManifestError, OSError):
        return []
    return [path for path in named if path is not None][:MOST_CLIPS]
