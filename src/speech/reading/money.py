"""Sums of money in words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from speech.reading.numbers import cardinal


@dataclass(frozen=True, slots=True, kw_only=True)
class Currency:
    """The names of a coin and its hundredth part, one and many."""

    one: str
    many: str
    small_one: str = ""
    small_many: str = ""


_DOLLAR = Currency(one="dollar", many="dollars", small_one="cent", small_many="cents")
_POUND = Currency(one="pound", many="pounds", small_one="penny", small_many="pence")
_EURO = Currency(one="euro", many="euros", small_one="cent", small_many="cents")
_YEN = Currency(one="yen", many="yen")
_RUPEE = Currency(one="rupee", many="rupees", small_one="paisa", small_many="paise")
_CURRENCIES = {"$": _DOLLAR, "£": _POUND, "€": _EURO, "¥": _YEN, "₹": _RUPEE}
_CODES = {"USD": _DOLLAR, "GBP": _POUND, "EUR": _EURO, "JPY": _YEN, "INR": _RUPEE}
_SCALES = {
    "k": "thousand", "thousand": "thousand", "m": "million", "mn": "million",
    "million": "million", "b": "billion", "bn": "billion", "billion": "billion",
    "tn": "trillion", "trillion": "trillion",
}  # fmt: skip
_AMOUNT = r"(?P<whole>\d{1,3}(?:,\d{3})+|\d*)(?:\.(?P<part>\d+))?(?![\d.]*\d)"
_SCALE = rf"(?:\s?(?P<scale>{'|'.join(sorted(_SCALES, key=len, reverse=True))})\b)?"
_BEFORE = re.compile(
    rf"(?P<minus>(?<!\w)[-−])?(?P<sign>[$£€¥₹]|\b(?:{'|'.join(_CODES)})\s)"
    rf"\s?(?=\.?\d){_AMOUNT}{_SCALE}",
    re.IGNORECASE | re.ASCII,
)
_AFTER = re.compile(
    rf"(?P<minus>(?<!\S)[-−])?(?<![\d.,$£€¥₹])(?=\d){_AMOUNT}{_SCALE}"
    rf"\s?(?P<sign>[£€¥₹]|(?:{'|'.join(_CODES)})\b)",
    re.IGNORECASE | re.ASCII,
)
_RANGE = re.compile(r"(?<=\d)\s?[-–—]\s?(?=[$£€¥₹]\d)")


def read_money(text: str) -> str:
    """Write sums out: "$1,299.95" -> "one thousand, two hundred ninety-nine dollars and ..."."""
    text = _RANGE.sub(" to ", text)
    return _AFTER.sub(_sum, _BEFORE.sub(_sum, text))


def _sum(found: re.Match[str]) -> str:
    sign = found["sign"].strip().upper()
    currency = _CURRENCIES.get(sign) or _CODES[sign]
    whole = (found["whole"] or "").replace(",", "").lstrip("0")
    part = found["part"] or ""
    minus = "minus " if found["minus"] else ""
    if found["scale"]:
        scale = _SCALES[found["scale"].lower()]
        return f"{minus}{_decimal(whole, part)} {scale} {currency.many}"
    if part and (len(part) != 2 or not currency.small_one):
        return f"{minus}{_decimal(whole, part)} {currency.many}"
    return minus + _coins(whole, part.lstrip("0"), currency)


def _coins(whole: str, small: str, currency: Currency) -> str:
    spoken = []
    if whole or not small:
        spoken.append(f"{cardinal(whole)} {currency.one if whole == '1' else currency.many}")
    if small:
        name = currency.small_one if small == "1" else currency.small_many
        spoken.append(f"{cardinal(small)} {name}")
    return " and ".join(spoken)


def _decimal(whole: str, part: str) -> str:
    digits = " ".join(cardinal(digit) for digit in part)
    return f"{cardinal(whole)} point {digits}" if digits else cardinal(whole)
