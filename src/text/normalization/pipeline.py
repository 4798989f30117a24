"""English text normalization: numbers, symbols and abbreviations in words.

Steps run from the most specific (an address, a date) to the most general (a number). Case is kept,
since capitals mark acronyms.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from text.normalization.abbreviations import expand_abbreviations, mark_acronyms
from text.normalization.addresses import verbalize_addresses
from text.normalization.dates import verbalize_dates, verbalize_times
from text.normalization.measures import verbalize_fractions, verbalize_measures
from text.normalization.money import verbalize_money
from text.normalization.quantities import verbalize_phone_numbers, verbalize_quantities
from text.normalization.roman import verbalize_roman_numerals
from text.normalization.symbols import normalize_punctuation, verbalize_symbols

_STEPS: tuple[Callable[[str], str], ...] = (
    normalize_punctuation,
    verbalize_addresses,
    verbalize_money,
    verbalize_times,
    verbalize_dates,
    verbalize_phone_numbers,
    verbalize_fractions,
    verbalize_measures,
    verbalize_roman_numerals,
    expand_abbreviations,
    mark_acronyms,
    verbalize_quantities,
    verbalize_symbols,
)
_BLANK_BEFORE_MARK = re.compile(r"\s+([,.;:!?])")


def normalize_text(text: str) -> str:
    """Return the normalized text: ASCII words, plain punctuation, single spaces."""
    for step in _STEPS:
        text = step(text)
    return _BLANK_BEFORE_MARK.sub(r"\1", " ".join(text.split()))
