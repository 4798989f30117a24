"""Phone classes of frames, from the phonemes of the teacher or an alignment of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio.mel import GPT_MEL
from quick.teacher import DURATION_UNIT, SAMPLE_RATE
from recipes.corpus.reader import CorpusRow
from text.phones import PHONES, UNKNOWN_PHONE, name_misaki_phone


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSpan:
    """A phone ("" for an unknown one) and the time at which it ends, in seconds."""

    phone: str
    end_s: float


def list_teacher_spans(row: CorpusRow) -> list[PhoneSpan]:
    """Return the phones of a clip of the teacher."""
    spans, end = [], 0
    for mark, units in zip(row.phonemes, row.durations, strict=True):
        end += units
        end_s = end * DURATION_UNIT / SAMPLE_RATE
        spans.append(PhoneSpan(phone=name_misaki_phone(mark), end_s=end_s))
    return spans


def label_frames(spans: Sequence[PhoneSpan], frames: int) -> NDArray[np.int8]:
    """Return the class of the phone of each GPT mel frame: (frames,); -1 where it is unknown."""
    labels = np.full(frames, UNKNOWN_PHONE, np.int8)
    start = 0
    for span in spans:
        stop = max(start, round(span.end_s * GPT_MEL.sample_rate / GPT_MEL.hop))
        if span.phone in PHONES:
            labels[start:stop] = PHONES.index(span.phone)
        start = stop
    return labels
