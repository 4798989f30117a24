"""Diarization by pyannote.audio, an extra: used where it is installed, with its pipeline on disk.

The pipeline is a folder with config.yaml, such as a copy of pyannote/speaker-diarization-3.1 and
of the weights that its config names. Nothing is downloaded here.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.errors import AppError
from core.progress import ProgressReporter
from training.gold.diarization.clustering import Diarization
from training.gold.diary import Turn

PYANNOTE, PACKAGE = "pyannote", "pyannote.audio"
SAMPLE_RATE = 16_000
CONFIG_FILE = "config.yaml"


def diarize_with_pyannote(
    wave: np.ndarray, pipeline: Path, speakers: int | None, report: ProgressReporter
) -> Diarization:
    """Return who speaks when, with overlaps.

    wave: (n,) at 16 kHz;  pipeline: a folder;  speakers: how many, None to find it. Raises AppError
    where the package or the pipeline is missing.
    """
    loaded = _load_pipeline(pipeline)
    with report.stage("diarize"):
        options = {} if speakers is None else {"num_speakers": speakers}
        sound = {"waveform": torch.from_numpy(wave).unsqueeze(0), "sample_rate": SAMPLE_RATE}
        found = loaded(sound, **options)
    report.check_cancelled()
    annotation = getattr(found, "speaker_diarization", found)  # since version 4 one of several
    spans = [
        (float(segment.start), float(segment.end), str(label))
        for segment, _, label in annotation.itertracks(yield_label=True)
    ]
    spans.sort()
    order = list(dict.fromkeys(label for _, _, label in spans))
    names = {label: f"speaker {number}" for number, label in enumerate(order, 1)}
    turns = tuple(
        Turn(start=max(0.0, start), stop=max(0.0, stop), speaker=names[label])
        for start, stop, label in spans
    )
    return Diarization(turns=turns, overlaps=find_shared(turns), centroids=np.zeros((0, 0)))


def find_shared(turns: tuple[Turn, ...]) -> tuple[tuple[float, float], ...]:
    """Return where turns of two speakers overlap, in order and joined."""
    shared: list[tuple[float, float]] = []
    for index, one in enumerate(turns):
        for two in turns[index + 1 :]:
            if two.start >= one.stop:
                break
            if two.speaker == one.speaker:
                continue
            start, stop = two.start, min(one.stop, two.stop)
            if shared and start <= shared[-1][1]:
                shared[-1] = (shared[-1][0], max(shared[-1][1], stop))
            else:
                shared.append((start, stop))
    return tuple(shared)


def _load_pipeline(folder: Path) -> Any:  # Any: the package is optional
    try:
        package: Any = import_module(PACKAGE)
    except ImportError as error:
        raise AppError(
            f"The method {PYANNOTE} needs the package {PACKAGE}, which is not installed. Install "
            "it, or choose another method.",
            code="missing_package",
        ) from error
    if not (folder / CONFIG_FILE).is_file():
        raise AppError(
            f"The method {PYANNOTE} needs a pipeline in {folder}: put a folder with {CONFIG_FILE} "
            "and the weights that it names there, or choose another method.",
            code="missing_file",
        )
    return package.Pipeline.from_pretrained(folder / CONFIG_FILE)
