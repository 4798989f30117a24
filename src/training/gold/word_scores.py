"""Figures of aligned words: scores, rates, outliers, and the index line of an utterance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.gold.splitting import TimedWord

NORMAL_WPM = (170.0, 250.0)  # words a minute of talk
MIN_WORDS_FOR_RATE = 20
MAX_WORD_S = 1.5
SYLLABLE_QUANTILE = 0.95
ROLLING_WORDS = 6
MIN_ROLLING_SCORE = 0.7
MAX_LOW_MEANS = 3  # consecutive rolling means below it point to a wrong speaker or text
_VOWELS = re.compile(r"[AEIOUY]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFigures:
    """The figures of one turn.

    words_per_minute: None for a turn of fewer than 20 words, whose rate says little; score: mean
    of its words; problems: what is unusual, in words.
    """

    words: int
    words_per_minute: float | None
    syllables_per_second: float
    score: float
    problems: tuple[str, ...]


def measure_turn(words: Sequence[TimedWord]) -> TurnFigures:
    """Measure the aligned words of one turn."""
    if not words:
        return TurnFigures(
            words=0,
            words_per_minute=None,
            syllables_per_second=0.0,
            score=0.0,
            problems=("no words",),
        )
    seconds = max(words[-1].stop - words[0].start, 1e-3)
    rate = 60.0 * len(words) / seconds if len(words) >= MIN_WORDS_FOR_RATE else None
    problems = []
    if rate is not None and rate > NORMAL_WPM[1]:
        problems.append(f"{rate:.0f} words a minute; {NORMAL_WPM[1]:.0f} is fast speech")
    if find_slow_words(words):
        problems.append(f"a word lasts over {MAX_WORD_S} s")
    if has_low_passage(words):
        problems.append("a passage does not match its text")
    syllables = sum(count_syllables(word.text) for word in words)
    return TurnFigures(
        words=len(words),
        words_per_minute=rate,
        syllables_per_second=syllables / seconds,
        score=float(np.mean([word.score for word in words])),
        problems=tuple(problems),
    )


def count_syllables(word: str) -> int:
    """Count the groups of vowels of a word, at least 1; a silent e at the end does not count."""
    upper = word.upper()
    groups = len(_VOWELS.findall(upper))
    is_silent = upper.endswith("E") and not upper.endswith("LE") and groups > 1
    return max(1, groups - is_silent)


def find_slow_words(words: Sequence[TimedWord]) -> list[int]:
    """Return the indices of the words that last over 1.5 s."""
    return [index for index, word in enumerate(words) if word.stop - word.start > MAX_WORD_S]


def find_syllable_outliers(words: Sequence[TimedWord]) -> list[int]:
    """Return the indices of the words whose seconds per syllable are in the top 5 %."""
    if not words:
        return []
    rates = np.array([(w.stop - w.start) / count_syllables(w.text) for w in words])
    limit = float(np.quantile(rates, SYLLABLE_QUANTILE))
    return [index for index, rate in enumerate(rates) if rate > limit]


def has_low_passage(words: Sequence[TimedWord]) -> bool:
    """Return whether three consecutive rolling means of six words are below 0.7."""
    scores = np.array([word.score for word in words])
    if len(scores) < ROLLING_WORDS:
        return False
    means = np.convolve(scores, np.ones(ROLLING_WORDS) / ROLLING_WORDS, "valid")
    run = 0
    for mean in means:
        run = run + 1 if mean < MIN_ROLLING_SCORE else 0
        if run >= MAX_LOW_MEANS:
            return True
    return False


def format_alignment_line(name: str, words: Sequence[TimedWord], duration: float) -> str:
    """Return the line of an alignment index, as LibriSpeech's alignments have it.

    The first and the last label are silences; a time is where its label ends.
    """
    labels = ",".join(["", *(word.text for word in words), ""])
    times = [words[0].start, *(word.stop for word in words), duration]
    return f'{name} "{labels}" "{",".join(f"{time:g}" for time in times)}"'
