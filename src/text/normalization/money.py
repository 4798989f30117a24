"""Sums of money in words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from text.normalization.numbers import cardinal_to_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Currency:
    """The names of a coin and its hundredth part, one and many."""

    singular: str
    plural: str
    minor_singular: str = ""
    minor_plural: str = ""


_DOLLAR = Currency(singular="dollar", plural="dollars", minor_singular="cent", minor_plural="cents")
_POUND = Currency(singular="pound", plural="pounds", minor_singular="penny", minor_plural="pence")
_EURO = Currency(singular="euro", plural="euros", minor_singular="cent", minor_plural="cents")
_YEN = Currency(singular="yen", plural="yen")
_RUPEE = Currency(singular="rupee", plural="rupees", minor_singular="paisa", minor_plural="paise")
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


def verbalize_money(text: str) -> str:
    """Write sums out: "$1,299.95" -> "one thousand, two hundred ninety-nine dollars and ..."."""
    text = _RANGE.sub(" to ", text)
    return _AFTER.sub(_verbalize_amount, _BEFORE.sub(_verbalize_amount, text))


def _verbalize_amount(found: re.Match[str]) -> str:
    sign = found["sign"].strip().upper()
    currency = _CURRENCIES.get(sign) or _CODES[sign]
    whole = (found["whole"] or "").replace(",", "").lstrip("0")
    part = found["part"] or ""
    minus = "minus " if found["minus"] else ""
    if found["scale"]:
        scale = _SCALES[found["scale"].lower()]
        return f"{minus}{_verbalize_decimal(whole, part)} {scale} {currency.plural}"
    if part and (len(part) != 2 or not currency.minor_singular):
        return f"{minus}{_verbalize_decimal(whole, part)} {currency.plural}"
    return minus + _verbalize_coins(whole, part.lstrip("0"), currency)


def _verbalize_coins(whole: str, small: str, currency: Currency) -> str:
    spoken = []
    if whole or not small:
        spoken.append(
            f"{cardinal_to_words(whole)} {currency.singular if whole == '1' else currency.plural}"
        )
    if small:
        name = currency.minor_singular if small == "1" else currency.minor_plural
        spoken.append(f"{cardinal_to_words(small)} {name}")
    return " and ".join(spoken)


def _verbalize_decimal(whole: str, part: str) -> str:
    digits = " ".join(cardinal_to_words(digit) for digit in part)
    return f"{cardinal_to_words(whole)} point {digits}" if digits else cardinal_to_words(whole)
