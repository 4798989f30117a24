"""Numbers in English words: cardinals, ordinals, years, digits one by one."""

from __future__ import annotations

_ONES = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = (
    "",
    "thousand",
    "million",
    "billion",
    "trillion",
    "quadrillion",
    "quintillion",
    "sextillion",
    "septillion",
    "octillion",
    "nonillion",
    "decillion",
)
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
MAX_DIGITS = 3 * len(_SCALES)  # longer numbers are read digit by digit


def cardinal_to_words(digits: str, joint: str = "") -> str:
    """A whole number, given as decimal digits: "1234" -> "one thousand, two hundred thirty-four".

    joint: "and" for "two hundred and thirty-four".
    """
    digits = digits.lstrip("0") or "0"
    if len(digits) > MAX_DIGITS:
        return digits_to_words(digits)
    groups = _split_into_thousands(int(digits))
    if not groups:
        return _ONES[0]
    spoken = [_below_thousand(value, joint) + _get_scale_word(place) for place, value in groups]
    last_place, last_value = groups[-1]
    if len(spoken) > 1 and last_place == 0 and last_value < 100:
        link = f" {joint} " if joint else " "
        return ", ".join(spoken[:-1]) + link + spoken[-1]
    return ", ".join(spoken)


def ordinal_to_words(digits: str) -> str:
    """The place in a row: "112" -> "one hundred and twelfth"."""
    stem, cut, last = _split_last_word(cardinal_to_words(digits, joint="and"))
    if last in _ORDINALS:
        return stem + cut + _ORDINALS[last]
    return stem + cut + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def year_to_words(number: int) -> str:
    """A year of four digits as people say it: 1905 -> "nineteen oh five"."""
    if number % 1000 == 0 or number // 10 == 200:
        return cardinal_to_words(str(number))
    century, rest = divmod(number, 100)
    if rest == 0:
        return f"{cardinal_to_words(str(century))} hundred"
    return (
        f"{cardinal_to_words(str(century))} {'oh ' if rest < 10 else ''}"
        f"{cardinal_to_words(str(rest))}"
    )


def decade_to_words(number: int) -> str:
    """Ten years by their first: 1980 -> "nineteen eighties"."""
    stem, cut, last = _split_last_word(year_to_words(number))
    return stem + cut + (last[:-1] + "ies" if last.endswith("y") else last + "s")


def digits_to_words(digits: str, zero: str = "zero") -> str:
    """Digit by digit: "007" -> "zero zero seven"; other characters are left out."""
    return " ".join(
        zero if digit == "0" else _ONES[int(digit)] for digit in _keep_ascii_digits(digits)
    )


def _keep_ascii_digits(text: str) -> str:
    return "".join(character for character in text if character in "0123456789")


def _split_into_thousands(number: int) -> list[tuple[int, int]]:
    """Groups of three digits that are not zero, the largest first: (place, value)."""
    groups: list[tuple[int, int]] = []
    place = 0
    while number:
        number, value = divmod(number, 1000)
        if value:
            groups.append((place, value))
        place += 1
    return groups[::-1]


def _get_scale_word(place: int) -> str:
    return f" {_SCALES[place]}" if place else ""


def _below_thousand(number: int, joint: str) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_hundred(rest)
    spoken = f"{_ONES[hundreds]} hundred"
    if not rest:
        return spoken
    return " ".join(part for part in (spoken, joint, _below_hundred(rest)) if part)


def _below_hundred(number: int) -> str:
    if number < len(_ONES):
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")


def _split_last_word(words: str) -> tuple[str, str, str]:
    """What comes before the last word, the blank or hyphen, and the last word."""
    place = max(words.rfind(" "), words.rfind("-"))
    return (words[:place], words[place], words[place + 1 :]) if place >= 0 else ("", "", words)
