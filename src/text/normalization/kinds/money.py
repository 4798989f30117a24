"""Sums of money in words; the names of currencies are those of Babel's English locale."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import regex

from text.normalization.numbers import cardinal_to_words, decimal_to_words
from text.normalization.rules import DETERMINER, NOT_A_NOUN, NUMBER, Kind, Match, substitute
from text.normalization.transliteration import to_ascii

_SIGNS = {
    "$": "USD", "£": "GBP", "€": "EUR", "¥": "JPY", "₹": "INR", "₩": "KRW", "₽": "RUB",
    "₺": "TRY", "₪": "ILS", "₫": "VND", "₱": "PHP", "฿": "THB", "₦": "NGN", "₴": "UAH",
    "₡": "CRC", "₲": "PYG", "₵": "GHS", "₸": "KZT", "₭": "LAK", "₮": "MNT", "₼": "AZN", "₾": "GEL",
    "₨": "INR", "元": "CNY", "円": "JPY",
}  # fmt: skip
_MARKS = {
    "US$": "US$", "U.S.$": "US$", "A$": "AUD", "AU$": "AUD", "C$": "CAD", "CA$": "CAD",
    "CAN$": "CAD", "CDN$": "CAD", "NZ$": "NZD", "HK$": "HKD", "S$": "SGD", "SG$": "SGD",
    "NT$": "TWD", "R$": "BRL", "MX$": "MXN", "Mex$": "MXN", "J$": "JMD", "TT$": "TTD",
    "BZ$": "BZD", "FJ$": "FJD", "N$": "NAD", "Z$": "ZWL", "CN¥": "CNY", "RMB¥": "CNY",
    "JP¥": "JPY", "Rs.": "INR", "Rs": "INR", "RS.": "INR", "AU£": "AUD", "E£": "EGP", "LE": "EGP",
    "SFr.": "CHF", "SFr": "CHF", "Fr.": "CHF", "kr": "kr", "kr.": "kr", "Kr": "kr",
    **{sign: sign for sign in _SIGNS},
}  # fmt: skip
_OTHER_CODES = {"RMB": "CNY", "NIS": "ILS", "kr": "kr", "kr.": "kr", "zl": "PLN", "Kc": "CZK",
                "lei": "RON", "US$": "US$", "Ft": "HUF"}  # fmt: skip
_BABEL_CODES = (
    "AED|AFN|AMD|AOA|ARS|AUD|AZN|BDT|BGN|BHD|BOB|BRL|BWP|BYN|CAD|CDF|CHF|CLP|CNY|COP|CRC|CZK|"
    "DKK|DOP|DZD|EGP|ETB|EUR|FJD|GBP|GHS|GTQ|HKD|HNL|HRK|HUF|IDR|ILS|INR|IQD|IRR|ISK|JMD|JOD|"
    "JPY|KES|KRW|KWD|KZT|LBP|LKR|MAD|MDL|MKD|MMK|MNT|MUR|MXN|MYR|MZN|NAD|NGN|NIO|NOK|NPR|NZD|"
    "OMR|TRY|PAB|PEN|PGK|PHP|PKR|PLN|PYG|QAR|RON|RSD|RUB|RWF|SAR|SDG|SEK|SGD|SYP|THB|TND|TTD|TWD|"
    "TZS|UAH|UGX|USD|UYU|UZS|VES|VND|XAF|XOF|YER|ZAR|ZMW"
)
CURRENCY_CODES = f"{_BABEL_CODES}|RMB|NIS"
CURRENCY_SIGNS = "".join(_SIGNS)
CURRENCY_MARKS = "|".join(map(re.escape, sorted(_MARKS, key=len, reverse=True)))
CURRENCY_WORDS = (
    "euros?|dollars?|pounds?|francs?|rupees?|yen|pesos?|kron(?:a|e|or|er)|rubles?|cents?"
)
_SCALES = {
    "k": "thousand", "thousand": "thousand", "grand": "thousand", "m": "million", "mn": "million",
    "mm": "million", "mil": "million", "mln": "million", "mio": "million", "million": "million",
    "b": "billion", "bn": "billion", "bln": "billion", "billion": "billion", "t": "trillion",
    "tn": "trillion", "trn": "trillion", "trillion": "trillion", "crore": "crore", "lakh": "lakh",
    "cr": "crore",
}  # fmt: skip
_SCALE = rf"(?:\s?(?P<scale>(?i:{'|'.join(sorted(_SCALES, key=len, reverse=True))}))(?![\w'’]))?"
_ANY_NUMBER = rf"(?P<number>{NUMBER})(?![\d.,]*\d)"
_AFTER_SIGN = rf"[{CURRENCY_SIGNS}]|(?:{CURRENCY_CODES}|kr\.?|zl|Kc|lei|Ft)(?![\w$])"
_PER = {
    "h": "hour", "hr": "hour", "hour": "hour", "min": "minute", "sec": "second", "s": "second",
    "d": "day", "day": "day", "wk": "week", "week": "week", "mo": "month", "mon": "month",
    "month": "month", "mth": "month", "yr": "year", "y": "year", "year": "year", "lb": "pound",
    "kg": "kilogram", "g": "gram", "oz": "ounce", "l": "liter", "L": "liter", "gal": "gallon",
    "ft": "foot", "sq ft": "square foot", "sqft": "square foot", "m": "meter", "km": "kilometer",
    "mi": "mile", "mile": "mile", "kWh": "kilowatt hour", "ea": "each", "night": "night",
    "person": "person", "user": "user", "seat": "seat", "unit": "unit", "pc": "piece",
    "piece": "piece", "page": "page", "word": "word", "ton": "ton", "bbl": "barrel",
    "barrel": "barrel", "share": "share", "head": "head", "pp": "person", "qtr": "quarter",
    "quarter": "quarter", "term": "term", "lesson": "lesson", "visit": "visit",
    "m^2": "square meter",
    "ft^2": "square foot", "m2": "square meter", "min.": "minute", "hr.": "hour",
}  # fmt: skip
_DETERMINER = regex.compile(DETERMINER + "$")
_NOUN = regex.compile(rf"[\s-](?!{NOT_A_NOUN})[a-z]{{3,}}")
_MINOR = {"USD": "cent", "EUR": "cent", "AUD": "cent", "CAD": "cent", "NZD": "cent", "HKD": "cent",
          "SGD": "cent", "US$": "cent", "GBP": "penny", "INR": "paisa"}  # fmt: skip
_MINOR_PLURALS = {"penny": "pence", "paisa": "paise"}
_PLAIN = {"USD": "dollar", "GBP": "pound", "EUR": "euro", "JPY": "yen", "INR": "rupee",
          "US$": "U.S. dollar", "KRW": "won", "ILS": "shekel", "BRL": "Brazilian real",
          "kr": "krona", "NGN": "Nigerian naira", "TRY": "Turkish lira", "IDR": "Indonesian rupiah",
          "UAH": "Ukrainian hryvnia", "MYR": "Malaysian ringgit"}  # fmt: skip
_PLAIN_PLURALS = {
    "yen": "yen",
    "won": "won",
    "krona": "kronor",
    "Brazilian real": "Brazilian reais",
    "Nigerian naira": "Nigerian naira",
    "Turkish lira": "Turkish lira",
    "Indonesian rupiah": "Indonesian rupiah",
    "Malaysian ringgit": "Malaysian ringgit",
    "Ukrainian hryvnia": "Ukrainian hryvnia",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Currency:
    """The names of a coin and of its hundredth part, one and many; "" where there is none."""

    singular: str
    plural: str
    minor_singular: str = ""
    minor_plural: str = ""


@lru_cache(maxsize=256)
def _get_currency(code: str) -> Currency:
    minor = _MINOR.get(code, "")
    minor_plural = _MINOR_PLURALS.get(minor) or (f"{minor}s" if minor else "")
    if code in _PLAIN:
        singular = _PLAIN[code]
        plural = _PLAIN_PLURALS.get(singular, f"{singular}s")
    else:
        from babel.numbers import get_currency_name

        singular, plural = (
            to_ascii(get_currency_name(code, count=count, locale="en_US")) for count in (1, 2)
        )
    return Currency(
        singular=singular, plural=plural, minor_singular=minor, minor_plural=minor_plural
    )


def _find_code(written: str) -> str:
    written = written.strip()
    for table in (_MARKS, _OTHER_CODES):
        known = table.get(written) or table.get(written.removesuffix("."))
        if known:
            return _SIGNS.get(known, known)
    return written


def _read_amount(found: Match) -> str:
    code = _find_code(found["sign"])
    again = found.groupdict().get("again")
    if again and code == "USD":
        code = "US$" if again.strip() == "USD" else again.strip()
    currency = _get_currency(code)
    number, scale = found["number"], found["scale"]
    attribute = _is_attribute(found)
    if scale:
        name = currency.singular if attribute else currency.plural
        return f"{decimal_to_words(number)} {_SCALES[scale.lower()]} {name}"
    whole, _, part = number.replace(",", "").partition(".")
    if part and (len(part) != 2 or not currency.minor_singular):
        if not part.strip("0"):
            return _read_coins(whole.lstrip("0"), "", currency)
        short = number.rstrip("0") if len(part) == 2 else number
        return f"{decimal_to_words(short)} {currency.plural}"
    if attribute and not part:
        return f"{cardinal_to_words(whole)} {currency.singular}"
    return _read_coins(whole.lstrip("0"), part.lstrip("0"), currency)


def _is_attribute(found: Match) -> bool:
    """Return whether a sum stands before a noun, as in "the $5 bill"."""
    before = _DETERMINER.search(found.string[max(0, found.start() - 20) : found.start()])
    return bool(before and _NOUN.match(found.string, found.end()))


def _read_coins(whole: str, small: str, currency: Currency) -> str:
    spoken = []
    if whole or not small:
        name = currency.singular if whole == "1" else currency.plural
        spoken.append(f"{cardinal_to_words(whole)} {name}")
    if small:
        name = currency.minor_singular if small == "1" else currency.minor_plural
        spoken.append(f"{cardinal_to_words(small)} {name}")
    return " and ".join(spoken)


def _read_small_coin(found: Match) -> str:
    one, many = ("cent", "cents") if found["sign"] == "¢" else ("penny", "pence")
    number = found["number"]
    return f"{decimal_to_words(number)} {one if number == '1' else many}"


RULES = (
    substitute(
        rf"(?<![\w$])(?P<sign>(?:{CURRENCY_MARKS})\s?|(?:{_BABEL_CODES}|RMB|NIS)(?:\s|(?=\d)))"
        rf"(?P<_sign>[{CURRENCY_SIGNS}])?"
        rf"(?=\.?\d){_ANY_NUMBER}{_SCALE}(?P<again>\s?(?:{CURRENCY_CODES})\b)?",
        _read_amount,
        ("$1,299.95", "one thousand, two hundred ninety-nine dollars and ninety-five cents"),
        ("US$50", "fifty U.S. dollars"),
        ("A$5.50", "five Australian dollars and fifty cents"),
        ("CHF 90", "ninety Swiss francs"),
        ("HK$2.5m", "two point five million Hong Kong dollars"),
        ("$40 USD", "forty U.S. dollars"),
        ("R$8", "eight Brazilian reais"),
        ("Rs. 500", "five hundred rupees"),
    ),
    substitute(
        rf"(?<![\w.,{CURRENCY_SIGNS}])(?=\d){_ANY_NUMBER}{_SCALE}\s?(?P<sign>{_AFTER_SIGN})(?!\d)",
        _read_amount,
        ("20 €", "twenty euros"),
        ("45 SEK", "forty-five Swedish kronor"),
        ("1.5m EUR", "one point five million euros"),
        ("300 kr", "three hundred kronor"),
    ),
    substitute(
        rf"(?<![\w.,])(?P<number>{NUMBER})\s?(?P<sign>¢)|(?<![\w.,])(?P<number>\d{{1,2}})"
        rf"(?P<sign>p)(?![\w.'’])",
        _read_small_coin,
        ("25¢", "twenty-five cents"),
        ("50p each", "fifty pence each"),
    ),
    substitute(
        rf"(?<=\b(?:[A-Za-z]*dollars?|cents?|euros?|pounds?|pence|francs?|rupees?|yen|won|pesos?|"
        rf"kron(?:a|or|e|er)|reais|rand|yuan|"
        rf"zlotys?|lira|rubles?|baht|thousand|million|billion|\d))"
        rf"\s?/\s?({'|'.join(map(re.escape, sorted(_PER, key=len, reverse=True)))})\b(?!/)"
        r"(?<![\d]\s?/\s?\w{1,9})",
        lambda found: f" {'' if _PER[found[1]] == 'each' else 'per '}{_PER[found[1]]}",
        ("$20/hr", "twenty dollars per hour"),
        ("€10/kg", "ten euros per kilogram"),
        ("US$4/mo", "four U.S. dollars per month"),
    ),
)
KIND = Kind(name="money", rules=RULES)
_SUM = re.compile(rf"[{re.escape(CURRENCY_SIGNS)}]|\b(?:USD|GBP|EUR|JPY|INR)\b", re.IGNORECASE)
_BETWEEN_SUMS = re.compile(r"(?<=\d)\s?[-–—]\s?(?=[$£€¥₹]\d)")
_MINUS = re.compile(r"(?<![\w-])[-−](?=[$£€¥₹]\s?\.?\d)")


def verbalize_money(text: str) -> str:
    """Write sums out, and only them: "$5-$10" -> "five dollars to ten dollars"."""
    if not _SUM.search(text):
        return text
    return KIND.read(_MINUS.sub("minus ", _BETWEEN_SUMS.sub(" to ", text)))
