"""Measures with their units, percentages, degrees and fractions."""

from __future__ import annotations

import re

from text.normalization.numbers import cardinal_to_words, digits_to_words, ordinal_to_words

_UNITS = {
    "km/h": "kilometer per hour", "kmh": "kilometer per hour", "kph": "kilometer per hour",
    "mph": "mile per hour", "m/s": "meter per second", "km/s": "kilometer per second",
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer",
    "µm": "micrometer", "mi": "mile", "ft": "foot", "yd": "yard", "yds": "yard",
    "kg": "kilogram", "g": "gram", "mg": "milligram", "lb": "pound", "lbs": "pound", "oz": "ounce",
    "l": "liter", "L": "liter", "ml": "milliliter", "mL": "milliliter", "cl": "centiliter",
    "kB": "kilobyte", "KB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte",
    "kbps": "kilobit per second", "Mbps": "megabit per second", "Gbps": "gigabit per second",
    "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz",
    "W": "watt", "kW": "kilowatt", "MW": "megawatt", "kWh": "kilowatt hour", "V": "volt",
    "kV": "kilovolt", "mA": "milliamp", "mAh": "milliamp hour", "dB": "decibel",
    "ms": "millisecond", "s": "second", "sec": "second", "secs": "second", "min": "minute",
    "mins": "minute", "h": "hour", "hr": "hour", "hrs": "hour", "kcal": "kilocalorie",
    "cal": "calorie", "kJ": "kilojoule", "px": "pixel", "dpi": "dot per inch",
    "rpm": "turn per minute", "fps": "frame per second", "ha": "hectare",
}  # fmt: skip
_SAME_IN_PLURAL = ("hertz",)
_IRREGULAR = {"foot": "feet"}
_POWERS = {"2": "square", "3": "cubic"}
_NUMBER = r"(?P<number>(?<![\w.,])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|(?<![\w.])\.\d+)"
_UNIT = "|".join(map(re.escape, sorted(_UNITS, key=len, reverse=True)))
_MEASURE = re.compile(
    rf"{_NUMBER}(?:\s?|-)(?P<unit>{_UNIT})(?:\^(?P<power>[23]))?(?![\w/'’])", re.ASCII
)
_SPAN = re.compile(
    rf"(?<![\w.,-])(\d+(?:\.\d+)?)\s?[-–—]\s?(?=\d[\d.]*\s?(?:%|(?:{_UNIT})\b))", re.ASCII
)
_PERCENT = re.compile(rf"{_NUMBER}\s?%", re.ASCII)
_DEGREES = re.compile(
    rf"(?P<minus>(?<!\w)-)?{_NUMBER}\s?(?:°|deg\b)\s?(?P<scale>[CFK])?(?![A-Za-z])", re.ASCII
)
_HEIGHT = re.compile(r"(?<![\w.])(\d)'\s?(\d{1,2})(?:\"|''|(?=[\s.,;!?]|$))", re.ASCII)
_SCALES = {"C": " Celsius", "F": " Fahrenheit", "K": " kelvin"}
_FRACTION_SIGNS = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5",
    "⅗": "3/5", "⅘": "4/5", "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8",
}  # fmt: skip
_FRACTION_SIGN = re.compile("|".join(_FRACTION_SIGNS))
_FRACTION = re.compile(
    r"(?<![\w/.,])(?:(?P<whole>\d{1,3})\s)?(?P<top>\d{1,2})/(?P<bottom>\d{1,3})(?![\w/]|\.\d)",
    re.ASCII,
)
_NAMED_PAIRS = {"24/7": "twenty-four seven", "9/11": "nine eleven", "50/50": "fifty fifty"}


def verbalize_fractions(text: str) -> str:
    """Write fractions out: "2½" -> "two and a half", "3/4" -> "three quarters"."""
    return _FRACTION.sub(
        _verbalize_fraction, _FRACTION_SIGN.sub(lambda found: f" {_FRACTION_SIGNS[found[0]]}", text)
    )


def _verbalize_fraction(found: re.Match[str]) -> str:
    if found[0] in _NAMED_PAIRS:
        return _NAMED_PAIRS[found[0]]
    top, bottom = found["top"].lstrip("0") or "0", found["bottom"].lstrip("0") or "0"
    if int(bottom) < 2 or (int(bottom) > 16 and bottom not in ("20", "32", "50", "64", "100")):
        spoken = f"{cardinal_to_words(top)} over {cardinal_to_words(bottom)}"
        return f"{cardinal_to_words(found['whole'])} {spoken}" if found["whole"] else spoken
    share = {"2": "half", "4": "quarter"}.get(bottom) or ordinal_to_words(bottom)
    many = {"half": "halves"}.get(share, f"{share}s")
    one = "a" if found["whole"] else "one"
    spoken = f"{one} {share}" if top == "1" else f"{cardinal_to_words(top)} {many}"
    return f"{cardinal_to_words(found['whole'])} and {spoken}" if found["whole"] else spoken


def verbalize_measures(text: str) -> str:
    """Write measures out: "5 km/h" -> "five kilometers per hour", "50%" -> "fifty percent"."""
    text = _HEIGHT.sub(
        lambda found: f"{cardinal_to_words(found[1])} foot {cardinal_to_words(found[2])}", text
    )
    text = _SPAN.sub(r"\1 to ", text)
    text = _DEGREES.sub(_verbalize_degrees, text)
    text = _PERCENT.sub(lambda found: f"{decimal_to_words(found['number'])} percent", text)
    return _MEASURE.sub(_verbalize_measure, text)


def _verbalize_degrees(found: re.Match[str]) -> str:
    number = decimal_to_words(found["number"])
    minus = "minus " if found["minus"] else ""
    degrees = "degree" if number == "one" else "degrees"
    return f"{minus}{number} {degrees}{_SCALES.get(found['scale'] or '', '')}"


def _verbalize_measure(found: re.Match[str]) -> str:
    number = decimal_to_words(found["number"])
    unit = _UNITS[found["unit"]]
    power = f"{_POWERS[found['power']]} " if found["power"] else ""
    return f"{number} {power}{unit if number == 'one' else _pluralize_unit(unit)}"


def _pluralize_unit(unit: str) -> str:
    """The plural, which falls on the word before "per"."""
    counted, per, rest = unit.partition(" per ")
    if not counted.endswith(_SAME_IN_PLURAL):
        counted = _IRREGULAR.get(counted) or f"{counted}s"
    return counted + per + rest


def decimal_to_words(number: str) -> str:
    """A number with or without a decimal point: "3.75" -> "three point seven five"."""
    whole, point, part = number.replace(",", "").partition(".")
    if not point:
        return cardinal_to_words(whole)
    spoken = f"point {digits_to_words(part)}"
    return f"{cardinal_to_words(whole)} {spoken}" if whole else spoken
