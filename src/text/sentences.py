"""Find where sentences end: marks, short forms, quotes and speech tags. Light."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from text.short_forms import (
    AFTER_NAMES,
    ALSO_WORDS,
    BEFORE_NUMBERS,
    DAY_NAMES,
    DETERMINERS,
    LABELS,
    MONTHS_AND_DAYS,
    NEVER_LAST,
    NEVER_WORDS_BEFORE_NUMBERS,
    SENTENCE_STARTERS,
    SHORT_FORMS,
    SPEECH_VERBS,
    TIME_ZONES,
    TITLES,
    UNITS,
)

_MARKS = re.compile(
    r"[.!?…]+(?:\[\d{1,3}\]|[¹²³⁴⁵⁶⁷⁸⁹⁰]+)*[\"'”’»)\]*_]*(?=\s|$)"  # a footnote may follow a mark
    r"|(?<=[a-z]{2})[.!?](?=[\"“]?[A-Z][a-z]+\s)"  # no blank was typed
    r"|[。！？]+[」』”]?|\n"
)
_LAST_WORD = re.compile(r"[^\s\"“”(\[—–/]+$")
_FOLLOWING = re.compile(r"[\s\"'“‘«(\[*_—–-]*([^\s\"“”)\]]*)[,;:]?\s*(\S*)")
_DOTTED = re.compile(r"(?:[^\W\d_]{1,3}\.)+[^\W\d_]{1,3}")
_LIST_NUMBER = re.compile(r"\s*[\"“(]?(?:\d{1,3}|[A-Za-z]|[ivx]{1,5}|[IVX]{1,5})\.")
_ROMAN_OR_LETTER = re.compile(r"[IVXLC]+|[A-Z]")
_SPEECH_TAG = re.compile(
    r"[,.!?…—-][\"”’']\s+(?:the\s+|old\s+)*(?P<first>[\w-]+)"
    r"(?:\s+(?:the\s+|old\s+)*(?P<second>[\w-]+))?",
    re.IGNORECASE,
)
_INCHES = frozenset(map(str, range(12)))
_PAIRS = {"”": "“", "»": "«", ")": "(", '"': '"'}
_CLOSING_QUOTES = "\"'”’»"
_PUNCTUATION = ".,;:!?…—–-"


def split_sentences(text: str) -> list[str]:
    """Split into sentences; quotes and brackets stay whole, and short forms end no sentence."""
    return split_at(text, list(_find_ends(text, _find_enclosed(text), is_strict=True)))


def split_enclosed_sentences(text: str) -> list[str]:
    """Split as split_sentences does, and also inside quotes and before small letters."""
    return split_at(text, list(_find_ends(text, [False] * (len(text) + 1), is_strict=False)))


def split_at(text: str, ends: Sequence[int]) -> list[str]:
    """Split at positions; blank parts are left out."""
    starts = [0, *ends]
    parts = (text[start:end].strip() for start, end in zip(starts, [*ends, len(text)], strict=True))
    return [part for part in parts if part]


def find_speakers(text: str) -> frozenset[str]:
    """Return who speaks according to the speech tags: '"No," said Tom.' -> {"tom"}."""
    names = set()
    for found in _SPEECH_TAG.finditer(text):
        first, second = found["first"].lower(), (found["second"] or "").lower()
        if first in SPEECH_VERBS and second:
            names.add(second)
        elif second in SPEECH_VERBS:
            names.add(first)
    return frozenset(names)


def is_short_form(word: str) -> bool:
    """Return whether the full stop after a word, which is not in it, belongs to the word."""
    form = word.lower()
    if form in SHORT_FORMS:
        is_word = form == "no" or form in ALSO_WORDS - NEVER_WORDS_BEFORE_NUMBERS
        return not (is_word and word.islower())
    if _DOTTED.fullmatch(word) or (len(word) == 1 and word.isalpha() and word not in "Ia"):
        return True
    has_no_vowel = word.isalpha() and len(word) <= 5 and not re.search("[aeiouy]", form)
    return has_no_vowel and len(word) > 1 and not word.isupper()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A place where a sentence may end, and the words around it.

    marks: with closing quotes; before: the sentence so far, without them; next_word: without
    opening quotes.
    """

    marks: str
    before: str
    next_word: str
    after_next: str

    @property
    def word(self) -> str:
        found = _LAST_WORD.search(self.before[-40:])
        return found[0].lstrip("'‘*_") if found else ""

    @property
    def previous_word(self) -> str:
        return (self.before[-80:].split()[-2:-1] or [""])[0]

    @property
    def is_unit(self) -> bool:
        """Return whether a number and its unit stand before the marks: 5 in."""
        return self.word.lower() in UNITS and self.previous_word[-1:].isdigit()

    @property
    def is_lowercase_next(self) -> bool:
        return self.next_word[:1].islower()

    @property
    def is_starter_next(self) -> bool:
        plain = self.next_word.replace("’", "'").rstrip(_PUNCTUATION).lower()
        return plain in SENTENCE_STARTERS or plain.partition("'")[0] in SENTENCE_STARTERS

    @property
    def is_speech_tag_next(self) -> bool:
        """Return whether a quote goes on with who speaks: "Stop!" Tom said."""
        is_quoted = self.marks[-1:] in _CLOSING_QUOTES
        return (
            is_quoted
            and not self.is_starter_next
            and self.after_next.rstrip(_PUNCTUATION) in SPEECH_VERBS
        )


def _find_ends(text: str, enclosed: Sequence[bool], *, is_strict: bool) -> Iterator[int]:
    start = 0
    for found in _MARKS.finditer(text):
        end = found.end()
        if found[0] != "\n":
            following = _FOLLOWING.match(text, end)
            assert following is not None, "every part of the pattern may be empty"
            here = _Candidate(
                marks=found[0],
                before=text[start : found.start()],
                next_word=following[1],
                after_next=following[2],
            )
            if enclosed[end] or not _ends_sentence(here, is_strict=is_strict):
                continue
        yield end
        start = end


def _ends_sentence(here: _Candidate, *, is_strict: bool) -> bool:
    if here.marks[0] in "。！？":
        return True
    if not here.next_word or _LIST_NUMBER.fullmatch(here.before + here.marks):
        return False
    if not is_strict and here.is_lowercase_next:
        return here.marks[0] != "." or not is_short_form(here.word)
    if here.is_speech_tag_next:
        return False
    if "…" in here.marks or ".." in here.marks:
        return _ends_after_ellipsis(here)
    if here.marks[0] != ".":
        return not here.is_lowercase_next
    if here.is_lowercase_next:
        return len(here.marks) == 1 and not (is_short_form(here.word) or here.is_unit)
    if here.next_word[0].isdigit():
        return not _takes_number(here)
    return _ends_before_capital(here)


def _ends_after_ellipsis(here: _Candidate) -> bool:
    following = here.next_word.rstrip(_PUNCTUATION)
    stutters = following.lower() == here.word.lower() or following == "I"
    return not here.is_lowercase_next and not stutters


def _takes_number(here: _Candidate) -> bool:
    """Return whether a short form and the number after it belong together: No. 5."""
    word, form = here.word, here.word.lower()
    if form == "no":
        return here.previous_word.strip('"“,').lower() not in SPEECH_VERBS
    if here.is_unit:  # 5 ft. 10 in.
        is_inches = form == "ft" and here.next_word.rstrip(_PUNCTUATION) in _INCHES
        return is_inches or here.after_next.rstrip(_PUNCTUATION).lower() in UNITS
    if form in ALSO_WORDS - NEVER_WORDS_BEFORE_NUMBERS and word.islower():
        return False
    if _DOTTED.fullmatch(word) and form not in {"a.m", "p.m"}:
        return True
    return form in BEFORE_NUMBERS | NEVER_LAST | MONTHS_AND_DAYS | TITLES or _is_initial(word)


def _is_initial(word: str) -> bool:
    return len(word) == 1 and word.isalpha() and word != "I"


def _ends_before_capital(here: _Candidate) -> bool:
    word, form = here.word, here.word.lower()
    if form in NEVER_LAST:
        return False
    if _is_initial(word):
        return _ends_after_letter(here)
    if _DOTTED.fullmatch(word):
        return _ends_after_dotted(here)
    if form not in SHORT_FORMS or form in {"etc", "no"} or (form in ALSO_WORDS and word.islower()):
        return True
    if form in MONTHS_AND_DAYS or here.is_unit:
        return True
    is_title = form in TITLES and not (form in AFTER_NAMES and here.previous_word[:1].isupper())
    if is_title:
        return here.is_starter_next and here.previous_word.lower() in DETERMINERS
    if form in AFTER_NAMES:
        return here.is_starter_next
    return not _ROMAN_OR_LETTER.fullmatch(here.next_word.rstrip(_PUNCTUATION))


def _ends_after_letter(here: _Candidate) -> bool:
    """A letter and a full stop are an initial, unless a common first word of sentences follows."""
    is_first = not here.before.strip(" \"'“‘(")[:-1].strip()
    in_name = is_first or re.fullmatch(r"[A-Z]\.", here.previous_word)
    if here.word.islower():
        return here.word not in "pcvdbn"
    if here.previous_word.rstrip(".").lower() in LABELS:
        return True
    return here.is_starter_next and not (in_name and here.after_next[:1].isupper())


def _ends_after_dotted(here: _Candidate) -> bool:
    following = here.next_word.rstrip(_PUNCTUATION).lower()
    if here.word.lower() in {"a.m", "p.m"}:
        return following not in TIME_ZONES | DAY_NAMES
    return here.is_starter_next


def _find_enclosed(text: str) -> list[bool]:
    """Return for every place between characters whether it is inside quotes or brackets.

    What is not closed in its line encloses nothing.
    """
    change = [0] * (len(text) + 1)
    opened: list[tuple[str, int]] = []
    for place, sign in enumerate(text):
        signs = [one for one, _ in opened]
        if sign == "\n":
            opened.clear()
        elif _PAIRS.get(sign) in signs:
            at = len(signs) - 1 - signs[::-1].index(_PAIRS[sign])
            change[opened[at][1] + 1] += 1
            change[place + 1] -= 1
            del opened[at:]
        elif sign in "“«(" or (sign == '"' and not text[place - 1 : place].isdigit()):
            opened.append((sign, place))
    return [depth > 0 for depth in accumulate(change)]
