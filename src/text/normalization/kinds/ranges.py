"""Dashes before and between numbers: minus, "to", or only a hyphen."""

from __future__ import annotations

from text.normalization.kinds.money import CURRENCY_CODES, CURRENCY_MARKS, CURRENCY_SIGNS
from text.normalization.rules import NUMBER, Kind, Match, substitute
from text.normalization.units import UNIT

_MARK = rf"(?:(?:{CURRENCY_MARKS})\s?)"
_CODE = rf"(?:(?:{CURRENCY_CODES})\s)"
_SCALE = r"(?:\s?(?:thousand|million|billion|trillion|[kKMBm]|bn|mn|tn)(?!\w))"
_AFTER_NUMBER = rf"(?:\s?(?:%|°\s?[CFK]?|{UNIT}|[{CURRENCY_SIGNS}]|{CURRENCY_CODES})(?!\w))"
_FRACTION = r"(?:\d+\s)?\d{1,2}/\d{1,2}|\d*[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]"
_AMOUNT = rf"(?:{_FRACTION}|{NUMBER})"
_SIGNS = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
_DASH = r"\s?[-–—]\s?"


def _read_money_range(found: Match) -> str:
    """Name the currency once, unless one end has cents: $5-10 -> 5 to $10."""
    mark, low, high = found["mark"], found["low"], found["high"]
    cents = any(len(number.partition(".")[2]) == 2 for number in (low, high))
    first = f"{mark}{low}" if cents else low
    return f"{first}{found['scale'] or ''} to {mark}{high}"


def _read_range(found: Match) -> str:
    low, high = found["low"], found["high"]
    if low == high == "50":
        return "50 50"
    if (low, high) == ("24", "7"):
        return "24 7"
    return f"{low} to {high}"


def _read_difference(found: Match) -> str:
    """A number between blanks: rising is a range, falling a subtraction."""
    low, high = (float(found[name].replace(",", "")) for name in ("low", "high"))
    return f"{found['low']} {'to' if low < high else 'minus'} {found['high']}"


RULES = (
    substitute(r"\b(minus|negative)\s[-−–](?=\d)", r"\1 "),
    substitute(
        r"\b(UTC|GMT|T)\s?[-−–](?=\d)",
        r"\1 minus ",
        ("UTC-5", "UTC minus five"),
        ("T-10 seconds", "T minus ten seconds"),
    ),
    substitute(r"\b(UTC|GMT)\s?\+(?=\d)", r"\1 plus "),
    substitute(
        rf"(?<=\d\s?)[-−–]\s?(?={_AMOUNT}\s?=)|(?<==\s?{_AMOUNT}\s)[-−–](?=\s{_AMOUNT})|"
        rf"(?<=\d\s?)−\s?(?=[\d(])"
        rf"|(?<=(?:(?<![A-Za-z])[a-z]\d?|squared|cubed|power of [\w-]+|\))\s)[-−–](?=\s(?:\d|"
        rf"[a-z]\b|\())"
        rf"(?=.*=|(?<=(?:=|squared|cubed).*))|(?<=[=(]\s?)[-−–](?=[a-z]\b)",
        " minus ",
        ("10 - 4 = 6", "ten minus four equals six"),
        ("7−2 is 5", "seven minus two is five"),
        ("y = x - 3", "y equals x minus three"),
        ("x = -b", "x equals minus b"),
    ),
    substitute(
        rf"(?P<mark>{_MARK}|\b{_CODE})[-−–]\s?(?=\d)",
        lambda found: f"minus {found['mark']}",
        ("$-5", "minus five dollars"),
    ),
    substitute(
        rf"(?<![^\s(\[{{<>=:;,/\"'~≈±×*–—]|\d\s)[-−–](?=\.?\d|{_MARK}\.?\d|{_CODE}\d|[½⅓⅔¼¾⅛])"
        rf"(?!\d+(?:-\d+){{2,}})",
        "minus ",
        ("-5%", "minus five percent"),
        ("about −0.75", "about minus zero point seven five"),
        ("-$250 and –£3", "minus two hundred fifty dollars and minus three pounds"),
        ("(-3, 5)", "(minus three, five)"),
        ("Q2 -6%", "Q two minus six percent"),
        ("a 12-hour day", "a twelve hour day"),
    ),
    substitute(rf"(?<![\w.,)\]/^'])−\s?(?=\d|{_MARK}\d|[a-z]\b)", "minus ", ("− 5", "minus five")),
    substitute(
        rf"(?<=[A-Za-z]\d?\s)[-–](?=(?:{NUMBER})\s?(?:%|°|percent|degrees))",
        "minus ",
        ("Q4 -3%", "Q four minus three percent"),
    ),
    substitute(
        r"(?<![\w.,)])\+(?=\.?\d)",
        "plus ",
        ("+4 °C", "plus four degrees Celsius"),
    ),
    substitute(
        rf"(?P<mark>{_MARK}|\b{_CODE})(?P<low>{NUMBER})(?P<scale>{_SCALE})"
        rf"?{_DASH}(?P<high>{NUMBER})(?![\d.,]*\d|-\d)",
        _read_money_range,
        ("$5-10", "five to ten dollars"),
        ("£1.5-2m", "one point five to two million pounds"),
        ("$40k–60k", "forty thousand to sixty thousand dollars"),
        ("€2.50-3.75", "two euros and fifty cents to three euros and seventy-five cents"),
    ),
    substitute(
        rf"(?<=\d{_SCALE}?)\s?[-–—]\s?(?={_MARK}\d|{_CODE}\d)",
        " to ",
        ("$5–$10", "five dollars to ten dollars"),
    ),
    substitute(
        rf"(?<=(?<![\w.,])(?:{_AMOUNT})(?:{_AFTER_NUMBER}|{_SCALE}))\s?[-–—]\s?(?=(?:{_AMOUNT})"
        rf"(?:{_AFTER_NUMBER}|{_SCALE}))",
        " to ",
        ("5°C–10°C", "five degrees Celsius to ten degrees Celsius"),
        ("10K-20K", "ten thousand to twenty thousand"),
    ),
    substitute(
        rf"(?<=\b(?:minus )?(?:{_AMOUNT})(?:{_AFTER_NUMBER})?\s?)[-–—]\s?(?=minus \d)",
        " to ",
        ("-5–-2 °C", "minus five to minus two degrees Celsius"),
    ),
    substitute(
        rf"(?<![\w.,/^-])(?P<low>{_FRACTION}){_DASH}(?P<high>{_AMOUNT})(?![\w]|[.,/-]\d)"
        rf"|(?<![\w.,/^-])(?P<low>{_AMOUNT}){_DASH}(?P<high>{_FRACTION})(?![\w]|[.,/-]\d)",
        _read_range,
        ("½–¾ inch", "one half to three quarters inch"),
    ),
    substitute(
        rf"(?<![\w.,^]|\d-)(?P<low>{NUMBER})\s[-–—]\s(?P<high>{NUMBER})(?![\d.,]*\d|\s[-+=])",
        _read_difference,
        ("10 - 20 kg", "ten to twenty kilograms"),
        ("10 - 4", "ten minus four"),
    ),
    substitute(
        rf"(?<![\w.,^]|\d[-–])(?P<low>{NUMBER})[-–—](?P<high>{NUMBER})(?![\d.,]*\d|[-–]\d|"
        rf"-(?:[a-z]+-)?on\b)"
        r"(?!st\b|nd\b|rd\b|th\b)",
        _read_range,
        ("pages 12-15", "pages twelve to fifteen"),
        ("2–2.5 hours", "two to two point five hours"),
        ("a 50-50 split", "a fifty fifty split"),
        ("ended 3-2", "ended three to two"),
    ),
    substitute(
        r"(?<=\b(?:noon|midnight))\s?[-–—]\s?(?=\d)|(?<=\d\s?(?:[ap]\.?m\.?)?|[AP]\.M\.)"
        r"\s?[-–—]\s?(?=(?:noon|midnight|present|now|today)\b)"
        r"|(?<=\b(?P<letter>[A-Z])\d{1,2})[-–](?=(?P=letter)\d)",
        " to ",
        ("2019–present", "twenty nineteen to present"),
        ("Q1-Q3", "Q one to Q three"),
    ),
    substitute(
        r"(?<=\b\d{1,4}(?:st|nd|rd|th))\s?[-–—]\s?(?=\d{1,4}(?:st|nd|rd|th)\b)",
        " to ",
        ("5th-8th grade", "fifth to eighth grade"),
    ),
    substitute(
        r"\b([A-Z])\s?[-–—]\s?([A-Z])\b(?=[\s.,;!?)]|$)(?<=\b(?:A[-–—]Z|[A-Z]\s?[–—]\s?[A-Z]))|"
        r"\ba[-–]z\b",
        lambda found: f"{found[1]} to {found[2]}" if found[1] else "a to z",
        ("from A–Z", "from A to Z"),
    ),
)
KIND = Kind(name="minus and ranges", rules=RULES)
