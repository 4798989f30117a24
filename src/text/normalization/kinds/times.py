"""Times of day, durations, ratios and verses: whatever is written with a colon or an hour."""

from __future__ import annotations

from text.normalization.numbers import cardinal_to_words
from text.normalization.rules import Kind, Match, substitute

_DURATION_UNITS = {"w": "week", "d": "day", "h": "hour", "m": "minute", "s": "second"}
_W = r"(?P<w>\d{1,3})\s?w(?:ee)?(?:ks?)?"
_D = r"(?P<d>\d{1,4})\s?d(?:ays?)?"
_H = r"(?P<h>\d{1,4})\s?h(?:(?:ou)?rs?\.?)?"
_M = r"(?P<m>\d{1,4})\s?m(?:in(?:ute)?s?\.?)?"
_S = r"(?P<s>\d{1,4}(?:\.\d+)?)\s?s(?:ec(?:ond)?s?\.?)?"
_HALF = r"(?:\s?(?P<half>[AaPp])(?:\.\s?[Mm]\.?|[Mm])(?!\w))"
_CLOCK = (
    r"(?<![\d:.,])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:\.\d+)?)?"
    rf"(?![\d:])(?P<zone>Z\b)?{_HALF}?"
)
_SHORT_BOOKS = {
    "Rev.": "Revelation", "Cor.": "Corinthians", "Ps.": "Psalm", "Pss.": "Psalms",
    "Gen.": "Genesis", "Matt.": "Matthew", "Rom.": "Romans", "Heb.": "Hebrews",
    "Prov.": "Proverbs", "Isa.": "Isaiah",
}  # fmt: skip
_BOOKS = (
    r"Rev\.|Cor\.|Pss?\.|Gen\.|Matt\.|Rom\.|Heb\.|Prov\.|Isa\.|"
    "Genesis|Exodus|Leviticus|Numbers|Deuteronomy|Joshua|Judges|Ruth|Samuel|Kings|Chronicles|Ezra|"
    "Nehemiah|Esther|Job|Psalms?|Proverbs|Ecclesiastes|Song of Songs|Isaiah|Jeremiah|Lamentations|"
    "Ezekiel|Daniel|Hosea|Joel|Amos|Obadiah|Jonah|Micah|Nahum|Habakkuk|Zephaniah|Haggai|Zechariah|"
    "Malachi|Matthew|Mark|Luke|John|Acts|Romans|Corinthians|Galatians|Ephesians|Philippians|"
    "Colossians|Thessalonians|Timothy|Titus|Philemon|Hebrews|James|Peter|Jude|Revelation|Surah?|"
    "Quran|Sirach|Wisdom|Tobit|Judith|Maccabees|Baruch"
)


def _count(number: str, name: str) -> str:
    return f"{number} {name}{'' if number == '1' else 's'}"


def _read_duration(found: Match) -> str:
    given = ((found.groupdict().get(unit), name) for unit, name in _DURATION_UNITS.items())
    return " ".join(_count(number.lstrip("0") or "0", name) for number, name in given if number)


def _read_hour(found: Match) -> str:
    return f"{cardinal_to_words(found['hour'])} {found['half'].upper()}.M."


def _read_clock(found: Match) -> str:
    hour, minute = cardinal_to_words(found["hour"]), int(found["minute"])
    half = f" {found['half'].upper()}.M." if found["half"] else ""
    if found["second"] and not half and not found["zone"] and _is_duration(found):
        return _read_stopwatch(found)
    if minute:
        hour += f" {'oh ' if minute < 10 else ''}{cardinal_to_words(found['minute'])}"
    elif not half:
        hour += " o'clock" if 0 < int(found["hour"]) < 13 else " hundred"
    if found["second"] and int(found["second"]):
        seconds = cardinal_to_words(found["second"])
        hour += f" and {seconds} second{'' if seconds == 'one' else 's'}"
    return hour + half


def _is_duration(found: Match) -> bool:
    """Return whether hours have no leading zero and no date stands before them."""
    return len(found["hour"]) == 1 or int(found["hour"]) > 24


def _read_stopwatch(found: Match) -> str:
    parts = (found["hour"], "hour"), (found["minute"], "minute"), (found["second"], "second")
    return " ".join(_count(number.lstrip("0"), name) for number, name in parts if int(number))


def _read_military(found: Match) -> str:
    hour, minute = found[1], found[2]
    spoken = f"oh {cardinal_to_words(hour)}" if hour[0] == "0" else cardinal_to_words(hour)
    if minute == "00":
        return f"{spoken} hundred hours"
    return f"{spoken} {'oh ' if minute[0] == '0' else ''}{cardinal_to_words(minute)} hours"


RULES = (
    substitute(
        rf"(?<![\w.,:])(?:{_W},?\s?{_D}(?:,?\s?{_H})?|{_D}(?:,?\s?(?:and\s)?{_H})(?:,?\s?{_M})"
        rf"?(?:,?\s?{_S})?"
        rf"|{_H},?\s?(?:and\s)?{_M}(?:,?\s?{_S})?|{_H},?\s?{_S}|{_M},?\s?(?:and\s)?{_S})(?![\w'’])",
        _read_duration,
        ("1h 5m", "one hour five minutes"),
        ("2d 3h", "two days three hours"),
        ("1m30s", "one minute thirty seconds"),
        ("1 hr 15 min", "one hour fifteen minutes"),
        ("3h 2m 1s", "three hours two minutes one second"),
    ),
    substitute(
        r"(?<![\w.,:])(?P<h>\d{1,2})h(?P<m>[0-5]\d)\b(?!['’])",
        _read_duration,
        ("1h30 long", "one hour thirty minutes long"),
    ),
    substitute(
        rf"(?<![\w:,-])((?:[01]?\d|2[0-4])(?:[:.][0-5]\d)?{_HALF.replace('?P<half>', '')}?)"
        rf"\s?[-–—−]\s?"
        rf"(?=(?:[01]?\d|2[0-4])(?:[:.][0-5]\d)?{_HALF.replace('?P<half>', '')})",
        r"\1 to ",
        ("9-11am", "nine to eleven A.M."),
        ("3pm–5:30pm", "three P.M. to five thirty P.M."),
    ),
    substitute(
        r"(?<![\d:.,-])((?:[01]?\d|2[0-4]):[0-5]\d)\s?[-–—−]\s?(?=(?:[01]?\d|2[0-4])"
        r":[0-5]\d(?![\d:]))",
        r"\1 to ",
        ("8:15-9:45", "eight fifteen to nine forty-five"),
    ),
    substitute(
        rf"(?<![\w.,:])(?P<hour>1[0-2]|0?[1-9])\.(?P<minute>[0-5]\d)(?P<second>)(?P<zone>)"
        rf"(?={_HALF.replace('?P<half>', '')}){_HALF}",
        _read_clock,
        ("6.40am", "six forty A.M."),
        ("at 7.05 p.m. today", "at seven oh five P.M. today"),
    ),
    substitute(
        rf"\b({_BOOKS})\s(\d{{1,3}}):(\d{{1,3}})(?!\d)(?:\s?[-–]\s?(\d{{1,3}}))?",
        lambda found: (
            f"{_SHORT_BOOKS.get(found[1], found[1])} {cardinal_to_words(found[2])} "
            f"{cardinal_to_words(found[3])}"
            + (f" to {cardinal_to_words(found[4])}" if found[4] else "")
        ),
        ("Psalm 23:4", "Psalm twenty-three four"),
        ("1 John 4:7-8", "one John four seven to eight"),
    ),
    substitute(
        r"\b((?:ratio|odds|scale|proportions?|mix(?:ed|ture)?|dilut\w+|split|gear(?:ed)?|won|"
        r"lost|beat\w*|score[ds]?)"
        r"(?:\s(?:of|is|are|was|were|it|at|by|them|this|in|a|the|to|about))*\s)(\d{1,4})"
        r":(\d{1,4})(?![\d:])",
        r"\1\2 to \3",
        ("a ratio of 1:10", "a ratio of one to ten"),
        ignore_case=True,
    ),
    substitute(
        r"(?<![\d:.,])(\d{1,5}(?:\.\d+)?):(\d{1,5})(?::(\d))?(?![\d:]|\.\d)"
        r"(?<!(?<![\d:.,])(?:[01]?\d|2[0-4]):[0-5]\d)",
        lambda found: " to ".join(part for part in found.groups() if part),
        ("Mix 4:1 paint", "Mix four to one paint"),
        ("16:9", "sixteen to nine"),
        ("1:100 scale", "one to one hundred scale"),
    ),
    substitute(
        r"(?<![\d:])(\d{2,4}):([0-5]\d):([0-5]\d)(?![\d:])(?<!(?:[01]\d|2[0-4]):\d\d:\d\d)",
        lambda found: f"{found[1]} hours {found[2]} minutes {found[3]} seconds",
    ),
    substitute(
        _CLOCK,
        _read_clock,
        ("14:30", "fourteen thirty"),
        ("10:00 AM", "ten A.M."),
        ("at 5:00.", "at five o'clock."),
        ("1:23:45", "one hour twenty-three minutes forty-five seconds"),
        ("12:30:15 pm", "twelve thirty and fifteen seconds P.M."),
    ),
    substitute(
        rf"(?<![\d:.,])(?P<hour>1[0-2]|0?[1-9]){_HALF}",
        _read_hour,
        ("9am sharp", "nine A.M. sharp"),
        ("11 p.m.", "eleven P.M."),
    ),
    substitute(
        r"(?<![\d:.,])([01]\d|2[0-3])([0-5]\d)\s?(?:hours|hrs\.?|h)\b",
        _read_military,
        ("0630 hours", "oh six thirty hours"),
        ("at 1400 hrs", "at fourteen hundred hours"),
    ),
)
KIND = Kind(name="times and durations", rules=RULES, needs_digit=True)
