"""Verbalize Roman numerals after a word that makes them unambiguous."""

from __future__ import annotations

import re

from text.normalization.numbers import cardinal_to_words, ordinal_to_words

_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
_NUMERAL = r"(?=[IVXLC])(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_COUNTED = (
    "Chapter|Part|Book|Act|Scene|Volume|Vol\\.|Section|Phase|War|Type|Appendix|Figure|Table|"
    "Article|Title|Level|Stage|Class|Bowl|Mark|Apollo|Fantasy|Division|Grade"
)
_RULERS = (
    "Henry|Louis|George|Edward|Charles|Elizabeth|William|James|Richard|Philip|Francis|John|Paul|"
    "Pius|Benedict|Leo|Gregory|Alexander|Nicholas|Peter|Catherine|Frederick|Napoleon|Ferdinand|"
    "Henri|Wilhelm|Mary|Innocent|Clement|Urban|Ivan|Otto|Ramses|Ptolemy|Margaret|Christian|Carl|"
    "Gustav|Felipe|Juan Carlos|Albert|Leopold|Constantine|Justinian|Sixtus|Boniface|Rama"
)
_AFTER_COUNTED = re.compile(rf"\b({_COUNTED})\s({_NUMERAL})\b(?!\.?[A-Z])", re.IGNORECASE)
_AFTER_RULER = re.compile(rf"\b({_RULERS})\s(?!I\b)({_NUMERAL})\b")
_AFTER_TITLE = re.compile(rf"\b((?:King|Queen|Pope|Emperor|Tsar)\s[A-Z][a-z]+)\s({_NUMERAL})\b")


def verbalize_roman_numerals(text: str) -> str:
    """Write numerals out: "Chapter IV" -> "Chapter four", "Henry VIII" -> "Henry the eighth"."""
    text = _AFTER_COUNTED.sub(_verbalize_numbered_noun, text)
    return _AFTER_RULER.sub(_verbalize_ruler, _AFTER_TITLE.sub(_verbalize_ruler, text))


def _verbalize_numbered_noun(found: re.Match[str]) -> str:
    if not found[2] or found[2] != found[2].upper():
        return found[0]
    return f"{found[1]} {cardinal_to_words(str(roman_to_int(found[2])))}"


def _verbalize_ruler(found: re.Match[str]) -> str:
    return (
        f"{found[1]} the {ordinal_to_words(str(roman_to_int(found[2])))}" if found[2] else found[0]
    )


def roman_to_int(numeral: str) -> int:
    """Return the value of a Roman numeral in capitals."""
    values = [_VALUES[digit] for digit in numeral]
    pairs = zip(values, [*values[1:], 0], strict=True)
    return sum(-value if value < after else value for value, after in pairs)
