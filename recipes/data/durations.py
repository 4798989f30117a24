"""Durations of the tokens of a text, from the phonemes that the teacher spoke for it.

The tokens are those of the project's tokenizer, which may pronounce a word differently: both
sequences are aligned by edit distance, and unmatched phonemes count to the token before them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recipes.corpus.reader import CorpusRow
from text.phones import MISAKI_PHONES, SILENT_MARKS, SPACE_TOKEN

VOWELS = frozenset("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())  # noqa: SIM905
STRESS_MARKS = "ˈˌ"
SKIP_COST = 1.0
PAUSE = "pause"
CODE_UNITS = 1024 / 22_050 * 24_000 / 600  # units of the teacher's durations in a code


def compute_token_durations(row: CorpusRow, tokens: Sequence[str]) -> list[float]:
    """Return the codes of the silence before the text and of each token: len(tokens) + 1.

    Their sum is the length of the clip. Raises ValueError for a clip without phonemes.
    """
    if not row.phonemes:
        raise ValueError(f"{row.shard} at {row.start} has no phonemes")
    classes, units = _join_marks(row)
    owners = _align([_classify(token) for token in tokens], classes[1:])
    durations = np.zeros(len(tokens) + 1)
    durations[0] = units[0]
    for owner, length in zip(owners, units[1:], strict=True):
        durations[owner + 1] += length
    return [float(value) / CODE_UNITS for value in durations]


def _join_marks(row: CorpusRow) -> tuple[list[str], list[int]]:
    """Return the class of each phoneme and its units; a stress mark's go to the vowel behind it."""
    classes: list[str] = []
    units: list[int] = []
    stress = 0
    for mark, length in zip(row.phonemes, row.durations, strict=True):
        if mark in STRESS_MARKS:
            stress += length
            continue
        if mark in SILENT_MARKS:
            found = PAUSE
        else:
            found = SPACE_TOKEN if mark == " " else MISAKI_PHONES.get(mark, "AH")
        classes.append(found)
        units.append(length + stress)
        stress = 0
    return classes, units


def _classify(token: str) -> str:
    if token == SPACE_TOKEN:
        return SPACE_TOKEN
    phone = token.rstrip("012")
    return phone if phone.isalpha() else PAUSE


def _cost(token: str, phone: str) -> float:
    if token == phone:
        return 0.0
    if {token, phone} & {SPACE_TOKEN, PAUSE}:
        return 3.0
    return 0.5 if (token in VOWELS) == (phone in VOWELS) else 1.5


def _align(tokens: Sequence[str], phones: Sequence[str]) -> list[int]:
    """Return the token that each phone belongs to, monotonic."""
    rows, columns = len(phones), len(tokens)
    costs = np.array([[_cost(token, phone) for token in tokens] for phone in phones])
    best = np.full((rows + 1, columns + 1), np.inf)
    best[0] = np.arange(columns + 1) * SKIP_COST
    best[:, 0] = np.arange(rows + 1) * SKIP_COST
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            best[i, j] = min(
                best[i - 1, j - 1] + costs[i - 1, j - 1],
                best[i - 1, j] + SKIP_COST,
                best[i, j - 1] + SKIP_COST,
            )
    owners, i, j = [0] * rows, rows, columns
    while i:
        if j and best[i, j] == best[i - 1, j - 1] + costs[i - 1, j - 1]:
            i, j = i - 1, j - 1
            owners[i] = j
        elif best[i, j] == best[i - 1, j] + SKIP_COST:
            i -= 1
            owners[i] = max(0, j - 1)
        else:
            j -= 1
    return owners
