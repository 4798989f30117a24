"""Dates, days, months, years, and their ranges."""

from __future__ import annotations

from text.normalization.numbers import cardinal_to_words, ordinal_to_words, year_to_words
from text.normalization.rules import Kind, Match, substitute

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_MONTH_BY_PREFIX = {month[:3].lower(): month for month in _MONTHS}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAY_BY_PREFIX = {day[:3].lower(): day for day in _DAYS}
_SHORT_MONTH = r"(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)"
_MONTH = (
    r"(?P<month>Jan(?:uary|\.)?|Feb(?:ruary|\.)?|Mar(?:ch|\.)?|Apr(?:il|\.)?|May|June?\.?|July?\.?|"
    r"Aug(?:ust|\.)?|Sept?(?:ember|\.)?|Oct(?:ober|\.)?|Nov(?:ember|\.)?|Dec(?:ember|\.)?)"
)
_ANY_MONTH = _MONTH.replace("?P<month>", "?:")
_SHORT_DAY = r"(?:Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)"
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_LAST = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>1\d{3}|20\d\d)"
_TO = r"\s?(?:[-–—]|to|through|thru)\s?"
_TIME = r"(?:(?P<time>T|\s)(?=\d\d:\d\d))"
_DATE_CUE = (
    r"(?<=\b(?:on|by|until|till|til|since|from|before|after|due|dated|starting|starts|begins|you|"
    r"meet|deadline:?|date:?|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,?)\s)"
)


def _get_month(written: str) -> str:
    return _MONTH_BY_PREFIX[written[:3].lower()]


def _name_date(written: str, month: int, day: str, year: str) -> str:
    if not (1 <= month <= 12 and 1 <= int(day) <= 31):
        return written
    if len(year) == 2:
        year = ("19" if int(year) > 50 else "20") + year
    return f"{_MONTHS[month - 1]} {ordinal_to_words(day)}, {year_to_words(int(year))}"


def _read_iso_date(found: Match) -> str:
    at = " at " if found.groupdict().get("time") else ""
    return _name_date(found[0], int(found["month"]), found["day"], found["year"]) + at


def _read_numeric_date(found: Match) -> str:
    """Month first as in America, unless only the other order makes a date."""
    month, day = found["first"], found["second"]
    if int(month) > 12 or "." in found[0]:
        month, day = day, month
    return _name_date(found[0], int(month), day, found["year"])


def _read_month_and_day(found: Match) -> str:
    month, day = int(found[1]), int(found[2])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return str(found[0])
    return f"{_MONTHS[month - 1]} {ordinal_to_words(found[2])}"


def _read_month_first(found: Match) -> str:
    spoken = f"{_get_month(found['month'])} {ordinal_to_words(found['day'])}"
    last = found.groupdict().get("last")
    spoken += f" to {_get_ordinal(last)}" if last else ""
    return f"{spoken}, {year_to_words(int(found['year']))}" if found["year"] else spoken


def _read_day_first(found: Match) -> str:
    the = "" if found["the"] else "the "
    last = found.groupdict().get("last")
    until = f" to the {_get_ordinal(last)}" if last else ""
    spoken = (
        f"{found['the'] or the}{ordinal_to_words(found['day'])}{until} of "
        f"{_get_month(found['month'])}"
    )
    return f"{spoken} {year_to_words(int(found['year']))}" if found["year"] else spoken


def _get_ordinal(day: str) -> str:
    return ordinal_to_words("".join(filter(str.isdigit, day)))


def _read_years(found: Match) -> str:
    first, last = found["first"], found["last"]
    if len(last) == 2:
        if int(last) <= int(first[2:]):
            return str(found[0])
        last = first[:2] + last
    if int(first) >= int(last):
        return str(found[0])
    return f"{year_to_words(int(first))} to {year_to_words(int(last))}"


def _read_short_year(found: Match) -> str:
    tens = found["tens"]
    spoken = cardinal_to_words(tens)
    return f"oh {spoken}" if tens.startswith("0") and tens != "00" else spoken


def _keep_stop(found: Match, spoken: str) -> str:
    """A full stop at the end of the text ends the sentence as well."""
    return f"{spoken}." if found[0].endswith(".") and found.end() == len(found.string) else spoken


def _name_day(written: str) -> str:
    return _DAY_BY_PREFIX[written[:3].lower()]


RULES = (
    substitute(
        rf"(?<![\d-])(?P<year>\d{{4}})(?P<joint>[-–/])(?P<month>\d\d)(?P=joint)(?P<day>\d\d)"
        rf"(?![\d-]){_TIME}?",
        _read_iso_date,
        ("2024-03-05", "March fifth, twenty twenty-four"),
        ("at 2024-03-05T14:30", "at March fifth, twenty twenty-four at fourteen thirty"),
        ("2021/11/30", "November thirtieth, twenty twenty-one"),
    ),
    substitute(
        r"(?<![\d/.-])(?P<first>\d{1,2})([/.-])(?P<second>\d{1,2})\2(?P<year>\d{4}|\d\d(?!-))"
        r"(?![\d/]|\.\d)",
        _read_numeric_date,
        ("3/14/1988", "March fourteenth, nineteen eighty-eight"),
        ("12-25-2023", "December twenty-fifth, twenty twenty-three"),
        ("15.06.2024", "June fifteenth, twenty twenty-four"),
    ),
    substitute(
        r"(?<![\d/])(0?[1-9]|1[0-2])/((?:19|20)\d\d)(?![\d/])",
        lambda found: f"{_MONTHS[int(found[1]) - 1]} {year_to_words(int(found[2]))}",
        ("in 12/2024", "in December twenty twenty-four"),
    ),
    substitute(
        _DATE_CUE + r"(\d{1,2})/(\d{1,2})(?![\d/]|\.\d|\s?(?:of|cups?|inch|full|points?|stars?|"
        r"Mon|tsp|tbsp|lb)\b)",
        _read_month_and_day,
        ("See you 7/4 at noon", "See you July fourth at noon"),
        ("from 2/3 of it", "from two thirds of it"),
        ignore_case=True,
    ),
    substitute(
        r"(?<![\d/.])(\d{1,2})/(\d{1,2})(?=\s(?:at\s(?:noon|midnight|\d)|@))",
        _read_month_and_day,
        ("11/3 at 5pm", "November third at five P.M."),
    ),
    substitute(
        rf"\b({_SHORT_DAY}|[A-Z][a-z]+day)\.?{_TO.replace('|to|through|thru', '')}({_SHORT_DAY}|"
        rf"[A-Z][a-z]+day)\b(?:\.(?=[\s,]))?",
        lambda found: (
            f"{_name_day(found[1])} to {_name_day(found[2])}"
            if found[1][:3].lower() in _DAY_BY_PREFIX and found[2][:3].lower() in _DAY_BY_PREFIX
            else found[0]
        ),
        ("Mon-Fri", "Monday to Friday"),
        ("open Sat.–Sun. only", "open Saturday to Sunday only"),
    ),
    substitute(
        rf"\b({_SHORT_DAY})(?:\.(?=[\s,;/)]|$)|(?=,?\s(?:{_ANY_MONTH}|\d|(?:and|or|at|from|"
        rf"morning|afternoon|evening|"
        r"night|noon)\b))|(?=/[A-Z][a-z]+))(?<!\bSun)(?<!\bSat)(?<!\bWed)",
        lambda found: _keep_stop(found, _name_day(found[1])),
        ("Thurs. night", "Thursday night"),
        ("on Tue, May 7", "on Tuesday, May seventh"),
    ),
    substitute(
        rf"\b(Sun|Sat|Wed)(?:\.(?=,|\s(?:[a-z]|\d|{_ANY_MONTH}))|(?=,?\s(?:{_ANY_MONTH}\s\d|"
        rf"\d{{1,2}}(?:[\s:]|[ap]m))))",
        lambda found: _name_day(found[1]),
        ("Sun., May 5", "Sunday, May fifth"),
        ("Sat 3pm", "Saturday three P.M."),
        ("The sun rose. Sat down.", "The sun rose. Sat down."),
    ),
    substitute(
        r"(?<=\b(?:[Oo]n|[Ee]very|[Nn]ext|[Ll]ast|[Tt]his|[Uu]ntil|[Bb]y|[Oo]r|[Aa]nd)\s)(Sun|"
        r"Sat|Wed)\.",
        lambda found: _keep_stop(found, _name_day(found[1])),
        ("Open on Sat.", "Open on Saturday."),
    ),
    substitute(
        rf"\b{_MONTH}\s{{1,3}}{_DAY}{_TO}(?P<last>{_LAST})\b(?![:.]\d|\s?(?:{_ANY_MONTH}))"
        rf"(?:,?\s{{1,3}}{_YEAR}\b)?",
        _read_month_first,
        ("June 3-7, 2021", "June third to seventh, twenty twenty-one"),
    ),
    substitute(
        rf"(?P<the>\b[Tt]he\s)?\b{_DAY}{_TO}(?P<last>{_LAST})\s{{1,3}}(?:of\s)?{_MONTH}(?![a-z])"
        rf"(?:,?\s{{1,3}}{_YEAR}\b)?",
        _read_day_first,
        ("3-7 June", "the third to the seventh of June"),
    ),
    substitute(
        rf"(?P<the>\b[Tt]he\s)?(?<![\d.,:$€£])\b{_DAY}\s{{1,3}}(?:of\s)?{_MONTH}(?![a-z])"
        rf"(?:,?\s{{1,3}}{_YEAR}\b)?",
        _read_day_first,
        ("5 Nov 2024", "the fifth of November twenty twenty-four"),
        ("the 4th of July", "the fourth of July"),
    ),
    substitute(
        rf"\b{_MONTH}\s{{1,3}}{_DAY}\b(?![:.]\d|\s?[AaPp]\.?[Mm]\b|[/%-]?\d)"
        rf"(?:,?\s{{1,3}}{_YEAR}\b)?",
        _read_month_first,
        ("Oct. 4, 2023", "October fourth, twenty twenty-three"),
        ("Mar 1st", "March first"),
    ),
    substitute(
        rf"\b({_SHORT_MONTH})\.?\s?[-–—]\s?({_SHORT_MONTH}|[A-Z][a-z]+)\b(?:\.(?=[\s,]))?",
        lambda found: (
            f"{_get_month(found[1])} to {_get_month(found[2])}"
            if found[2][:3].lower() in _MONTH_BY_PREFIX
            else found[0]
        ),
        ("Jan-Mar", "January to March"),
    ),
    substitute(
        rf"(?<=\b(?:{'|'.join(_MONTHS)})(?:\s\w+(?:-\w+)?)?)\s?[-–—]\s?(?=(?:{'|'.join(_MONTHS)})"
        rf"\b)",
        " to ",
        ("May–July", "May to July"),
        ("June 30 - July 2", "June thirtieth to July second"),
    ),
    substitute(
        rf"\b({_SHORT_MONTH})(?:\.(?=[\s,;)]|$)|(?=,?\s['’]?\d))",
        lambda found: _keep_stop(found, _get_month(found[1])),
        ("since Aug. 2019", "since August twenty nineteen"),
        ("last Dec.", "last December."),
    ),
    substitute(
        r"(?<![\w.,$€£/-])(?P<first>1[0-9]\d\d|20\d\d)\s?[-–—/]\s?(?P<last>(?:1[0-9]|20)\d\d|"
        r"\d\d)(?![\w%]|[.,]\d|-\d)",
        _read_years,
        ("1914–1918", "nineteen fourteen to nineteen eighteen"),
        ("1990-95", "nineteen ninety to nineteen ninety-five"),
        ("2008-09", "two thousand eight to two thousand nine"),
    ),
    substitute(
        r"(?<!\w)'(?P<tens>\d\d)(?![\w'])",
        _read_short_year,
        ("her '98 truck", "her ninety-eight truck"),
        ("class of '05", "class of oh five"),
    ),
    substitute(
        r"(?<=\b(?:AD|A\.D\.)\s)([1-9]\d\d)\b|\b([1-9]\d\d)(?=\s(?:AD|BC|BCE|CE|A\.D\.|B\.C\.))",
        lambda found: cardinal_to_words(found[0]),
        ("AD 476", "A.D. four hundred seventy-six"),
        ("in 323 BC", "in three hundred twenty-three B.C."),
    ),
)
KIND = Kind(name="dates", rules=RULES)
