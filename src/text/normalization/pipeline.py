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

if TYPE_CHECKING:
    from text.normalization.rules import Kind

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
    """Return the normalized text: ASCII words, plain punctuation, single spaces."""
    for kind in load_kinds():
        text = kind.read(text)
    return _BLANK_BEFORE_MARK.sub(r"\1", " ".join(text.split()))
