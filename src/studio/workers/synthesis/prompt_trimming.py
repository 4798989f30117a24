"""Words that steer how a text is spoken are spoken too; here they are cut out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from audio.clip import Clip
from core.progress import ProgressReporter
from engines.protocols import SupportsAlignment
from engines.speaker_latents import SpeakerLatents
from studio.synthesis.planning import TextSpan
from studio.workers.synthesis.concatenate import fade_edges
from training.asr.availability import list_hugging_face_models
from training.asr.base import SAMPLE_RATE

if TYPE_CHECKING:
    from engines.protocols import Engine

CUT_SEARCH_S = 0.12  # a cut moves this far to the quietest place
ENERGY_WINDOW_S = 0.02  # over which quiet is measured
MIN_CLIP_S = 0.2  # what is left of a clip after cutting
FADE_S = 0.005


def trim_prompt(
    clip: Clip,
    passages: Sequence[TextSpan],
    engine: Engine,
    speaker: SpeakerLatents,
    report: ProgressReporter,
    models: Path | None = None,
) -> Clip:
    """Cut the passages that only steer out of a clip that speaks them all.

    They are located by a wav2vec2 model, if one is installed in the folder `models`, else by the
    engine. Where they cannot be found, warns and returns the clip as it is.
    """
    if all(passage.audible for passage in passages):
        return clip
    texts = [passage.text for passage in passages]
    with report.stage("aligning"):
        starts = _locate_with_wav2vec2(texts, clip, models) if models is not None else None
        if starts is None and isinstance(engine, SupportsAlignment):
            starts = engine.align(texts, clip, speaker, report)
    kept = join_audible_spans(clip, starts, passages) if starts is not None else None
    if kept is None:
        steering = " ".join(passage.text for passage in passages if not passage.audible)
        report.warn(
            f"The steering words {steering!r} could not be found in the take, "
            "so they are still heard in it."
        )
        return clip
    return kept


def _locate_with_wav2vec2(texts: Sequence[str], clip: Clip, models: Path) -> list[float] | None:
    if not list_hugging_face_models(models, "wav2vec2"):
        return None
    from training.asr.ctc_alignment import find_passage_starts
    from training.asr.forced_alignment import find_ctc_aligner

    aligner = find_ctc_aligner(" ".join(texts), "en", models)
    wave = clip.resample(SAMPLE_RATE).wave
    return None if aligner is None else find_passage_starts(wave, texts, aligner)


def join_audible_spans(
    clip: Clip, starts: Sequence[float], passages: Sequence[TextSpan]
) -> Clip | None:
    """Join the passages that are heard; None where too little would be left.

    starts: seconds at which each passage begins.
    """
    rate = clip.sample_rate
    edges = [find_quietest_sample(clip.wave, round(start * rate), rate) for start in starts]
    ends = [*edges[1:], clip.wave.shape[0]]
    edges[0] = 0
    spans = [
        clip.wave[start:end]
        for passage, start, end in zip(passages, edges, ends, strict=True)
        if passage.audible and end > start
    ]
    wave = torch.cat([fade_edges(span, round(FADE_S * rate)) for span in spans] or [torch.zeros(0)])
    return replace(clip, wave=wave) if wave.shape[0] >= MIN_CLIP_S * rate else None


def find_quietest_sample(wave: Tensor, place: int, rate: int) -> int:
    """Return the sample near `place` around which the wave is quietest.  wave: (n,)."""
    reach, window = round(CUT_SEARCH_S * rate), max(1, round(ENERGY_WINDOW_S * rate))
    low, high = max(0, place - reach), min(wave.shape[0], place + reach)
    if high - low <= window:
        return min(max(place, 0), wave.shape[0])
    energy = wave[low:high].double().square().unfold(0, window, 1).mean(-1)  # (places,)
    return low + int(energy.argmin()) + window // 2
