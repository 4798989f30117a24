"""Phone classes of frames, from the phonemes of the teacher or an alignment of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio.mel import GPT_MEL
from recipes.corpus.reader import CorpusRow
from recipes.corpus.teacher import DURATION_UNIT, SAMPLE_RATE

PHONES = tuple(
    """
    SIL AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW
    V W Y Z ZH
    """.split()  # noqa: SIM905
)
"""ARPAbet without stress; class 0 is silence."""

UNKNOWN_PHONE = -1

MISAKI_PHONES = dict(
    pair.split(":")
    for pair in """
    A:EY I:AY O:OW W:AW Y:OY Q:OW ᵊ:AH b:B d:D f:F h:HH i:IY j:Y k:K l:L m:M n:N p:P s:S t:T u:UW
    v:V w:W z:Z ɑ:AA æ:AE ɔ:AO ə:AH ɚ:ER ɛ:EH ɜ:ER ɡ:G ɪ:IH ŋ:NG ɹ:R ɾ:T T:T ʃ:SH ʊ:UH ʌ:AH ʒ:ZH
    ʤ:JH ʧ:CH θ:TH ð:DH ᵻ:IH
    """.split()  # noqa: SIM905
)
"""The teacher's phonemes; its pads and punctuation are silence, its word gaps and stress marks
belong to no class."""
SILENT_MARKS = '_;:,.!?—…"()“”'


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
        phone = "SIL" if mark in SILENT_MARKS else MISAKI_PHONES.get(mark, "")
        spans.append(PhoneSpan(phone=phone, end_s=end * DURATION_UNIT / SAMPLE_RATE))
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
