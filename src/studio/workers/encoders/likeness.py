"""Worker task that compares generated clips with their voices, for the History tab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from audio.clip import Clip, ClipError
from audio.io import read_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from speakers.embedding import Encoder, embed_clip, mean_embedding
from studio.encoders.lab import choose_encoder
from studio.history.likeness import (
    LikenessResult,
    MeasureLikenessRequest,
    UnmeasuredFile,
)
from studio.history.service import History
from studio.voices.catalog import parse_blend
from studio.workers.context import TaskContext
from studio.workers.encoders.evaluation import find_encoder
from studio.workers.encoders.lab import embed_voice

BATCH = 20  # files between two writes
STAGE = "compare with voices"

VoiceEmbedder = Callable[[str], "np.ndarray | None"]


def measure_likeness_task(
    context: TaskContext, request: MeasureLikenessRequest, report: ProgressReporter
) -> LikenessResult:
    """Measure the similarity of every clip and candidate to its voice, and save it in the index."""
    history = History.open(context.layout)
    history.scan_if_changed(report)
    with report.stage("load"):
        encoder = find_encoder(context.layout, request.encoder, context.settings.device)
    skipped: dict[str, str] = {}

    @cache
    def embed(voice: str) -> np.ndarray | None:
        try:
            return embed_blend(encoder, context.layout, voice)
        except (AppError, ClipError) as error:
            skipped[voice] = str(error)
            return None

    count, measured = 0, dict[UnmeasuredFile, float | None]()
    for file in report.track(history.list_unmeasured(encoder.name), STAGE):
        measured[file] = _measure(context.layout, file, encoder, embed)
        count += measured[file] is not None
        if len(measured) == BATCH:
            history.save_likeness(measured, encoder.name)
            measured = {}
    history.save_likeness(measured, encoder.name)
    return LikenessResult(encoder=encoder.name, measured=count, skipped=skipped)


def measure_clips(
    layout: ProjectPaths, clips: Sequence[Clip], voice: str, device: str
) -> list[float | None]:
    """Return the similarity of each clip to its voice; None for all where it has no recordings."""
    try:
        encoder = find_encoder(layout, choose_encoder(), device)
        wanted = embed_blend(encoder, layout, voice)
        return [round(float(embed_clip(encoder, clip) @ wanted), 4) for clip in clips]
    except (AppError, ClipError):
        return [None] * len(clips)


def embed_blend(encoder: Encoder, layout: ProjectPaths, spoken_by: str) -> np.ndarray:
    """Return the embedding of a voice, or the weighted mean of those of a blend: (e,).

    Raises AppError or ClipError where a voice is random, missing, or has no clips.
    """
    parts = parse_blend(spoken_by)
    if any(part.is_random for part in parts):
        raise AppError("A random voice has no recordings to compare with.")
    vectors = [part.weight * embed_voice(encoder, layout, part.voice) for part in parts]
    return mean_embedding(np.stack(vectors))


def _measure(
    layout: ProjectPaths, file: UnmeasuredFile, encoder: Encoder, embed: VoiceEmbedder
) -> float | None:
    voice = embed(file.voice)
    if voice is None:
        return None
    try:
        return round(float(embed_clip(encoder, read_clip(layout.results / file.path)) @ voice), 4)
    except (ClipError, OSError):
        return None
