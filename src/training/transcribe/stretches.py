"""Cutting a long recording into stretches that a transcriber can take: in pauses, not in words.

A stretch is where somebody speaks; what lies between two of them is silence. Shape: n samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from speech.clip import Clip
from speech.vad import Span, VadOptions, speech_spans
from training.transcribe.base import RATE

_VAD = VadOptions(range_db=50.0, pause_s=0.3, margin_s=0.15)  # soft endings are worth more here
_FRAME = RATE // 50  # 20 ms, how finely the quietest place is looked for
_LOOKED_AT = 0.4  # the share of a stretch, at its end, that a cut may fall into


def stretches(wave: Tensor, longest_s: float) -> list[Span]:
    """Return where somebody speaks, in order, nothing longer than `longest_s`.

    wave: (n,) at `RATE`.  Neighbours stay together as far as they fit, pauses between them
    included; speech without a pause is cut where it is quietest.
    """
    longest = int(longest_s * RATE)
    joined: list[Span] = []
    for span in speech_spans(Clip(wave=wave, sample_rate=RATE), _VAD):
        for piece in _cut(wave, span, longest):
            if joined and piece.stop - joined[-1].start <= longest:
                joined[-1] = Span(start=joined[-1].start, stop=piece.stop)
            else:
                joined.append(piece)
    return joined


def _cut(wave: Tensor, span: Span, longest: int) -> list[Span]:
    """Cut what is longer than `longest` at the quietest place of its last part."""
    pieces: list[Span] = []
    start = span.start
    while span.stop - start > longest:
        first = start + int(longest * (1 - _LOOKED_AT))
        level = wave[first : start + longest].square().unfold(0, _FRAME, _FRAME).mean(-1)
        quiet = torch.nn.functional.avg_pool1d(level[None], 5, 1, 2, count_include_pad=False)[0]
        stop = first + int(quiet.argmin()) * _FRAME + _FRAME // 2
        pieces.append(Span(start=start, stop=stop))
        start = stop
    return [*pieces, Span(start=start, stop=span.stop)]
