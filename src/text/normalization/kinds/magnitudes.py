"""Thousands, millions and billions as letters: 10K followers, 2bn, 3.5M views."""

from __future__ import annotations

from text.normalization.numbers import decimal_to_words
from text.normalization.rules import NUMBER, Kind, Match, substitute

_SCALES = {
    "k": "thousand", "m": "million", "mn": "million", "mln": "million", "mio": "million",
    "mil": "million", "b": "billion", "bn": "billion", "bln": "billion", "mrd": "billion",
    "tn": "trillion", "trn": "trillion", "t": "trillion",
}  # fmt: skip
_DISPLAY = (
    r"screens?|TVs?|televisions?|displays?|monitors?|videos?|resolution|cameras?|footage|UHD|HDR|"
    r"projectors?|film|movies?|quality|Blu-?rays?|streams?|streaming|content|restoration|remaster|"
    r"panels?|webcams?|picture|output|version|versions|is|was|looks|texture|textures|ultra|gaming"
)
_RACE = (
    r"runs?|races?|walks?|runners?|event|course|personal best|PB|PR|jog|fun|charity|training|"
    r"time|was|is"
)
_PLACES = (
    r"\b(?:[Rr]oom|[Aa]pt\.?|[Aa]partment|[Uu]nit|[Ss]uite|[Gg]ate|[Ss]eat|[Rr]ow|[Ff]lat|[Bb]lock|"
    r"[Bb]uilding|[Bb]us|[Rr]oute|[Pp]latform|[Ff]loor|[Gg]rade|[Cc]lass|[Ss]ection|[Ff]igure|"
    r"[Tt]able|[Ss]tep|[Ii]tem|[Tt]ype|[Mm]odel|[Ee]xit|[Hh]ighway|[Ff]orm|[Pp]art|[Ll]ot|[Nn]o\.|"
    r"[Hh]all|[Ss]tage|[Dd]oor|[Pp]hase|[Ss]chedule|[Ff]ig\.)\s"
)
_STREET = (
    r"(?:\s[A-Z][\w']+){1,2}\s(?:St|Street|Ave|Avenue|Rd|Road|Ln|Lane|Dr|Drive|Blvd|Way|Court|"
    r"Place)\b"
)
_LETTER_SCALE = r"(?P<scale>[KMBkb]|[Mm]n|[Bb]n|[Tt]n|[Tt]rn|[Mm]ln|[Bb]ln|[Mm]io|[Mm]rd)"
_PEOPLE = (
    r"people|users?|viewers?|views?|followers?|fans?|customers?|subscribers?|members?|downloads?|"
    r"copies|tonnes|tons|homes?|households?|jobs|children|visitors|voters?|votes|players|workers|"
    r"residents|refugees|tourists|barrels|shares|acres|passengers|records|units|cars|dollars|"
    r"pounds|euros|bn|francs|rupees|animals|birds|trees|students|patients|cases|years|tweets|"
    r"streams|"
    r"sales|hits|clicks|readers|strong"
)


def _read(found: Match) -> str:
    return f"{found['number']} {_SCALES[found['scale'].lower()]}"


def _read_letter(found: Match) -> str:
    return f"{decimal_to_words(found['number'])} {found['letter'].upper()}"


_START = rf"(?<![\w.,-])(?P<number>{NUMBER})"
RULES = (
    substitute(
        r"(?<![\w.,-])401\s?\(?[kK]\)?(?!\w)",
        "four oh one K",
        ("a 401(k) plan", "a four oh one K plan"),
    ),
    substitute(
        rf"(?<![\w.,-])(?P<number>[24568]|10|12|16)(?P<letter>[Kk])(?=[\s-](?:{_DISPLAY})\b)",
        _read_letter,
        ("a 4K screen", "a four K screen"),
    ),
    substitute(
        r"(?<=\b(?:in|true|native|and|to|at|full)\s)(?P<number>[48])(?P<letter>K)(?=\s*(?:[.,;!?)"
        r"]|$|\s(?:at|on|or|and|with|resolution)\b))"
        r"(?<!\b(?:from|between)\s[^.]*)",
        _read_letter,
        ("shot in 4K.", "shot in four K."),
    ),
    substitute(
        rf"(?<=\b(?:an?|the|first|last|next|my|her|his|our|their|charity|annual|run|ran)\s)"
        rf"(?P<number>\d{{1,2}})(?P<letter>[Kk])"
        rf"(?=\s(?:{_RACE})\b|\s*(?:[.,;!?)]|$)|\s(?:in|on|at|for|this|next|last|with|tomorrow|"
        rf"today|every|yesterday)\b)",
        _read_letter,
        ("ran a 5K today", "ran a five K today"),
        ("the 10k run", "the ten K run"),
    ),
    substitute(
        r"(?<![\w.,-])(?P<number>\d{1,2})[Kk](?=[\s-](?:(?:white|yellow|rose|solid)[\s-])?gold\b)",
        lambda found: f"{decimal_to_words(found['number'])} karat",
        ("18k gold", "eighteen karat gold"),
    ),
    substitute(
        r"\b3M(?=(?:'s|\s(?:Company|Co|Corp|Inc|tape|makes|masks?|said|and)\b))",
        "three M",
        ("3M makes tape", "three M makes tape"),
    ),
    substitute(
        rf"(?<!{_PLACES}){_START}\s(?P<scale>[Bb]n|[Mm]n|[Tt]n|[Tt]rn|[Mm]ln|[Bb]ln|[Mm]io|"
        rf"[Mm]rd|[KMB](?=\s[a-z]{{3,}}))\.?(?![\w'’/])",
        _read,
        ("2.4 bn tickets", "two point four billion tickets"),
        ("5 M users", "five million users"),
    ),
    substitute(
        rf"(?<!{_PLACES}){_START}{_LETTER_SCALE}\+(?!\w)",
        lambda found: f"{_read(found)} plus",
        ("12k+ reviews", "twelve thousand plus reviews"),
    ),
    substitute(
        rf"(?<!{_PLACES}){_START}{_LETTER_SCALE}(?![\w'’]|-\d|{_STREET})",
        _read,
        ("10K followers", "ten thousand followers"),
        ("1.1M (up from 900K)", "one point one million (up from nine hundred thousand)"),
        ("her 2M-strong crowd", "her two million-strong crowd"),
        ("Room 3B and bus 4K", "Room three B and bus four K"),
        ("221B Baker St.", "two hundred twenty-one B Baker Street."),
    ),
    substitute(
        rf"{_START}\s?(?P<scale>m)(?=\s(?:[a-z]+\s)?(?:{_PEOPLE})\b)",
        _read,
        ("5m users", "five million users"),
        ("100m wide", "one hundred meters wide"),
    ),
    substitute(
        rf"{_START}(?P<scale>[KMBT]|[BbMmTt]n)-(?=[a-z])",
        lambda found: f"{_read(found)} ",
    ),
    substitute(
        r"(?<=\d)\+(?=\s?[a-z\s.,;!?)]|$)",
        " plus",
        ("100+ people", "one hundred plus people"),
    ),
)
KIND = Kind(name="thousands and millions", rules=RULES, needs_digit=True)
