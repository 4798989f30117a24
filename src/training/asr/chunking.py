"""Split long recordings at pauses into chunks for a transcriber. Shapes: n samples."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from audio.clip import Clip
from audio.energy_vad import SampleSpan, VadOptions, find_speech_spans
from training.asr.base import SAMPLE_RATE, Segment, Word, clean_text

WHISPER_CHUNK_S = 28.0  # Whisper takes 30 s; some silence after the speech marks its end
MIN_WHISPER_CHUNK_S = 0.1
_VAD_OPTIONS = VadOptions(range_db=50.0, pause_s=0.3, margin_s=0.15)  # keeps soft word endings
_FRAME_SAMPLES = SAMPLE_RATE // 50  # 20 ms: resolution of the search for the quietest place
_CUT_SEARCH_FRACTION = 0.4  # share of a chunk, at its end, in which a cut is searched


def split_into_chunks(wave: Tensor, longest_s: float) -> list[SampleSpan]:
    """Return the spoken parts in order, none longer than `longest_s`.

    wave: (n,) at `SAMPLE_RATE`. Neighbours are joined as far as they fit, with the pauses between
    them; speech without a pause is cut where it is quietest.
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


def split_for_whisper(wave: Tensor) -> list[SampleSpan]:
    """Return chunks that fit into the context of Whisper.  wave: (n,) at `SAMPLE_RATE`."""
    spans = split_into_chunks(wave, WHISPER_CHUNK_S)
    return [span for span in spans if span.stop - span.start >= MIN_WHISPER_CHUNK_S * SAMPLE_RATE]


def make_segment(
    span: SampleSpan,
    times: tuple[float, float],
    text: str,
    words: Sequence[tuple[str, float, float, float | None]],
    confidence: float | None = None,
) -> Segment | None:
    """Build a segment from Whisper's output for a chunk; None where it is empty.

    times: start and stop in seconds of the chunk. words: (text, start, stop, probability). The
    confidence is the mean of the probabilities, else `confidence`.
    """
    offset, length = span.start / SAMPLE_RATE, (span.stop - span.start) / SAMPLE_RATE

    def at(seconds: float) -> float:
        return offset + min(max(0.0, float(seconds)), length)

    cleaned = [(clean_text(text), start, stop, sure) for text, start, stop, sure in words]
    cleaned = [word for word in cleaned if word[0]]
    known = [float(sure) for *_, sure in cleaned if sure is not None]
    sure = sum(known) / len(known) if known else confidence
    start_s, stop_s = at(times[0]), at(times[1])
    if not clean_text(text) or stop_s <= start_s:
        return None
    return Segment(
        start_s=start_s,
        stop_s=stop_s,
        text=clean_text(text),
        words=tuple(
            Word(text=text, start_s=at(start), stop_s=at(stop)) for text, start, stop, _ in cleaned
        ),
        confidence=None if sure is None else min(1.0, max(0.0, sure)),
    )


def _split_span(wave: Tensor, span: SampleSpan, longest: int) -> list[SampleSpan]:
    pieces: list[SampleSpan] = []
    start = span.start
    while span.stop - start > longest:
        first = start + int(longest * (1 - _CUT_SEARCH_FRACTION))
        frames = wave[first : start + longest].square().unfold(0, _FRAME_SAMPLES, _FRAME_SAMPLES)
        level = frames.mean(-1)[None]
        quiet = torch.nn.functional.avg_pool1d(level, 5, 1, 2, count_include_pad=False)[0]
        stop = first + int(quiet.argmin()) * _FRAME_SAMPLES + _FRAME_SAMPLES // 2
        pieces.append(SampleSpan(start=start, stop=stop))
        start = stop
    return [*pieces, SampleSpan(start=start, stop=span.stop)]
