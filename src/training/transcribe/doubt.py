"""Is this what is said? A second opinion on a given text, from the recognizer that is built in.

PocketSphinx mishears every fourth word of clear English, and far more of a strong accent or a noisy
room. So only a text of which nearly nothing is heard, above 0.75 or so, is probably another one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from torch import Tensor

from jobs.report import Reporter
from speech.normalize import normalize
from training.lexicon import edit_distance
from training.transcribe.base import RATE
from training.transcribe.sphinx import PocketSphinx

FEWEST_WORDS = 3
LONGEST_S = 20.0  # what is listened to at most
_LETTERS = re.compile(r"[a-z']+")


def doubt(wave: Tensor, text: str, report: Reporter | None = None) -> float | None:
    """Return the word error rate of an English text against what is heard, 0 (sure) to 1.

    wave: (n,) at `RATE`.  None where it cannot be said: the text is too short, or the clip too long
    to be listened to quickly.
    """
    said = spoken_words(text)
    if len(said) < FEWEST_WORDS or len(wave) > LONGEST_S * RATE:
        return None
    told = _recognizer().words(wave, report or Reporter())
    return min(1.0, word_error_rate(said, spoken_words(" ".join(word.text for word, _ in told))))


def word_error_rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """Return how many words are wrong, missing or too many, relative to those that were said."""
    return edit_distance(said, heard) / max(1, len(said))


def spoken_words(text: str) -> list[str]:
    """Return the text as a recognizer would hear it: words in small letters, numbers spelled."""
    return _LETTERS.findall(normalize(text).lower().replace("-", " "))


@lru_cache(maxsize=1)
def _recognizer() -> PocketSphinx:
    """The recognizer takes a second to load; a whole dataset is heard by the same one."""
    return PocketSphinx()
