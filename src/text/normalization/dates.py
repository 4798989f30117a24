"""Dates, years, decades and times of day."""

from __future__ import annotations

import re

from text.normalization.numbers import (
    cardinal_to_words,
    decade_to_words,
    ordinal_to_words,
    year_to_words,
)

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_MONTH_BY_PREFIX = {month[:3].lower(): month for month in _MONTHS}
_MONTH = (
    r"(?P<month>Jan(?:uary|\.)?|Feb(?:ruary|\.)?|Mar(?:ch|\.)?|Apr(?:il|\.)?|May|June?\.?|July?\.?|"
    r"Aug(?:ust|\.)?|Sept?(?:ember|\.)?|Oct(?:ober|\.)?|Nov(?:ember|\.)?|Dec(?:ember|\.)?)"
)
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>1\d{3}|20\d\d)"
_ISO = re.compile(r"(?<![\d-])(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?![\d-])", re.ASCII)
_SLASHED = re.compile(
    r"(?<![\d/.])(?P<first>\d{1,2})([/.])(?P<second>\d{1,2})\2(?P<year>\d{4}|\d\d)(?![\d/]|\.\d)",
    re.ASCII,
)
_MONTH_FIRST = re.compile(rf"\b{_MONTH}\s{{1,3}}{_DAY}\b(?![:.]\d)(?:,?\s{{1,3}}{_YEAR}\b)?")
_DAY_FIRST = re.compile(rf"\b{_DAY}\s{{1,3}}(?:of\s)?{_MONTH}(?![a-z])(?:,?\s{{1,3}}{_YEAR}\b)?")
_DECADE = re.compile(r"(?<![\w.,$])(?P<year>(?:1\d|20)\d0)'?s\b", re.ASCII)
_SHORT_DECADE = re.compile(r"(?<![\w.,])'?(?P<tens>[2-9]0)'?s\b", re.ASCII)
_SHORT_YEAR = re.compile(r"(?<!\w)'(?P<tens>\d\d)\b(?!')", re.ASCII)
_HALF = r"(?:\s?(?P<half>[AaPp])(?:\.\s?[Mm]\.|[Mm])(?![\w]))"
_CLOCK = re.compile(
    r"(?<![\d:.])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?![\d:])"
    rf"{_HALF}?",
    re.ASCII,
)
_HOUR = re.compile(rf"(?<![\d:.,])(?P<hour>1[0-2]|0?[1-9]){_HALF}", re.ASCII)


def verbalize_times(text: str) -> str:
    """Write times of day out: "7:05 pm" -> "seven oh five P.M."."""
    return _HOUR.sub(_verbalize_hour, _CLOCK.sub(_verbalize_clock, text))


def _verbalize_hour(found: re.Match[str]) -> str:
    return f"{cardinal_to_words(found['hour'])} {found['half'].upper()}.M."


def _verbalize_clock(found: re.Match[str]) -> str:
    hour, minute = cardinal_to_words(found["hour"]), int(found["minute"])
    half = f" {found['half'].upper()}.M." if found["half"] else ""
    if minute:
        hour += f" {'oh ' if minute < 10 else ''}{cardinal_to_words(found['minute'])}"
    elif not half:
        hour += " o'clock" if 0 < int(found["hour"]) < 13 else " hundred"
    if found["second"]:
        seconds = cardinal_to_words(found["second"])
        hour += f" and {seconds} second{'' if seconds == 'one' else 's'}"
    return hour + half


def verbalize_dates(text: str) -> str:
    """Write dates out: "2024-03-05" -> "March fifth, twenty twenty-four"."""
    text = _ISO.sub(_verbalize_iso_date, text)
    text = _SLASHED.sub(_verbalize_slashed_date, text)
    text = _DAY_FIRST.sub(_verbalize_day_first, text)
    text = _MONTH_FIRST.sub(_verbalize_month_first, text)
    text = _DECADE.sub(lambda found: decade_to_words(int(found["year"])), text)
    text = _SHORT_DECADE.sub(
        lambda found: _pluralize_decade(cardinal_to_words(found["tens"])), text
    )
    return _SHORT_YEAR.sub(_verbalize_short_year, text)


def _verbalize_iso_date(found: re.Match[str]) -> str:
    return _verbalize_date(found[0], int(found["month"]), found["day"], found["year"])


def _verbalize_slashed_date(found: re.Match[str]) -> str:
    """Month first as in America, unless only the other order makes a date."""
    month, day = found["first"], found["second"]
    if int(month) > 12 or "." in found[0]:
        month, day = day, month
    return _verbalize_date(found[0], int(month), day, found["year"])


def _verbalize_date(written: str, month: int, day: str, written_year: str) -> str:
    if not (1 <= month <= 12 and 1 <= int(day) <= 31):
        return written
    if len(written_year) == 2:
        written_year = ("19" if int(written_year) > 50 else "20") + written_year
    return f"{_MONTHS[month - 1]} {ordinal_to_words(day)}, {year_to_words(int(written_year))}"


def _verbalize_month_first(found: re.Match[str]) -> str:
    spoken = f"{_get_month_name(found['month'])} {ordinal_to_words(found['day'])}"
    return f"{spoken}, {year_to_words(int(found['year']))}" if found["year"] else spoken


def _verbalize_day_first(found: re.Match[str]) -> str:
    the = (
        ""
        if re.search(r"\bthe\s$", found.string[max(0, found.start() - 5) : found.start()])
        else "the "
    )
    spoken = f"{the}{ordinal_to_words(found['day'])} of {_get_month_name(found['month'])}"
    return f"{spoken} {year_to_words(int(found['year']))}" if found["year"] else spoken


def _get_month_name(written: str) -> str:
    return _MONTH_BY_PREFIX[written[:3].lower()]


def _pluralize_decade(tens: str) -> str:
    return f"{tens[:-1]}ies"


def _verbalize_short_year(found: re.Match[str]) -> str:
    tens = found["tens"]
    return f"oh {cardinal_to_words(tens)}" if tens.startswith("0") else cardinal_to_words(tens)
