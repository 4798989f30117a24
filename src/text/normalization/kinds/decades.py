"""Decades, and plurals of numbers and letters: the '90s, 1960s, 100s of, two 5s, CDs."""

from __future__ import annotations

from text.normalization.numbers import (
    cardinal_to_words,
    decade_to_words,
    digits_to_words,
    pluralize,
)
from text.normalization.rules import Kind, Match, substitute

_MAGNITUDES = {
    "10": "tens", "100": "hundreds", "1000": "thousands", "10000": "tens of thousands",
    "100000": "hundreds of thousands", "1000000": "millions",
}  # fmt: skip
_OWNER = (
    r"\b(?:the|his|her|their|my|your|our|its|early|mid|late|later|low|lower|mid to late|high|upper|"
    r"middle|roaring|swinging|of|early to mid|one's)"
)
_COUNTED = (
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|both|all|some|many|several|few|these|those|"
    r"no|more|of|the|sizes?|straight|are|and|or|other|new|old|in)"
)


def _read_decade(found: Match) -> str:
    return decade_to_words(int(found["year"]))


def _read_tens(found: Match) -> str:
    return pluralize(cardinal_to_words(found["tens"]))


def _read_code_plural(found: Match) -> str:
    """A number as it is named, in the plural: 747s -> "seven forty-sevens"."""
    digits = found["digits"]
    if len(digits) == 3 and digits[1:] == "00":
        return pluralize(cardinal_to_words(digits))
    if len(digits) == 3 and digits[1] != "0":
        return f"{cardinal_to_words(digits[0])} {pluralize(cardinal_to_words(digits[1:]))}"
    if len(digits) == 3:
        spoken = digits_to_words(digits, zero="oh").split()
        return " ".join([*spoken[:-1], pluralize(spoken[-1])])
    if len(digits) == 4 and digits[2] != "0":
        return f"{cardinal_to_words(digits[:2])} {pluralize(cardinal_to_words(digits[2:]))}"
    return pluralize(cardinal_to_words(digits))


RULES = (
    substitute(
        r"(?<![\w.,])(10|100|1,?000|10,?000|100,?000|1,?000,?000)'?s(?=\s(?:of|more|upon)\b)",
        lambda found: _MAGNITUDES[found[1].replace(",", "")],
        ("100s of hats", "hundreds of hats"),
        ("1,000s more", "thousands more"),
        ("10s of thousands", "tens of thousands"),
    ),
    substitute(
        r"(?<![\w.,$])(?P<year>(?:1[1-9]|20)\d0)(?:'?s\b|s'(?!\w))",
        _read_decade,
        ("the 1960s", "the nineteen sixties"),
        ("1920's jazz", "nineteen twenties jazz"),
        ("the 2010s", "the twenty tens"),
        ("the mid-1800s", "the mid-eighteen hundreds"),
    ),
    substitute(
        r"(?<!\w)'(?P<tens>[1-9]0)'?s\b",
        _read_tens,
        ("the '90s", "the nineties"),
        ("late-'80s pop", "late-eighties pop"),
    ),
    substitute(r"(?<!\w)'00s\b|(?<=\b[Tt]he )00s\b", "two thousands"),
    substitute(
        r"(?<![\w.,])(?P<tens>[2-9]0)'s\b",
        _read_tens,
        ("the 90's", "the nineties"),
    ),
    substitute(
        rf"(?<={_OWNER}[\s-])(?P<tens>[1-9]0)s\b(?!\s?(?:timer|timeout|delay|clip|video|"
        rf"countdown|window|"
        r"mark|interval|pause|limit|break|ad\b|spot))",
        _read_tens,
        ("in his 20s", "in his twenties"),
        ("the low 60s", "the low sixties"),
        ignore_case=True,
    ),
    substitute(
        r"(?<=\b\w+ties(?:\s(?:and|or|to|through)\s|,\s|\s?[-–/]\s?))(?:early|mid|late)"
        r"?[\s-]?(?P<tens>[2-9]0)s\b",
        _read_tens,
        ("her 30s and 40s", "her thirties and forties"),
    ),
    substitute(
        r"(?<![\w.,])(?P<tens>[2-9]0)s(?=(?:\s(?:and|or|to)\s|\s?[-–/]\s?|,\s)(?:early |late |"
        r"mid-)?'?[2-9]0s\b|"
        r"-(?:era|style|inspired)|\s(?:music|fashion|hits|rock|pop|disco|movies|style))",
        _read_tens,
        ("Men 20s or 30s", "Men twenties or thirties"),
        ("80s music", "eighties music"),
    ),
    substitute(
        r"(?<=\b(?:\w+ties)(?:\s(?:and|or|to)\s|\s?[-–/]\s?|,\s))(?P<tens>[2-9]0)s\b",
        _read_tens,
    ),
    substitute(
        r"\b([A-Z][A-Za-z]{0,3})-?(?P<digits>\d{1,3})s\b",
        lambda found: f"{found[1]} {_read_code_plural(found)}",
        ("two MP3s", "two MP threes"),
        ("F-16s", "F sixteens"),
    ),
    substitute(
        r"(?<![\w.,$])(?P<digits>\d{3,4})s\b(?!\s(?:timeout|timer|delay|interval|window|countdown))"
        r"(?<!\b(?:for|in|after|about|takes|took|within|every|lasted|wait(?:ed)?)\s\d{3,4}s)",
        _read_code_plural,
        ("both 747s", "both seven forty-sevens"),
        ("the low 500s", "the low five hundreds"),
    ),
    substitute(
        rf"(?<={_COUNTED}\s)(?P<digits>\d{{1,2}})s\b(?!\s(?:of|before|after|later|more|to go|"
        rf"timer|delay|"
        r"interval|left|long|pause|per|each)\b)(?<!\bin\s\d{1,2}s)",
        _read_code_plural,
        ("two 5s", "two fives"),
        ("1s and 0s", "ones and zeros"),
        ignore_case=True,
    ),
    substitute(
        r"(?<![\w.,$])(?P<digits>\d{1,2})s(?=\s(?:and|or)\s\w+s\b)(?<!\b(?:for|in|after|about|"
        r"within|every)\s\d{1,2}s)",
        _read_code_plural,
    ),
    substitute(
        r"(?<![\w.,$])(\d?\d)ers\b",
        lambda found: f"{cardinal_to_words(found[1]).removesuffix('e')}ers",
        ("the 49ers", "the forty-niners"),
    ),
    substitute(
        r"(?<![\w.,$'])(?P<digits>\d{1,3})'s\b",
        _read_code_plural,
        ("the 7's", "the sevens"),
    ),
)
KIND = Kind(name="decades and plurals", rules=RULES, needs_digit=True)
