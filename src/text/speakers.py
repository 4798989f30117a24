"""Speakers of a script: `Anna: Good evening.` at the start of a row, and the voice of each."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from text.overrides import VOICE, LineOptions, has_override, parse_override

MAX_NAME_CHARS = 40
MAX_NAME_WORDS = 4
MIN_ROWS = 2  # of a text that begin with a name, from which it is a script

_NAMED_ROW = re.compile(
    rf"\s*(?:\*\*|__)?(?P<name>[^\W\d_][^\n:*\[\]{{}}<>\"“”/\\]{{0,{MAX_NAME_CHARS - 1}}}?)"
    r"\s?(?:\([^)\n]{0,80}\)\s?)?(?:\*\*|__)?:(?:\*\*|__)?[^\S\n]+(?=\S)"
)
_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r\\n": "\n"}


class SpokenRow(NamedTuple):
    """A row without the name at its start.  voice: of the speaker."""

    voice: str
    text: str


def find_speakers(text: str, known: Collection[str] = ()) -> list[str]:
    """Return the names that rows of a script begin with, in order; [] for a text that is none.

    A name has at most four words, the first with a capital letter where the script has them.
    known: folded names that need no capital letter.
    """
    names = [name for row in text.splitlines() if (name := _read_name(row, known))]
    if len(names) < MIN_ROWS:
        return []
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(fold_speaker(name), name)
    return list(found.values())


def fold_speaker(name: str) -> str:
    """Return what is equal for spellings of one speaker's name: ANNA and Anna."""
    return " ".join(name.split()).casefold()


def fold_speakers(voices: Mapping[str, str]) -> dict[str, str]:
    """Return folded name -> voice, without the names that have no voice."""
    return {fold_speaker(name): voice for name, voice in voices.items() if voice}


def split_rows(
    text: str, delimiter: str, names: Sequence[str], voices: Mapping[str, str]
) -> Iterator[tuple[int, str]]:
    """Yield (number, row) of a script; number: of its first line, from 1.

    Without a delimiter, a row with an override is separate, and a row that begins with a speaker
    goes on until a blank line. names: of the known options;  voices: of speakers, as folded.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    delimiter = _ESCAPES.get(delimiter, delimiter)
    if delimiter:
        yield from enumerate(text.split(delimiter), start=1)
        return
    rows: list[str] = []
    start, is_spoken = 1, False
    for number, row in enumerate(text.split("\n"), start=1):
        begins = _match_speaker(row, voices) is not None
        separate = not begins and has_override(row, names)
        if begins or separate or (is_spoken and not row.strip()):
            if rows:
                yield start, "\n".join(rows)
            if is_spoken:
                yield number, ""  # the pause between speakers is that of paragraphs
            rows, start, is_spoken = ([row], number, True) if begins else ([], number + 1, False)
            if separate:
                yield number, row
            continue
        start = start if rows else number
        rows.append(row)
    if rows:
        yield start, "\n".join(rows)


def parse_row(
    number: int, raw: str, names: Sequence[str], voices: Mapping[str, str]
) -> LineOptions:
    """Return the options at the start of a row, with the voice of its speaker, and the rest.

    An override behind the name wins. voices: of speakers, as folded. Raises ScriptError.
    """
    spoken = _match_speaker(raw, voices)
    if spoken is None:
        return parse_override(number, raw, names)
    options = parse_override(number, spoken.text, names)
    return replace(options, override={VOICE: spoken.voice, **options.override})


def _match_speaker(row: str, voices: Mapping[str, str]) -> SpokenRow | None:
    found = _NAMED_ROW.match(row) if voices else None
    voice = voices.get(fold_speaker(found["name"]), "") if found else ""
    return SpokenRow(voice=voice, text=row[found.end() :]) if found and voice else None


def _read_name(row: str, known: Collection[str]) -> str:
    """Return the name at the start of a row; "" for none."""
    found = _NAMED_ROW.match(row)
    if found is None:
        return ""
    name = " ".join(found["name"].split())
    is_lower = name[0] != name[0].upper() and fold_speaker(name) not in known
    return "" if is_lower or len(name.split()) > MAX_NAME_WORDS else name
