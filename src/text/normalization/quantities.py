"""Verbalize numbers: telephone numbers, ranges, decimals, ordinals, years, counts."""

from __future__ import annotations

import re

from text.normalization.measures import decimal_to_words
from text.normalization.numbers import (
    cardinal_to_words,
    digits_to_words,
    ordinal_to_words,
    year_to_words,
)

_PHONE = re.compile(
    r"(?<![\w.,/-])(?:\+?\d{1,3}[ .-])?(?:\(\d{3}\)\s?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-]|\.\d)"
    r"|(?<![\w.,/-])\d{3}-\d{4}(?![\w-]|\.\d)"
    r"|(?<![\w])\+\d{1,3}(?:[ -]?\d{2,4}){2,5}(?![\w-])",
    re.ASCII,
)
_DIGIT_GROUP = re.compile(r"\d+", re.ASCII)
_VERSION = re.compile(r"(?<![\d.,])\d{1,4}(?:\.\d{1,4}){2,6}(?![\d]|\.\d)", re.ASCII)
_RANGE = re.compile(r"(?<![\d.,–-])(\d{1,9})\s?(?:-|–|—)\s?(\d{1,9})(?![\d.,]*\d|-)", re.ASCII)
_BY = re.compile(r"(?<=\d)\s?[x×]\s?(?=\d)", re.ASCII)
_ORDINAL = re.compile(r"(?<![\w.,])(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b", re.ASCII)
_GROUPED = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\d,]*\d)(?:\.\d+)?", re.ASCII)
_DECIMAL = re.compile(r"(?<![\d.])\d*\.\d+(?!\.?\d)", re.ASCII)
_YEAR = re.compile(r"(?<![\w.,-])(?:1[1-9]\d\d|10[1-9]\d|20\d\d)(?![\w]|[.,]\d)", re.ASCII)
_MINUS = re.compile(r"(?<![\w)\]])[-](?=\.?\d)|(?<=\d)\s-\s(?=\d)", re.ASCII)
_DIGITS = re.compile(r"\d+", re.ASCII)
_AFTER_LETTER = re.compile(r"(?<=[A-Za-z])-?(?=\d)", re.ASCII)
_BEFORE_LETTER = re.compile(r"(?<=\d)-?(?=[A-Za-z])", re.ASCII)
_NUMBER_SIGN = re.compile(r"#\s?(?=\d)", re.ASCII)
_MAX_COUNT_DIGITS = 12  # digits of a number that may still be a count; longer ones end in zeros


def verbalize_phone_numbers(text: str) -> str:
    """Write telephone numbers out digit by digit, with a pause between their groups."""
    return _PHONE.sub(_verbalize_phone_number, text)


def _verbalize_phone_number(found: re.Match[str]) -> str:
    groups = (digits_to_words(group, zero="oh") for group in _DIGIT_GROUP.findall(found[0]))
    plus = "plus " if found[0].startswith("+") else ""
    return plus + ", ".join(groups)


def verbalize_quantities(text: str) -> str:
    """Write every remaining number out."""
    text = _NUMBER_SIGN.sub("number ", _AFTER_LETTER.sub(" ", text))
    text = _VERSION.sub(lambda found: _verbalize_version(found[0]), text)
    text = _RANGE.sub(_verbalize_range, text)
    text = _BY.sub(" by ", text)
    text = _MINUS.sub(" minus ", text)
    text = _ORDINAL.sub(lambda found: ordinal_to_words(found[1].replace(",", "")), text)
    text = _GROUPED.sub(lambda found: decimal_to_words(found[0]), text)
    text = _DECIMAL.sub(lambda found: f" {decimal_to_words(found[0])} ", text)
    text = _YEAR.sub(lambda found: year_to_words(int(found[0])), text)
    return _DIGITS.sub(lambda found: _verbalize_count(found[0]), _BEFORE_LETTER.sub(" ", text))


def _verbalize_version(version: str) -> str:
    return " point ".join(cardinal_to_words(part) for part in version.split("."))


def _verbalize_range(found: re.Match[str]) -> str:
    """Read "10-20" as ten to twenty; a falling range is left to other rules."""
    low, high = found[1], found[2]
    if int(low) >= int(high) and not (len(low) == 4 and len(high) == 2):
        return found[0]
    return f"{low} to {high}"


def _verbalize_count(digits: str) -> str:
    """Read a leading zero, or a very long number that is not round, digit by digit."""
    coded = digits.startswith("0") and len(digits) > 1
    endless = len(digits) > _MAX_COUNT_DIGITS and not digits.endswith("000")
    return digits_to_words(digits) if coded or endless else cardinal_to_words(digits)
