"""Powers, scientific notation, formulas, and raised marks of footnotes."""

from __future__ import annotations

import unicodedata

import regex

from text.normalization.numbers import cardinal_to_words
from text.normalization.rules import Kind, Match, Rule, substitute
from text.normalization.units import UNIT, name_unit

_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ"
_LOWERED = "₀₁₂₃₄₅₆₇₈₉₊₋"
_TO_PLAIN = str.maketrans(f"{_RAISED}{_LOWERED}", "0123456789+-n0123456789+-")
_MARKS = regex.compile(rf"[⁺⁻]?[{_RAISED}]+(?:[,–—-][{_RAISED}]+)*")
_YEAR_OR_GROUPED = regex.compile(r"(?:(?<![\w.,])(?:1[1-9]|20)\d\d|\d,\d{3})$")
_FIGURE = regex.compile(r"(?<![A-Za-z.,])\d[\d.]*$")
_UNIT_BEFORE = regex.compile(
    rf"(?:(?<=\d[\s-]?)|/|\bper )(?:{UNIT})$|(?<=\d\s?(?:{UNIT})/)(?:{UNIT})$|(?<=\d\s?)in$|"
    rf"\b(?:[ckm]m|ft|yd|mi)$"
)
_VARIABLE = regex.compile(r"(?<![A-Za-z'’])(?:[A-Za-zα-ωΑ-Ω])$")
_PRODUCT = regex.compile(
    r"(?<=[=+\-−–×*/·(<>≈][ ]?(?:\d+(?:\.\d+)?)?|(?<![\w.,])\d[\d.]*|[½¼¾π])(?!sin|cos|tan|log|"
    r"exp)[a-zπ]{2,3}$"
)
_GROUP = regex.compile(r"\([^()]*(?:[+\-−–×/=*]|\b\d*[a-z]\b)[^()]*\)$")
_FORMULA = (
    rf"(?<![A-Za-z])(?=[A-Za-z()]{{1,20}}[{_LOWERED}])"
    rf"(?:[A-Z][a-z]?[{_LOWERED}]*|\((?:[A-Z][a-z]?[{_LOWERED}]*)+\)[{_LOWERED}]*)+"
)
_ELEMENT = regex.compile(r"(?:[A-Z][a-z]?)|[^A-Za-z()]+")
_FUNCTION = regex.compile(r"\b(?:sin|cos|tan|sec|log|ln)$")
_SMALL = {2: "squared", 3: "cubed"}


def _read_raised(text: str) -> str:
    """Read raised digits: as a power behind a base, else as the mark of a footnote (left out)."""
    place, parts = 0, []
    for found in _MARKS.finditer(text):
        parts.append(text[place : found.start()])
        place = found.end()
        before = "".join(parts)
        plain = found[0].translate(_TO_PLAIN)
        if _is_footnote(before, plain):
            continue
        product = _PRODUCT.search(before)
        if product:
            parts = [before[: product.start()], " ", " ".join(product[0])]
        parts.append(f"^{plain}")
    return "".join([*parts, text[place:]])


def _is_footnote(before: str, mark: str) -> bool:
    if "," in mark or mark == "1" or not before:
        return True
    if _YEAR_OR_GROUPED.search(before) and not mark.startswith("-"):
        return True
    patterns = (_FUNCTION, _FIGURE, _UNIT_BEFORE, _VARIABLE, _PRODUCT, _GROUP)
    return not any(pattern.search(before) for pattern in patterns)


def _read_power(found: Match) -> str:
    exponent = found["exponent"].lstrip("+").replace("−", "-")
    blank = " " if found.string[: found.start()][-1:].isdigit() else ""
    return f"{blank}{found['base']} {_name_power(exponent)}{_name_unit_after(found)}"


def _name_power(exponent: str) -> str:
    minus = "minus " if exponent.startswith("-") else ""
    digits = exponent.lstrip("-")
    if not digits.isdigit():
        return f"to the power of {minus}{' '.join(digits)}"
    if not minus and int(digits) in _SMALL:
        return _SMALL[int(digits)]
    return f"to the power of {minus}{cardinal_to_words(digits)}"


def _name_unit_after(found: Match) -> str:
    unit = found.groupdict().get("unit")
    power = found.groupdict().get("power") or ""
    return f" {name_unit(unit, power)}" if unit else ""


def _read_scientific(found: Match) -> str:
    exponent = found["exponent"].lstrip("+").replace("−", "-")
    return f"{found['number']} times 10 {_name_power(exponent)}{_name_unit_after(found)}"


def _read_formula(found: Match) -> str:
    """Elements letter by letter, counts as numbers: CO₂ -> "C.O. two"."""
    parts, letters = list[str](), ""
    for piece in _ELEMENT.findall(found[0]):
        if piece[0].isalpha():
            letters += piece
            continue
        parts += [_spell(letters), piece.translate(_TO_PLAIN)]
        letters = ""
    return " ".join(part for part in (*parts, _spell(letters)) if part)


def _spell(letters: str) -> str:
    return letters if len(letters) < 2 else "".join(f"{letter.upper()}." for letter in letters)


_EXPONENT = r"\^\s?[{(]?(?P<exponent>[-+−]?(?:\d{1,4}|[a-z](?![a-z])))[)}]?"
_UNIT_AFTER = rf"(?:\s?(?P<unit>(?:{UNIT})(?:/(?:{UNIT}))?)(?:\^(?P<power>[23]))?(?![\w/^]))?"
_GREEK = r"(?<![Α-Ωα-ωά-ώ])[Α-Ωα-ω](?![Α-Ωα-ωά-ώ])(?<![\dA-Za-z]\s?[Ωμ])(?!(?<=μ)[A-Za-z])"
RULES = (
    substitute(
        r"(?<![A-Za-z][ .])[Ⅰ-ⅿ](?![Ⅰ-ⅿ])",
        lambda found: str(int(unicodedata.numeric(found[0]))),
        ("at Ⅻ", "at XII"),
        ("Ⅻ hours", "twelve hours"),
    ),
    substitute(
        r"(?<=\w)(ˢᵗ|ⁿᵈ|ʳᵈ|ᵗʰ)",
        lambda found: unicodedata.normalize("NFKC", found[0]),
        ("the 2ⁿᵈ", "the second"),
    ),
    substitute(
        r"(\d?)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)⁄([₀₁₂₃₄₅₆₇₈₉]+)",
        lambda found: f"{found[1]} {found[2].translate(_TO_PLAIN)}/{found[3].translate(_TO_PLAIN)}",
        ("1³⁄₄ cups", "one and three quarters cups"),
    ),
    substitute(
        _FORMULA,
        _read_formula,
        ("H₂O and CO₂", "H two O and C.O. two"),
        ("C₆H₁₂O₆", "C six H twelve O six"),
    ),
    substitute(
        rf"(?<=\w)[{_LOWERED}]+",
        lambda found: f" {found[0].translate(_TO_PLAIN)}",
        ("x₁ and x₂", "x one and x two"),
    ),
    Rule(
        read=_read_raised,
        examples=(
            ("A fact.³ Another.", "A fact. Another."),
            ("since 1990² he", "since nineteen ninety he"),
            ("E = mc²", "E equals m c squared"),
            ("a² + b² = c²", "a squared plus b squared equals c squared"),
            ("(x + 1)²", "(x plus one) squared"),
            ("the author¹,² said", "the author said"),
        ),
    ),
    substitute(
        r"(?<=[=+\-−–×*/·(<>≈]\s?\d*)(?!sin|cos|tan|log|exp)[a-z]{2,3}(?=\^)",
        lambda found: " ".join(found[0]),
        ("E=mc^2", "E equals m c squared"),
    ),
    substitute(
        rf"(?P<number>{{0}})\s?[x×·*⋅]\s?10{_EXPONENT}{_UNIT_AFTER}".replace(
            "{0}", r"\d+(?:\.\d+)?"
        ),
        _read_scientific,
        ("6.02×10²³", "six point zero two times ten to the power of twenty-three"),
        ("3 x 10^8 m/s", "three times ten to the power of eight meters per second"),
        ("5·10⁻³ kg", "five times ten to the power of minus three kilograms"),
    ),
    substitute(
        r"(?<![\w.,])(?P<number>\d+\.\d+|\d+(?=[eE][-+−]|e))[eE](?P<exponent>[-+−]?\d{1,3})"
        r"(?![\w.])",
        _read_scientific,
        ("1e6 cells", "one times ten to the power of six cells"),
        ("2.5E-3", "two point five times ten to the power of minus three"),
    ),
    substitute(
        rf"(?P<base>(?<![\w.,])\d+(?:\.\d+)?|(?<=\d)[a-z]|(?<![A-Za-z])[A-Za-zα-ωΑ-Ω]|\b(?:sin|"
        rf"cos|tan)|\)){_EXPONENT}{_UNIT_AFTER}"
        rf"(?!(?<=\d\s?(?:{UNIT})[23]))",
        lambda found: (
            found[0]
            if _UNIT_BEFORE.search(found.string[max(0, found.start() - 40) : found.end("base")])
            else _read_power(found)
        ),
        ("2^10", "two to the power of ten"),
        ("10^{-4} hertz", "ten to the power of minus four hertz"),
        ("x^n", "x to the power of n"),
        ("3x² + 2", "three x squared plus two"),
        ("20 m²", "twenty square meters"),
    ),
    substitute(
        r"(?<!\d[ -]?|/)\b([ckm]m|ft|yd|mi)\^([23])",
        lambda found: name_unit(found[1], found[2], one=True),
        ("each ft²", "each square foot"),
    ),
    substitute(
        _GREEK,
        lambda found: f" {unicodedata.name(found[0], ' ').split(' ')[-1].lower()} ",
        ("the angle θ", "the angle theta"),
        ("π is big", "pi is big"),
    ),
)
KIND = Kind(name="powers and footnote marks", rules=RULES)
