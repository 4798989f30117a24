"""Every number that no other rule has read: ordinals, years, decimals, counts."""

from __future__ import annotations

from text.normalization.numbers import (
    cardinal_to_words,
    decimal_to_words,
    digits_to_words,
    ordinal_to_words,
    year_to_words,
)
from text.normalization.rules import Kind, substitute

_MAX_COUNT_DIGITS = 12  # digits of a number that may still be a count; longer ones end in zeros


def _read_count(digits: str) -> str:
    """Read a leading zero, or a very long number that is not round, digit by digit."""
    coded = digits.startswith("0") and len(digits) > 1
    endless = len(digits) > _MAX_COUNT_DIGITS and not digits.endswith("000")
    return digits_to_words(digits) if coded or endless else cardinal_to_words(digits)


RULES = (
    substitute(r"#\s?(?=\d)", "number ", ("Our #1 rule", "Our number one rule")),
    substitute(r"(?<=[A-Za-z])-?(?=\d)", " ", ("COVID-19", "COVID nineteen")),
    substitute(
        r"(?<=\d|\))\s?[x×]\s?(?=[\d(][^=<>\n]{0,40}[=≈])|(?<=[=≈]\s?[\d.]+)\s?[x×]\s?(?=\d)",
        " times ",
        ("3 × 4 = 12", "three times four equals twelve"),
    ),
    substitute(r"(?<=\d)\s?[x×]\s?(?=\d)", " by ", ("5x7 print", "five by seven print")),
    substitute(
        r"(?<=\d)[x×](?!\w|\s?[-+=<>^/−]|\s(?:minus|plus|equals)\b|\)\s?(?:\^|squared|cubed|"
        r"to the power))",
        " times",
        ("2x faster", "two times faster"),
    ),
    substitute(
        r"(?<![\w.,])(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b",
        lambda found: ordinal_to_words(found[1].replace(",", "")),
        ("the 21st", "the twenty-first"),
        ignore_case=True,
    ),
    substitute(
        r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\d,]*\d)(?:\.\d+)?",
        lambda found: decimal_to_words(found[0]),
        ("1,000,000.5", "one million point five"),
    ),
    substitute(
        r"(?<![\d.])(?:(?<=(\w))|)\d*\.\d+(?!\.?\d)(?:(?=([A-Za-z]))|)",
        lambda found: (
            f"{' ' if found[1] else ''}{decimal_to_words(found[0])}{' ' if found[2] else ''}"
        ),
        ("3.75", "three point seven five"),
    ),
    substitute(
        r"(?<![\w.,-])(?:1[1-9]\d\d|10[1-9]\d|20\d\d)(?![\w]|[.,]\d)",
        lambda found: year_to_words(int(found[0])),
        ("in 1905", "in nineteen oh five"),
    ),
    substitute(r"(?<=\d)-?(?=[A-Za-z])", " "),
    substitute(
        r"\d+",
        lambda found: _read_count(found[0]),
        ("4242 guests", "four thousand, two hundred forty-two guests"),
    ),
)
KIND = Kind(name="other numbers", rules=RULES)
