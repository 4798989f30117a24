"""Written English to speakable words: numbers, symbols and short forms spelled out.

The rules run from the most specific shape (an address, a date) to the least (a lone number), each
leaving words that later rules pass over. Case is kept, since capitals tell acronyms from words.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from speech.reading.abbreviations import expand_abbreviations, mark_acronyms
from speech.reading.addresses import read_addresses
from speech.reading.dates import read_dates, read_times
from speech.reading.measures import read_fractions, read_measures
from speech.reading.money import read_money
from speech.reading.quantities import read_phone_numbers, read_quantities
from speech.reading.roman import read_roman
from speech.reading.symbols import plain_marks, read_symbols

_STEPS: tuple[Callable[[str], str], ...] = (
    plain_marks,
    read_addresses,
    read_money,
    read_times,
    read_dates,
    read_phone_numbers,
    read_fractions,
    read_measures,
    read_roman,
    expand_abbreviations,
    mark_acronyms,
    read_quantities,
    read_symbols,
)
_BLANK_BEFORE_MARK = re.compile(r"\s+([,.;:!?])")


def normalize(text: str) -> str:
    """The text as it is read aloud, in ASCII words and plain punctuation, blanks single."""
    for step in _STEPS:
        text = step(text)
    return _BLANK_BEFORE_MARK.sub(r"\1", " ".join(text.split()))
