"""Text cleaning of the published TorToiSe weights, exact and corrected.

`english_cleaners` is exact. `clean_for_tortoise` differs in sums of money only: "psforty" for forty
pounds and "twelve ninety-nine dollars" were bugs that weights do not depend on.
"""

from __future__ import annotations

import re

from text.normalization.numbers import (
    MAX_DIGITS,
    cardinal_to_words,
    ordinal_to_words,
    year_to_words,
)
from text.normalization.transliteration import to_published_ascii

_GROUPED = re.compile(r"[0-9][0-9,]+[0-9]")
_POUNDS = re.compile(r"£([0-9,]*[0-9]+)")
_DOLLARS = re.compile(r"\$([0-9.,]*[0-9]+)")
_DECIMAL = re.compile(r"([0-9]+)\.([0-9]+)")
_ORDINAL = re.compile(r"([0-9]+)(?:st|nd|rd|th)")
_NUMBER = re.compile(r"[0-9]+")
_ABBREVIATIONS = {
    "mrs": "misess", "mr": "mister", "dr": "doctor", "st": "saint", "co": "company",
    "jr": "junior", "maj": "major", "gen": "general", "drs": "doctors", "rev": "reverend",
    "lt": "lieutenant", "hon": "honorable", "sgt": "sergeant", "capt": "captain",
    "esq": "esquire", "ltd": "limited", "col": "colonel", "ft": "fort",
}  # fmt: skip
_ABBREVIATION = re.compile(rf"\b({'|'.join(_ABBREVIATIONS)})\.", re.IGNORECASE)
_TRAINING_BRACKETS = str.maketrans("[{]}`—ʼ", "(())'-'")


def english_cleaners(text: str) -> str:
    """Clean a text exactly as the published English cleaner does."""
    text = expand_abbreviations(normalize_numbers(to_published_ascii(text).lower()))
    return re.sub(r"\s+", " ", text).replace('"', "")


def clean_for_tortoise(text: str) -> str:
    """Clean a text as the published cleaner does, with correct sums of money."""
    from text.normalization.kinds.money import verbalize_money  # compiles the rules

    return english_cleaners(verbalize_money(text))


def clean_for_training(text: str) -> str:
    """Clean a text as the published data loader does: all brackets become round ones."""
    return english_cleaners(text).translate(_TRAINING_BRACKETS)


def basic_clean(text: str) -> str:
    """Lower the case and collapse spaces, for vocabularies of other languages."""
    return re.sub(r"\s+", " ", text.lower())


def expand_abbreviations(text: str) -> str:
    """Write out the eighteen published abbreviations where a full stop follows."""
    return _ABBREVIATION.sub(lambda found: _ABBREVIATIONS[found[1].lower()], text)


def normalize_numbers(text: str) -> str:
    """Apply the published rules for numbers in their order."""
    text = _GROUPED.sub(lambda found: found[0].replace(",", ""), text)
    text = _POUNDS.sub(r"\1 pounds", text)
    text = _DOLLARS.sub(lambda found: _expand_dollars(found[1]), text)
    text = _DECIMAL.sub(r"\1 point \2", text)
    text = _ORDINAL.sub(lambda found: ordinal_to_words(found[1]), text)
    return _NUMBER.sub(lambda found: _expand_number(found[0]), text)


def _expand_dollars(amount: str) -> str:
    """Expand amounts of dollars and cents; numbers with two dots are not changed."""
    parts = amount.split(".")
    if len(parts) > 2:
        return f"{amount} dollars"
    dollars, cents = (part.lstrip("0") for part in (*parts, "")[:2])
    spoken = [
        f"{count} {name}{'' if count == '1' else 's'}"
        for count, name in ((dollars, "dollar"), (cents, "cent"))
        if count
    ]
    return ", ".join(spoken) or "zero dollars"


def _expand_number(digits: str) -> str:
    """Between 1000 and 3000 a year, elsewhere a cardinal."""
    if len(digits) <= MAX_DIGITS and 1000 < int(digits) < 3000:
        return year_to_words(int(digits))
    return cardinal_to_words(digits)
