"""Numbers in English words: cardinals, ordinals, years, single digits."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inflect import engine

MAX_DIGITS = 36  # inflect names numbers up to decillions; longer ones are read digit by digit


@lru_cache(maxsize=1_024)  # inflect takes about a millisecond
def cardinal_to_words(digits: str, joint: str = "") -> str:
    """Write a whole number out: "1234" -> "one thousand, two hundred thirty-four".

    joint: "and" for "two hundred and thirty-four".
    """
    digits = digits.lstrip("0") or "0"
    if len(digits) > MAX_DIGITS:
        return digits_to_words(digits)
    words: Any = _load_inflect().number_to_words(digits, andword=joint)
    return str(words)


def ordinal_to_words(digits: str) -> str:
    """Write an ordinal out: "112" -> "one hundred and twelfth"."""
    return str(_load_inflect().ordinal(cardinal_to_words(digits, joint="and")))


def year_to_words(number: int) -> str:
    """Verbalize a year of four digits: 1905 -> "nineteen oh five"."""
    if number % 1000 == 0 or number // 10 == 200:
        return cardinal_to_words(str(number))
    century, rest = divmod(number, 100)
    if rest == 0:
        return f"{cardinal_to_words(str(century))} hundred"
    zero = "oh " if rest < 10 else ""
    return f"{cardinal_to_words(str(century))} {zero}{cardinal_to_words(str(rest))}"


def decade_to_words(number: int) -> str:
    """Write ten years out, given the first: 1980 -> "nineteen eighties"."""
    year = year_to_words(number)
    return f"{year[:-1]}ies" if year.endswith("y") else f"{year}s"


def decimal_to_words(number: str) -> str:
    """Write a number with or without a decimal point out: "3.75" -> "three point seven five"."""
    whole, point, part = number.replace(",", "").partition(".")
    if not point:
        return cardinal_to_words(whole)
    spoken = f"point {digits_to_words(part)}"
    return f"{cardinal_to_words(whole)} {spoken}" if whole else spoken


def pluralize(words: str) -> str:
    """Return the plural of a number in words: "six" -> "sixes", "twenty" -> "twenties"."""
    if words.endswith(("zero", "two")):
        return f"{words}s"
    return str(_load_inflect().plural(words))


def digits_to_words(digits: str, zero: str = "zero") -> str:
    """Write digits out one by one: "007" -> "zero zero seven"; other characters are ignored."""
    kept = (digit for digit in digits if digit in "0123456789")
    return " ".join(zero if digit == "0" else cardinal_to_words(digit) for digit in kept)


@lru_cache(maxsize=1)
def _load_inflect() -> engine:
    """Load inflect at the first number: its import takes over a second."""
    from inflect import engine

    return engine()
