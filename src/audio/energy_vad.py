"""Voice activity detection by energy."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from audio.clip import Clip

FRAME_S, HOP_S = 0.025, 0.010
SILENCE_DB = -100.0  # below what 16 bits can hold


@dataclass(frozen=True, slots=True, kw_only=True)
class VadOptions:
    """Thresholds between speech and pause."""

    range_db: float = 40.0  # quieter than the loud parts by more than this is a pause
    above_noise_db: float = 6.0  # speech is at least this much above the background
    pause_s: float = 0.3  # a shorter gap belongs to the speech around it
    burst_s: float = 0.05  # a shorter sound alone is a click
    margin_s: float = 0.08  # kept before and after, for soft onsets and endings


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSpan:
    """A part of a clip in samples; `stop` is exclusive."""

    start: int
    stop: int


DEFAULT_OPTIONS = VadOptions()


def find_speech_spans(clip: Clip, options: VadOptions = DEFAULT_OPTIONS) -> list[SampleSpan]:
    """Return the spoken parts in order, with margins; none for a silent clip."""
    level = compute_frame_levels_db(clip)
    if not len(level) or float(level.max()) <= SILENCE_DB:
        return []
    loud, noise = float(level.quantile(0.95)), float(level.quantile(0.05))
    above_noise = min(options.above_noise_db, max(0.0, loud - noise) / 2)
    threshold = max(loud - options.range_db, noise + above_noise)
    runs = _close_gaps(_find_runs(level >= threshold), round(options.pause_s / HOP_S))
    runs = [run for run in runs if run[1] - run[0] >= options.burst_s / HOP_S]
    return _merge_overlapping_spans([_add_margin(run, clip, options.margin_s) for run in runs])


def compute_frame_levels_db(clip: Clip) -> Tensor:
    """Return the level of each 25 ms frame, one every 10 ms, in dB of full scale: (f,).

    Never below SILENCE_DB.
    """
    frame, hop = round(FRAME_S * clip.sample_rate), round(HOP_S * clip.sample_rate)
    if clip.wave.shape[0] < frame:
        return torch.zeros(0)
    power = clip.wave.float().square().unfold(0, frame, hop).mean(-1)
    return (10 * power.log10()).clamp(min=SILENCE_DB)


def _find_runs(active: Tensor) -> list[tuple[int, int]]:
    """(first frame, frame after the last) of each run of True: (f,) bool -> pairs."""
    edges = torch.diff(torch.nn.functional.pad(active.int(), (1, 1)))
    starts, stops = (edges == 1).nonzero().flatten(), (edges == -1).nonzero().flatten()
    return list(zip(starts.tolist(), stops.tolist(), strict=True))


def _close_gaps(runs: list[tuple[int, int]], longest: int) -> list[tuple[int, int]]:
    closed: list[tuple[int, int]] = []
    for start, stop in runs:
        if closed and start - closed[-1][1] < longest:
            closed[-1] = (closed[-1][0], stop)
        else:
            closed.append((start, stop))
    return closed


def _add_margin(run: tuple[int, int], clip: Clip, margin_s: float) -> SampleSpan:
    hop, margin = round(HOP_S * clip.sample_rate), round(margin_s * clip.sample_rate)
    frame = round(FRAME_S * clip.sample_rate)
    start, stop = run[0] * hop - margin, (run[1] - 1) * hop + frame + margin
    return SampleSpan(start=max(0, start), stop=min(clip.wave.shape[0], stop))


def _merge_overlapping_spans(spans: list[SampleSpan]) -> list[SampleSpan]:
    joined: list[SampleSpan] = []
    for span in spans:
        if joined and span.start <= joined[-1].stop:
            joined[-1] = SampleSpan(start=joined[-1].start, stop=span.stop)
        else:
            joined.append(span)
    return joined
