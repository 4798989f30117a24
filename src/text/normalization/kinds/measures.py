"""Measures with their units, percentages, degrees and fractions."""

from __future__ import annotations

import re

from text.normalization.numbers import cardinal_to_words, decimal_to_words, ordinal_to_words
from text.normalization.rules import DETERMINER, NOT_A_NOUN, NUMBER, Kind, Match, substitute
from text.normalization.units import DOTTED_UNITS, UNIT, UNITS, name_unit

_SCALES = {"C": " Celsius", "F": " Fahrenheit", "K": " kelvin"}
_FRACTION_SIGNS = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5",
    "⅗": "3/5", "⅘": "4/5", "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8",
    "⅐": "1/7", "⅑": "1/9", "⅒": "1/10",
}  # fmt: skip
_NAMED_PAIRS = {"24/7": "twenty-four seven", "9/11": "nine eleven", "50/50": "fifty fifty"}
_EXACT_BOTTOMS = ("20", "32", "50", "64", "100", "1000")
_COUNT = rf"(?P<number>(?<![\w.,])(?:{NUMBER}))(?:\s(?P<scale>thousand|million|billion|trillion))?"
_UNDOTTED = "|".join(
    re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True) if unit[-1] != "."
)

_THINGS = (
    r"(?:can|bucket|bulb|lamp|jug|drum|barrel|keg|heater|motor|battery|charger|tile|pond|"
    r"pool|garden|farm|field|plot|rug|bag|bottle|jar|tank|box|pack|packet|walk|drive|ride|hike|"
    r"run|race|swim|steak|ladder|"
    r"rope|board|"
    r"pipe|nail|screw|wall|fence|tower|pole|room|flat|apartment|house|lot|screen|boy|man|fish|"
    r"dog|cat|tree|"
    r"snake|break|nap|call|meeting|clip|video|delay|timer|film|flight|trip|journey|climb|commute|"
    r"stretch|"
    r"course|track|cable|hose|lens|engine|truck|kettle|cup|mug|pan|pot|roast|turkey|plank|drop|"
    r"fall|dash)s?|"
    r"loaf|loaves|woman|women|men|baby|class|classes|glass|radius"
)


def _read_fraction(found: Match) -> str:
    if found[0] in _NAMED_PAIRS:
        return _NAMED_PAIRS[found[0]]
    unit = f" {name_unit(found['unit'], one=not found['whole'])}" if found["unit"] else ""
    return _name_fraction(found) + unit + (_end(found) if unit else "")


def _name_fraction(found: Match) -> str:
    top, bottom = found["top"].lstrip("0") or "0", found["bottom"].lstrip("0") or "0"
    whole = cardinal_to_words(found["whole"]) if found["whole"] else ""
    if int(bottom) < 2 or (int(bottom) > 16 and bottom not in _EXACT_BOTTOMS):
        spoken = f"{cardinal_to_words(top)} over {cardinal_to_words(bottom)}"
        return f"{whole} {spoken}" if whole else spoken
    share = {"2": "half", "4": "quarter"}.get(bottom) or ordinal_to_words(bottom)
    many = {"half": "halves"}.get(share, f"{share}s")
    one = "a" if whole else "one"
    spoken = f"{one} {share}" if top == "1" else f"{cardinal_to_words(top)} {many}"
    return f"{whole} and {spoken}" if whole else spoken


def _read_degrees(found: Match) -> str:
    number = decimal_to_words(found["number"])
    degrees = "degree" if number == "one" or found["noun"] is not None else "degrees"
    return f"{number} {degrees}{_SCALES.get((found['scale'] or '').upper(), '')}"


def _read_measure(found: Match) -> str:
    number = decimal_to_words(found["number"])
    scale = f" {found['scale']}" if found["scale"] else ""
    written = found["unit"]
    one = (number == "one" and not scale) or found.groupdict().get("joint") == "-"
    return f"{number}{scale} {name_unit(written, found['power'] or '', one=one)}{_end(found)}"


def _read_attribute(found: Match) -> str:
    number = decimal_to_words(found["number"])
    return f"{number} {name_unit(found['unit'], found['power'] or '', one=True)}"


def _end(found: Match) -> str:
    """The full stop of a short form stays where it ends the sentence."""
    unit = found["unit"]
    if found["dot"] and unit not in DOTTED_UNITS:
        return "."
    if not (found["dot"] or unit.endswith(".")):
        return ""
    rest = found.string[found.end() : found.end() + 40]
    return "." if not rest.strip() or re.match(r"[\"')\]]*\s+[A-Z]", rest) else ""


def _read_height(found: Match) -> str:
    inches = decimal_to_words(found["inches"]) if found["inches"] else ""
    feet = cardinal_to_words(found["feet"])
    if found["long"] or not inches:
        unit = "inch" if inches == "one" else "inches"
        foot = "foot" if feet == "one" else "feet"
        return f"{feet} {foot} {inches} {unit}" if inches else f"{feet} {foot}"
    return f"{feet} foot {inches}"


RULES = (
    substitute(
        r"(?<=\d\s?)(k?m|[cm]m|ft|in|yd|mi)([23])\b(?!\.\d)",
        r"\1^\2",
        ("70 m2 of floor", "seventy square meters of floor"),
        ("500 cm3", "five hundred cubic centimeters"),
    ),
    substitute(
        "|".join(_FRACTION_SIGNS),
        lambda found: f" {_FRACTION_SIGNS[found[0]]}",
        ("Add 1½ cups", "Add one and a half cups"),
    ),
    substitute(
        r"(?<![\w.,])(?P<feet>\d{1,5})'(?P<long>\s)?(?P<inches>\d{1,2}(?:\.\d)?)(?:\"|''|"
        r"(?=[\s.,;!?)]|$))",
        _read_height,
        ("5'11\" tall", "five foot eleven tall"),
        ("8' 6\" long", "eight feet six inches long"),
    ),
    substitute(
        r"(?<![\w.,])(?P<feet>\d{1,2})\s?(?:ft|feet|foot)\.?\s?(?P<inches>\d{1,2})(?P<long>)"
        r"(?:\s?in(?:\.|ch(?:es)?\b)?)?(?=[\s.,;!?)]|$)"
        r"(?<!\d\s\d{1,2})",
        _read_height,
        ("6 ft 2 in tall", "six foot two tall"),
    ),
    substitute(
        rf"(?<![\w.,])(?P<number>{NUMBER})\"(?=\s?(?:[x×]|wide|long|tall|thick|deep|high|screen|"
        rf"TV|TVs|monitor|display|pipe|nails?|"
        r"laptop|tablet|pizza|by)\b)",
        lambda found: f"{decimal_to_words(found['number'])} inch",
        ('a 27" monitor', "a twenty-seven inch monitor"),
    ),
    substitute(
        r"(?<![\w.,])(?P<number>\d{1,5})'(?=\s?(?:[x×]|wide|long|tall|thick|deep|high|by)\b|"
        r"(?<=\b(?:by|x)\s\d+'))",
        lambda found: f"{cardinal_to_words(found['number'])} feet",
        ("40' long", "forty feet long"),
    ),
    substitute(
        r"(?<![\w/.,])(?:(?P<whole>\d{1,3})\s)?(?P<top>\d{1,2})/(?P<bottom>\d{1,4})(?:th|rd|nd)?s?"
        rf"(?:\s?(?P<unit>{UNIT})(?![\w/'’])(?P<dot>\.)?)?(?![\w/]|\.\d)",
        _read_fraction,
        ("3/4 of it", "three quarters of it"),
        ("½ tsp salt", "one half teaspoon salt"),
        ("1 2/3 cups", "one and two thirds cups"),
    ),
    substitute(
        rf"(?P<number>(?<![\w.,])(?:{NUMBER}))\s?(?:°|deg\b\.?)(?:\s?(?P<scale>[CFKcf])"
        rf"(?![A-Za-z]))?"
        r"(?P<noun>(?=\s(?:turns?|angles?|views?|bends?|rotations?|heat|corners?|spins?|cameras?|"
        r"video|arc)\b))?",
        _read_degrees,
        ("20 °C", "twenty degrees Celsius"),
        ("72°F", "seventy-two degrees Fahrenheit"),
        ("1°", "one degree"),
        ("a 90° turn", "a ninety degree turn"),
    ),
    substitute(
        r"(?<![\w.,$-])(\d{3})([FC])(?![\w-])",
        lambda found: f"{cardinal_to_words(found[1])} degrees{_SCALES[found[2]]}",
        (
            "bake at 350F (180C)",
            "bake at three hundred fifty degrees Fahrenheit (one hundred eighty degrees Celsius)",
        ),
    ),
    substitute(
        rf"(?P<number>(?<![\w.,])(?:{NUMBER}))\s?%",
        lambda found: f"{decimal_to_words(found['number'])} percent",
        ("50% off", "fifty percent off"),
        ("0.5 %", "zero point five percent"),
    ),
    substitute(
        rf"{DETERMINER}(?P<number>{NUMBER})\s?(?P<unit>{UNIT})(?:\^(?P<power>[23]))?\.?"
        rf"(?=\s(?!{NOT_A_NOUN})[a-z]{{3,}})",
        _read_attribute,
        ("the 2 lb. loaf", "the two pound loaf"),
        ("a 5 km run", "a five kilometer run"),
        ("a 90-min class", "a ninety minute class"),
    ),
    substitute(
        rf"(?<![\w.,])(?P<number>{NUMBER})\s?(?P<unit>{UNIT})(?:\^(?P<power>[23]))"
        rf"?\.?(?=\s(?:{_THINGS})\b)",
        _read_attribute,
        ("Buy 5 oz. cans", "Buy five ounce cans"),
    ),
    substitute(
        rf"(?<=\d\s?(?:{UNIT})\.?)\s?[x×]\s?(?=\d)",
        " by ",
        ("12 in. x 9 in.", "twelve inches by nine inches."),
    ),
    substitute(
        rf"{_COUNT}(?P<joint>\s?|-)(?P<unit>(?:{UNIT})(?:/(?:{_UNDOTTED}))?)(?:\^(?P<power>[23]))?"
        r"(?![\w/'’^])(?P<dot>\.?)",
        _read_measure,
        ("5 km/h", "five kilometers per hour"),
        ("1 kg", "one kilogram"),
        ("12 MB/s", "twelve megabytes per second"),
        ("9.8 m/s²", "nine point eight meters per second squared"),
        ("6 in. wide", "six inches wide"),
        ("It is 6 in. Then", "It is six inches. Then"),
        ("2 tbsp. of oil", "two tablespoons of oil"),
        ("a 10-km run", "a ten kilometer run"),
    ),
    substitute(
        rf"\bper ({_UNDOTTED})(?:\^([23]))?(?![\w'’.])",
        lambda found: f"per {name_unit(found[1], found[2] or '', one=True)}",
        ("per m²", "per square meter"),
        ("miles per h", "miles per hour"),
    ),
    substitute(
        r"(?<=[a-z]s|thousand|million|billion|feet)/(?=(?:second|minute|hour|day|week|month|year|"
        r"person|mile|gallon|liter)\b)",
        " per ",
        ("3 visits/day", "three visits per day"),
    ),
)
KIND = Kind(name="measures and fractions", rules=RULES)
