"""Check a text against its audio by the word error rate of PocketSphinx.

PocketSphinx gets every fourth word of clear English wrong, more with an accent or noise. Only a
rate above 0.75 or so means that the text is probably another one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from torch import Tensor

from core.progress import ProgressReporter
from text.normalization.pipeline import normalize_text
from training.asr.base import SAMPLE_RATE
from training.asr.pocketsphinx import PocketSphinx

MIN_WORDS = 3
MAX_CLIP_S = 20.0  # maximum of audio
_WORD = re.compile(r"[a-z']+")


def compute_pocketsphinx_wer(
    wave: Tensor, text: str, report: ProgressReporter | None = None
) -> float | None:
    """Return the word error rate of an English text, 0 to 1.

    wave: (n,) at `SAMPLE_RATE`. None where the text is too short or the clip too long.
    """
    reference = normalize_to_words(text)
    if len(reference) < MIN_WORDS or len(wave) > MAX_CLIP_S * SAMPLE_RATE:
        return None
    recognized = _load_recognizer().recognize_words(wave, report or ProgressReporter())
    return min(
        1.0,
        word_error_rate(
            reference, normalize_to_words(" ".join(word.text for word, _ in recognized))
        ),
    )


def word_error_rate(reference: Sequence[str], hypothesis: Sequence[str]) -> float:
    """Return the share of words that are wrong, missing or inserted."""
    return edit_distance(reference, hypothesis) / max(1, len(reference))


def normalize_to_words(text: str) -> list[str]:
    """Return a text as a recognizer writes it: lower-case words, numbers written out."""
    return _WORD.findall(normalize_text(text).lower().replace("-", " "))


@lru_cache(maxsize=1)
def _load_recognizer() -> PocketSphinx:
    return PocketSphinx()


def edit_distance(left: Sequence[str], right: Sequence[str]) -> int:
    """Return the Levenshtein distance of two sequences."""
    row = list(range(len(right) + 1))
    for number, one in enumerate(left, start=1):
        diagonal, row[0] = row[0], number
        for place, other in enumerate(right, start=1):
            cost = min(row[place] + 1, row[place - 1] + 1, diagonal + (one != other))
            diagonal, row[place] = row[place], cost
    return row[-1]
