"""When the phones of an English text are spoken, by the acoustic model of PocketSphinx.

Each phone is aligned as a word of its own: the phone alignment of PocketSphinx, a second pass over
aligned words, fails for many recordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pocketsphinx import Decoder
from torch import Tensor

from core.progress import ProgressReporter
from training.asr.base import SAMPLE_RATE
from training.asr.pocketsphinx import BLOCK_S, FRAMES_PER_S, MIN_CHUNK_S, estimate_cmn

BEAMS = (1e-60, 1e-120)  # the second is slower, and finds unlikely phones
MIN_PHONE_S = 0.03  # three states of a frame
SUFFIX = "_phone"  # of the word for a phone, which no dictionary has


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSpan:
    """The time of a phone.  index: its place among the phones; None for silence and noise."""

    index: int | None
    start_s: float
    stop_s: float


def find_phone_spans(
    wave: Tensor, phones: Sequence[str], report: ProgressReporter
) -> list[PhoneSpan] | None:
    """Align phones that are all spoken, in order; None where they do not fit.

    wave: (n,) at `SAMPLE_RATE`; phones: ARPAbet without stress.
    """
    shortest_s = max(MIN_CHUNK_S, len(phones) * MIN_PHONE_S)
    if not phones or len(wave) < shortest_s * SAMPLE_RATE:
        return None
    samples = (wave.clamp(-1, 1) * 32_767).to(torch.int16).numpy().tobytes()
    mean = estimate_cmn(samples)
    words = [_get_word(phone) for phone in phones]
    for beam in BEAMS:
        decoder = _create_decoder(beam)
        for phone in sorted(set(phones)):
            decoder.add_word(_get_word(phone), phone, True)
        decoder.set_align_text(" ".join(words))
        decoder.set_cmn(mean)
        spans = _list_spans(_decode(decoder, samples, report))
        if sum(span.index is not None for span in spans) == len(phones):
            return spans
    return None


def _get_word(phone: str) -> str:
    return phone.lower() + SUFFIX


def _decode(decoder: Any, samples: bytes, report: ProgressReporter) -> Any:
    """Return the words that PocketSphinx aligned.  Any: the wheel has no types."""
    size = 2 * int(BLOCK_S * SAMPLE_RATE)  # bytes
    blocks = [samples[start : start + size] for start in range(0, len(samples), size)]
    decoder.start_utt()
    for block in report.track(blocks, "aligning"):
        decoder.process_raw(block)
    decoder.end_utt()
    return decoder.seg() or ()


def _list_spans(entries: Any) -> list[PhoneSpan]:
    spans: list[PhoneSpan] = []
    count = 0
    for entry in entries:
        start_s, stop_s = entry.start_frame / FRAMES_PER_S, (entry.end_frame + 1) / FRAMES_PER_S
        if entry.word != "(NULL)":
            is_phone = entry.word.endswith(SUFFIX)
            index = count if is_phone else None
            spans.append(PhoneSpan(index=index, start_s=start_s, stop_s=stop_s))
            count += is_phone
    return spans


def _create_decoder(beam: float) -> Any:
    """Return a new decoder: what one has decoded before changes what it finds."""
    # the search for the best path after the decoding may leave out the last phones
    return Decoder(
        samprate=SAMPLE_RATE, lm=None, loglevel="FATAL", beam=beam, pbeam=beam, wbeam=beam,
        bestpath=False, lw=1.0,
    )  # fmt: skip
