"""Cutting a long recording into stretches that a transcriber can take: in pauses, not in words.

A stretch is where somebody speaks; what lies between two of them is silence. Shape: n samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from audio.clip import Clip
from audio.energy_vad import SampleSpan, VadOptions, find_speech_spans
from training.asr.base import SAMPLE_RATE

_VAD_OPTIONS = VadOptions(
    range_db=50.0, pause_s=0.3, margin_s=0.15
)  # soft endings are worth more here
_FRAME_SAMPLES = SAMPLE_RATE // 50  # 20 ms, how finely the quietest place is looked for
_CUT_SEARCH_FRACTION = 0.4  # the share of a stretch, at its end, that a cut may fall into


def split_into_chunks(wave: Tensor, longest_s: float) -> list[SampleSpan]:
    """Return where somebody speaks, in order, nothing longer than `longest_s`.

    wave: (n,) at `SAMPLE_RATE`.  Neighbours stay together as far as they fit, pauses between them
    included; speech without a pause is cut where it is quietest.
    """
    longest = int(longest_s * SAMPLE_RATE)
    joined: list[SampleSpan] = []
    for span in find_speech_spans(Clip(wave=wave, sample_rate=SAMPLE_RATE), _VAD_OPTIONS):
        for piece in _split_span(wave, span, longest):
            if joined and piece.stop - joined[-1].start <= longest:
                joined[-1] = SampleSpan(start=joined[-1].start, stop=piece.stop)
            else:
                joined.append(piece)
    return joined


def _split_span(wave: Tensor, span: SampleSpan, longest: int) -> list[SampleSpan]:
    """Cut what is longer than `longest` at the quietest place of its last part."""
    pieces: list[SampleSpan] = []
    start = span.start
    while span.stop - start > longest:
        first = start + int(longest * (1 - _CUT_SEARCH_FRACTION))
        level = (
            wave[first : start + longest]
            .square()
            .unfold(0, _FRAME_SAMPLES, _FRAME_SAMPLES)
            .mean(-1)
        )
        quiet = torch.nn.functional.avg_pool1d(level[None], 5, 1, 2, count_include_pad=False)[0]
        stop = first + int(quiet.argmin()) * _FRAME_SAMPLES + _FRAME_SAMPLES // 2
        pieces.append(SampleSpan(start=start, stop=stop))
        start = stop
    return [*pieces, SampleSpan(start=start, stop=span.stop)]
