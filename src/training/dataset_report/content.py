"""What a dataset report shows, whatever dataset it is of."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from audio.clip import Clip
from training.gold.diary import Turn
from training.gold.project_files import CheckRow

MAX_Z = 3.5  # robust deviations from the median; a rate farther off is an outlier
MIN_RATED = 8  # utterances, fewer have no outliers
_VOWELS = re.compile(r"[aeiouy]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportWord:
    """A word with its times in seconds from the start of its utterance. score: 0 to 1."""

    text: str
    start: float
    stop: float
    score: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportRow:
    """An utterance. score: None where the dataset has none;  problems: why it is left out, () if
    it is used;  load: returns its audio, None where the dataset has none."""

    id: str
    duration: float
    speaker: str = ""
    text: str = ""
    score: float | None = None
    problems: tuple[str, ...] = ()
    words: tuple[ReportWord, ...] = ()
    load: Callable[[], Clip] | None = None

    @property
    def words_per_minute(self) -> float:
        """Words a minute."""
        return 60 * len(self.text.split()) / max(self.duration, 0.1)

    @property
    def syllables_per_minute(self) -> float:
        """Syllables a minute, by groups of vowels."""
        return 60 * count_syllables(self.text) / max(self.duration, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportContent:
    """A dataset. turns, overlaps, flagged: () for one that was not made from one recording;
    embeddings: id of an utterance -> (e,), for the map of speakers."""

    title: str
    rows: Sequence[ReportRow]
    turns: Sequence[Turn] = ()
    overlaps: Sequence[tuple[float, float]] = ()
    flagged: Sequence[CheckRow] = ()
    embeddings: dict[str, np.ndarray] | None = None

    @property
    def used(self) -> list[ReportRow]:
        """The utterances that are not left out."""
        return [row for row in self.rows if not row.problems]


def count_syllables(text: str) -> int:
    """Count the syllables of an English text: groups of vowels, at least one a word."""
    return sum(max(1, len(_VOWELS.findall(word))) for word in text.split())


def find_rate_outliers(rows: Sequence[ReportRow]) -> list[tuple[ReportRow, str]]:
    """Return utterances that are spoken unusually fast or slowly for their speaker, and why."""
    outliers = []
    for speaker in sorted({row.speaker for row in rows}):
        own = [row for row in rows if row.speaker == speaker and row.text]
        if len(own) < MIN_RATED:
            continue
        for unit, rates in (
            ("words", [row.words_per_minute for row in own]),
            ("syllables", [row.syllables_per_minute for row in own]),
        ):
            middle = float(np.median(rates))
            spread = 1.4826 * float(np.median(np.abs(np.array(rates) - middle)))
            outliers += [
                (row, f"{rate:.0f} {unit} a minute, usually {middle:.0f}")
                for row, rate in zip(own, rates, strict=True)
                if abs(rate - middle) > MAX_Z * max(spread, 1.0)
            ]
    return outliers
