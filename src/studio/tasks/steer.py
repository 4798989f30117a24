"""Words that steer how a text is spoken are spoken too; here they are cut out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engines.abilities import Aligns
from engines.conditioning import Conditioning
from jobs.report import Reporter
from speech.clip import Clip
from studio.plan import Passage
from studio.tasks.join import fade_edges

if TYPE_CHECKING:
    from engines.base import Engine

SEARCH_S = 0.12  # a cut moves this far to the quietest place
WINDOW_S = 0.02  # over which quiet is measured
SHORTEST_S = 0.2  # what is left of a clip after cutting
FADE_S = 0.005


def keep_heard(
    clip: Clip,
    passages: Sequence[Passage],
    engine: Engine,
    speaker: Conditioning,
    report: Reporter,
) -> Clip:
    """Cut the passages that only steer out of a clip that speaks them all.

    Where they cannot be found, warns and returns the clip as it is.
    """
    if all(passage.heard for passage in passages):
        return clip
    starts = None
    if isinstance(engine, Aligns):
        with report.stage("aligning"):
            texts = [passage.text for passage in passages]
            starts = engine.align(texts, clip, speaker, report)
    kept = cut(clip, starts, passages) if starts is not None else None
    if kept is None:
        steering = " ".join(passage.text for passage in passages if not passage.heard)
        report.warn(
            f"The steering words {steering!r} could not be found in the take, "
            "so they are still heard in it."
        )
        return clip
    return kept


def cut(clip: Clip, starts: Sequence[float], passages: Sequence[Passage]) -> Clip | None:
    """Join the passages that are heard; None where too little would be left.

    starts: seconds at which each passage begins.
    """
    rate = clip.sample_rate
    edges = [quietest_near(clip.wave, round(start * rate), rate) for start in starts]
    ends = [*edges[1:], clip.wave.shape[0]]
    edges[0] = 0
    spans = [
        clip.wave[start:end]
        for passage, start, end in zip(passages, edges, ends, strict=True)
        if passage.heard and end > start
    ]
    wave = torch.cat([fade_edges(span, round(FADE_S * rate)) for span in spans] or [torch.zeros(0)])
    return replace(clip, wave=wave) if wave.shape[0] >= SHORTEST_S * rate else None


def quietest_near(wave: Tensor, place: int, rate: int) -> int:
    """Return the sample near `place` around which the wave is quietest.  wave: (n,)."""
    reach, window = round(SEARCH_S * rate), max(1, round(WINDOW_S * rate))
    low, high = max(0, place - reach), min(wave.shape[0], place + reach)
    if high - low <= window:
        return min(max(place, 0), wave.shape[0])
    energy = wave[low:high].double().square().unfold(0, window, 1).mean(-1)  # (places,)
    return low + int(energy.argmin()) + window // 2
