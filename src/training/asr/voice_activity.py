"""Detect where a recording holds speech: by silero-vad if it is installed, else by energy."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, TypeAlias

import torch

from audio.clip import Clip
from audio.energy_vad import VadOptions, compute_frame_levels_db, find_speech_spans
from audio.long_audio import Recording
from core.progress import ProgressReporter

VAD_SAMPLE_RATE = 16_000  # Hz
WINDOW_SAMPLES = 512  # per probability
BLOCK_S = 20.0  # decoded at a time; a multiple of the window
ONSET_THRESHOLD, OFFSET_THRESHOLD = 0.5, 0.35  # speech starts above the one, ends below the other
MIN_SILENCE_S = 0.15  # a shorter gap belongs to the speech around it
MIN_SPEECH_S = 0.1  # a shorter sound is a click
MAX_EDGE_SHIFT_S = 0.3  # that an edge is moved at most, to where the sound ends
QUIETEST_WORD_DB = 35.0  # below the loud parts
ENERGY_BLOCK_S = 60.0
ENERGY_VAD_OPTIONS = VadOptions(pause_s=MIN_SILENCE_S, burst_s=MIN_SPEECH_S, margin_s=0.0)

TimeSpan: TypeAlias = tuple[float, float]  # start and stop in seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechTimestamps:
    """The spoken parts of a recording, in order.  method: how they were found."""

    spans: tuple[TimeSpan, ...]
    method: str

    @property
    def seconds(self) -> float:
        """Total duration of speech."""
        return sum(stop - start for start, stop in self.spans)

    def within(self, start_s: float, stop_s: float) -> list[TimeSpan]:
        """Return the speech between two times, cut off there."""
        inside = [(max(a, start_s), min(b, stop_s)) for a, b in self.spans]
        return [(a, b) for a, b in inside if b > a]


def is_silero_installed() -> bool:
    """Return whether the package silero-vad, which holds its weights, is installed."""
    return find_spec("silero_vad") is not None


def detect_speech(recording: Recording, report: ProgressReporter) -> SpeechTimestamps:
    """Find the speech in a recording, with edges where its sound starts and ends."""
    if is_silero_installed():
        spans = [
            _extend_to_audible_edges(span, recording)
            for span in probabilities_to_spans(list(_iter_speech_probabilities(recording, report)))
        ]
        return SpeechTimestamps(spans=tuple(_merge_spans(spans)), method="silero-vad")
    return SpeechTimestamps(spans=tuple(_detect_by_energy(recording, report)), method="loudness")


def probabilities_to_spans(probabilities: Sequence[float]) -> list[TimeSpan]:
    """Turn the probability of speech in each window into spans of speech."""
    found = _import_silero_vad().get_speech_timestamps_from_probs(
        probabilities,
        threshold=ONSET_THRESHOLD,
        neg_threshold=OFFSET_THRESHOLD,
        min_speech_duration_ms=round(MIN_SPEECH_S * 1000),
        min_silence_duration_ms=round(MIN_SILENCE_S * 1000),
        speech_pad_ms=0,
    )
    return [(one["start"] / VAD_SAMPLE_RATE, one["end"] / VAD_SAMPLE_RATE) for one in found]


def _iter_speech_probabilities(recording: Recording, report: ProgressReporter) -> Iterator[float]:
    """Yield a probability per window. `get_speech_timestamps` would hold all audio in memory."""
    model = _load_silero_vad()
    model.reset_states()
    with torch.inference_mode():
        for number in range(max(1, math.ceil(recording.duration_s / BLOCK_S))):
            report.check_cancelled()
            clip = recording.extract_clip(number * BLOCK_S, (number + 1) * BLOCK_S)
            wave = clip.resample(VAD_SAMPLE_RATE).wave
            padded = torch.cat([wave, torch.zeros(-wave.shape[0] % WINDOW_SAMPLES)])
            for window in padded.split(WINDOW_SAMPLES):
                yield float(model(window, VAD_SAMPLE_RATE))


@lru_cache(maxsize=1)
def _load_silero_vad() -> Any:  # Any: the package has no types
    return _import_silero_vad().load_silero_vad()


def _import_silero_vad() -> Any:  # Any: the package has no types
    threads = torch.get_num_threads()
    package = importlib.import_module("silero_vad")
    torch.set_num_threads(threads)  # the import sets it to 1 for the whole process
    return package


def _extend_to_audible_edges(span: TimeSpan, recording: Recording) -> TimeSpan:
    """Move the edges outwards: the network is late at soft onsets and early at soft endings."""
    around = (
        max(0.0, span[0] - MAX_EDGE_SHIFT_S),
        min(recording.duration_s, span[1] + MAX_EDGE_SHIFT_S),
    )
    clip = recording.extract_clip(*around)
    level = compute_frame_levels_db(clip)
    if not len(level):
        return span
    loud, quiet = float(level.quantile(0.9)), float(level.quantile(0.02))
    audible = level > max(loud - QUIETEST_WORD_DB, quiet + 8)
    hop = 0.010
    first, last = round((span[0] - around[0]) / hop), round((span[1] - around[0]) / hop)
    first, last = min(first, len(audible) - 1), min(last, len(audible)) - 1
    while first > 0 and bool(audible[first - 1]):
        first -= 1
    while last < len(audible) - 1 and bool(audible[last + 1]):
        last += 1
    start, stop = around[0] + first * hop, around[0] + last * hop + 0.025
    return min(start, span[0]), min(recording.duration_s, max(stop, span[1]))


def _detect_by_energy(recording: Recording, report: ProgressReporter) -> list[TimeSpan]:
    spans: list[TimeSpan] = []
    start = 0.0
    while start < recording.duration_s:
        report.check_cancelled()
        clip = recording.extract_clip(start, start + ENERGY_BLOCK_S)
        spans += [(start + a, start + b) for a, b in _find_energy_spans(clip)]
        start += ENERGY_BLOCK_S
    return _merge_spans(spans)


def _find_energy_spans(clip: Clip) -> list[TimeSpan]:
    rate = clip.sample_rate
    return [
        (span.start / rate, span.stop / rate)
        for span in find_speech_spans(clip, ENERGY_VAD_OPTIONS)
    ]


def _merge_spans(spans: Sequence[TimeSpan]) -> list[TimeSpan]:
    joined: list[TimeSpan] = []
    for start, stop in spans:
        if joined and start - joined[-1][1] < 0.02:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined
