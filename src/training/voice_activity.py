"""Where in a recording somebody speaks: silero-vad where it is installed, else by energy alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch

from jobs.report import Reporter
from speech.clip import Clip
from speech.recordings import Recording
from speech.vad import VadOptions, frame_levels, speech_spans
from training.silero import CONTEXT, RATE, WINDOW, has_silero, load_silero

if TYPE_CHECKING:
    from torch import Tensor

Times: TypeAlias = tuple[float, float]  # first and last second

BLOCK_S = 60.0  # looked at together by energy
STRIP = 625  # windows between two looks whether to stop: 20 s
SURE, UNSURE = 0.5, 0.35  # speech begins above the one and ends below the other
PAUSE_S = 0.15  # a shorter gap belongs to the speech around it
BURST_S = 0.1  # a shorter sound alone is a click
REACH_S = 0.3  # how far an end may be moved to where its sound really ends
QUIETEST_WORD_DB = 35.0  # below the loud parts
ENERGY = VadOptions(pause_s=PAUSE_S, burst_s=BURST_S, margin_s=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """Where somebody speaks, in order, in seconds;  found_by: for people."""

    spans: tuple[Times, ...]
    found_by: str

    @property
    def seconds(self) -> float:
        """How long somebody speaks."""
        return sum(stop - start for start, stop in self.spans)

    def within(self, start_s: float, stop_s: float) -> list[Times]:
        """Return the speech between two seconds, cut off there."""
        inside = [(max(a, start_s), min(b, stop_s)) for a, b in self.spans]
        return [(a, b) for a, b in inside if b > a]


def find_speech(recording: Recording, report: Reporter) -> Activity:
    """Find the speech in a recording, edges at the very sound; may be stopped at any time."""
    if has_silero():
        likely = torch.cat([*_likelihoods(recording, report), torch.zeros(0)])
        spans = [_with_its_sound(span, recording) for span in spoken_runs(likely.tolist())]
        return Activity(spans=tuple(_joined(spans)), found_by="silero-vad")
    return Activity(spans=tuple(_by_energy(recording, report)), found_by="loudness")


def spoken_runs(likely: Sequence[float]) -> list[Times]:
    """Turn how likely each window holds speech into stretches of speech, in seconds."""
    window = WINDOW / RATE
    runs: list[Times] = []
    start: float | None = None
    for at, share in enumerate([*likely, 0.0]):
        if start is None and share >= SURE:
            start = at * window
        elif start is not None and share < UNSURE:
            runs.append((start, at * window))
            start = None
    closed: list[Times] = []
    for run in runs:
        if closed and run[0] - closed[-1][1] < PAUSE_S:
            closed[-1] = (closed[-1][0], run[1])
        else:
            closed.append(run)
    return [run for run in closed if run[1] - run[0] >= BURST_S]


def _likelihoods(recording: Recording, report: Reporter) -> Iterator[Tensor]:
    """Yield how likely each window holds speech, a strip of windows at a time: (w,)."""
    network = load_silero()
    strip_s = STRIP * WINDOW / RATE
    state, before = None, torch.zeros(CONTEXT)
    with torch.inference_mode():
        for number in range(max(1, math.ceil(recording.seconds / strip_s))):
            report.check()
            part = recording.part(number * strip_s, (number + 1) * strip_s).resampled(RATE).wave
            wave = torch.cat([before, part, torch.zeros(-part.shape[0] % WINDOW)])
            likely, state = network(wave.unfold(0, CONTEXT + WINDOW, WINDOW), state)
            before = wave[-CONTEXT:]
            yield likely


def _with_its_sound(span: Times, recording: Recording) -> Times:
    """Move the ends outwards to where the sound of the first and the last word ends.

    The network is late at soft onsets and early at soft endings.
    """
    around = (max(0.0, span[0] - REACH_S), min(recording.seconds, span[1] + REACH_S))
    clip = recording.part(*around)
    level = frame_levels(clip)
    if not len(level):
        return span
    loud, quiet = float(level.quantile(0.9)), float(level.quantile(0.02))
    heard = level > max(loud - QUIETEST_WORD_DB, quiet + 8)
    hop = 0.010
    first, last = round((span[0] - around[0]) / hop), round((span[1] - around[0]) / hop)
    first, last = min(first, len(heard) - 1), min(last, len(heard)) - 1
    while first > 0 and bool(heard[first - 1]):
        first -= 1
    while last < len(heard) - 1 and bool(heard[last + 1]):
        last += 1
    start, stop = around[0] + first * hop, around[0] + last * hop + 0.025
    return min(start, span[0]), min(recording.seconds, max(stop, span[1]))


def _by_energy(recording: Recording, report: Reporter) -> list[Times]:
    spans: list[Times] = []
    start = 0.0
    while start < recording.seconds:
        report.check()
        clip = recording.part(start, start + BLOCK_S)
        spans += [(start + a, start + b) for a, b in _times(clip)]
        start += BLOCK_S
    return _joined(spans)


def _times(clip: Clip) -> list[Times]:
    rate = clip.sample_rate
    return [(span.start / rate, span.stop / rate) for span in speech_spans(clip, ENERGY)]


def _joined(spans: Sequence[Times]) -> list[Times]:
    """Join what touches."""
    joined: list[Times] = []
    for start, stop in spans:
        if joined and start - joined[-1][1] < 0.02:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined
