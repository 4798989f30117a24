"""The text cleaning that published TorToiSe weights were trained with, and its mending.

`clean_like_tortoise` is exact, quirks included. `clean_for_tortoise` reads sums of money right
first and is otherwise the same: "psforty" for forty pounds and "twelve ninety-nine dollars" were
accidents of the order of its rules, nothing that weights rely on.
"""

from __future__ import annotations

import re

from speech.reading.money import read_money
from speech.reading.numbers import MOST_DIGITS, cardinal, ordinal, year
from speech.transliterate import to_trained_ascii

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
_TRAINING_MARKS = str.maketrans("[{]}`—ʼ", "(())'-'")


def clean_like_tortoise(text: str) -> str:
    """Exactly what upstream's English cleaner returns."""
    text = read_numbers(to_trained_ascii(text).lower())
    text = _ABBREVIATION.sub(lambda found: _ABBREVIATIONS[found[1].lower()], text)
    return re.sub(r"\s+", " ", text).replace('"', "")


def clean_for_tortoise(text: str) -> str:
    """The same words, but with sums of money read as people say them."""
    return clean_like_tortoise(read_money(text))


def clean_for_training(text: str) -> str:
    """The cleaning of upstream's data loader: every kind of bracket becomes a round one."""
    return clean_like_tortoise(text).translate(_TRAINING_MARKS)


def basic_clean(text: str) -> str:
    """Lower case and single blanks: for vocabularies of other languages."""
    return re.sub(r"\s+", " ", text.lower())


def read_numbers(text: str) -> str:
    """Upstream's number rules, in upstream's order."""
    text = _GROUPED.sub(lambda found: found[0].replace(",", ""), text)
    text = _POUNDS.sub(r"\1 pounds", text)
    text = _DOLLARS.sub(lambda found: _dollars(found[1]), text)
    text = _DECIMAL.sub(r"\1 point \2", text)
    text = _ORDINAL.sub(lambda found: ordinal(found[1]), text)
    return _NUMBER.sub(lambda found: _number(found[0]), text)


def _dollars(amount: str) -> str:
    """Dollars and cents in digits; what has two dots is left as it is."""
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


def _number(digits: str) -> str:
    """Between 1000 and 3000 a year, elsewhere a cardinal."""
    if len(digits) <= MOST_DIGITS and 1000 < int(digits) < 3000:
        return year(int(digits))
    return cardinal(digits)
