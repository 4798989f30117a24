"""Digit groupings of other countries, rewritten as 1,234,567.89, which later rules read."""

from __future__ import annotations

from text.normalization.kinds.money import CURRENCY_CODES, CURRENCY_SIGNS, CURRENCY_WORDS
from text.normalization.numbers import MAX_DIGITS
from text.normalization.rules import Kind, Match, substitute
from text.normalization.units import UNIT, UNIT_WORDS

_UNIT_WORD = "|".join(sorted(f"{word}s?" for word in UNIT_WORDS if len(word) > 2))
_MEASURED = (
    rf"(?=\s?(?:%|°|[{CURRENCY_SIGNS}]|(?:{CURRENCY_CODES}|{UNIT}|{_UNIT_WORD}|{CURRENCY_WORDS}|"
    rf"inch(?:es)?|feet|"
    r"degrees?|percent|points?|million|billion|trillion|thousand|Mio|Mrd|times|stars?|per cent|"
    r"kr|zł)(?!\w)))"
)
_MONEY_BEFORE = rf"(?<=(?:[{CURRENCY_SIGNS}]|\b(?:{CURRENCY_CODES}))\s?)"
_START = r"(?<![\w.,'/:-]|\d\s)"


def _group(found: Match) -> str:
    """Rewrite a number with groups and perhaps decimals."""
    digits = "".join(filter(str.isdigit, found["whole"]))
    if len(digits) > MAX_DIGITS:
        return str(found[0])
    part = found.groupdict().get("part")
    return f"{int(digits):,}" + (f".{part}" if part else "")


RULES = (
    substitute(r"(?<=\d)[,.][-–—]{1,2}(?!\d)", "", ("costs €5,-", "costs five euros")),
    substitute(
        _START + r"(?P<whole>[1-9]\d{0,2}(?: \d{3})+)(?:[.,](?P<part>\d{1,3}))?(?![\w]|[ ,.]\d|:\d)"
        r"(?<!\b(?:[Rr]ooms?|[Pp]ages?|[Ss]eats?|[Nn]umbers?|[Cc]all|[Dd]ial)\s[\d ]+)",
        _group,
        ("1 000 000 votes", "one million votes"),
        ("5 000 km", "five thousand kilometers"),
        ("12 500,75 kg", "twelve thousand, five hundred point seven five kilograms"),
    ),
    substitute(
        _START + r"(?P<whole>\d{1,3}(?:'\d{3})+)(?:[.,](?P<part>\d{1,2}))?(?![\w']|[.,]\d)",
        _group,
        ("1'000 seats", "one thousand seats"),
        ("2'500'000.50", "two million, five hundred thousand point five zero"),
    ),
    substitute(
        r"(?<![\w.,])(?P<whole>\d{1,3}(?:_\d{3})+)(?!\w)",
        _group,
        ("1_000_000", "one million"),
    ),
    substitute(
        r"(?<![\w.,])(?P<whole>\d{1,3}(?:\.\d{3}){2,})(?:,(?P<part>\d{1,2}))?(?!\d|[.,]\d)",
        _group,
        ("10.000.000 trees", "ten million trees"),
    ),
    substitute(
        r"(?<![\w.,])(?P<whole>\d{1,3}(?:\.\d{3})+),(?P<part>\d{1,2})(?!\d|[.,]\d)",
        _group,
        ("1.234,56 €", "one thousand, two hundred thirty-four euros and fifty-six cents"),
    ),
    substitute(
        rf"(?<=[{CURRENCY_SIGNS.replace('$', '').replace('£', '')}]\s?)(?P<whole>\d{{1,3}}\.\d{{3"
        rf"}})(?!\d|[.,]\d)"
        rf"|(?<![\w.,])(?P<whole>[1-9]\d{{0,2}}\.\d{{3}})(?=\s?(?:€|EUR\b|euros?\b|kr\b|zł|"
        rf"(?:SEK|NOK|DKK|PLN|BRL|CHF|TRY)\b))",
        _group,
        ("2.500 €", "two thousand, five hundred euros"),
    ),
    substitute(
        r"(?<![\w.,$£])(?P<whole>[1-9]\d{0,2}\.(?:000(?=\s[a-z])|\d{3}(?=\s(?:people|men|women|"
        r"children|[a-z]+s)\b)))"
        rf"(?!\s(?:{_UNIT_WORD}|{UNIT}|inch(?:es)?|feet|points?|percent|degrees?|times|is|was|as|"
        rf"has)\b)",
        _group,
        ("200.000 inhabitants", "two hundred thousand inhabitants"),
        ("2.125 inches", "two point one two five inches"),
    ),
    substitute(
        r"(?<![\w.,])(?P<whole>\d{1,2}(?:,\d\d)+,\d{3})(?:\.(?P<part>\d{1,2}))?(?!\d|[.,]\d)",
        _group,
        ("₹1,00,000", "one hundred thousand rupees"),
        ("12,50,000 people", "one million, two hundred fifty thousand people"),
    ),
    substitute(
        r"(?<![\w.,])(0),(\d{1,4})(?![\d]|[.,]\d)|(?<![\w.,])(\d{1,4}),(\d{1,2})(?!\d|[.,]\d)"
        + _MEASURED
        + rf"|{_MONEY_BEFORE}(\d{{1,6}}),(\d{{1,2}})(?!\d|[.,]\d)",
        lambda found: ".".join(part for part in found.groups() if part),
        ("0,75 l", "zero point seven five liters"),
        ("27,50 €", "twenty-seven euros and fifty cents"),
        ("2,5 million", "two point five million"),
    ),
)
KIND = Kind(name="digit groupings", rules=RULES, needs_digit=True)
