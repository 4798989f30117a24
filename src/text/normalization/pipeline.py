"""Normalize written English to spoken words, for the preview and for synthesis.

Kinds are applied from the most specific (markup, an address, a date) to the most general (a
number). Each has its rules, and each rule its examples, which tests check. Case is kept, since
capitals mark acronyms.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from text.normalization.symbols import normalize_punctuation, verbalize_symbols
from text.pronunciations import protect_phonemes, restore_phonemes

if TYPE_CHECKING:
    from text.normalization.rules import Kind

CACHED_TEXTS = 16_384  # a text of 400,000 characters has some 6,000 chunks
MAX_CACHED_CHARS = 700  # a chunk has at most 600
_BLANK_BEFORE_MARK = re.compile(r"\s+([,;:!?)]|\.(?!\w))|(?<=\()\s+|(?<=\b[A-Z]\.)\.(?!\.)")


@lru_cache(maxsize=1)
def load_kinds() -> tuple[Kind, ...]:
    """Return the kinds in the order in which they are applied; loaded at the first text."""
    from text.normalization.kinds import (
        abbreviations,
        addresses,
        codes,
        dates,
        decades,
        groupings,
        magnitudes,
        markup,
        measures,
        money,
        powers,
        quantities,
        ranges,
        roman,
        times,
    )
    from text.normalization.rules import Kind, Rule

    characters = Kind(name="characters", rules=(Rule(read=normalize_punctuation),))
    symbols = Kind(name="symbols", rules=(Rule(read=verbalize_symbols),))
    numbers = (dates, times, decades, codes, groupings, ranges, money, magnitudes)
    return (
        *(markup.KIND, powers.KIND, characters, addresses.KIND),
        *(module.KIND for module in numbers),
        *(measures.KIND, roman.KIND, abbreviations.KIND, quantities.KIND, symbols),
    )


def normalize_text(text: str) -> str:
    """Return the normalized text: ASCII words, plain punctuation, single spaces.

    That of a chunk is kept: the preview of a long text asks for it at each change of the text.
    Groups of phonemes, {HH AH0 L OW1}, stay as they are.
    """
    return _normalize_cached(text) if len(text) <= MAX_CACHED_CHARS else _normalize(text)


def _normalize(text: str) -> str:
    text, groups = protect_phonemes(text)
    for kind in load_kinds():
        text = kind.read(text)
    return restore_phonemes(_BLANK_BEFORE_MARK.sub(r"\1", " ".join(text.split())), groups)


_normalize_cached = lru_cache(maxsize=CACHED_TEXTS)(_normalize)
