"""Parse scripts: overrides, [bracketed prompts], steering words, paragraphs and pauses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, NoReturn

from text.normalization.pipeline import normalize_text
from text.paragraphs import Paragraph, split_paragraphs
from text.pauses import Pause, split_at_pauses
from text.segmentation import TextPiece, is_speakable, split_text

VOICE = "voice"  # the override that every caller supports
MAX_VOICE_NAME_LENGTH = 100  # characters of a voice's name

_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r\\n": "\n"}
_OVERRIDE = re.compile(r"\s*\{\s*(?:[\"'}]|\w+\s*:)")
_INVALID_NAME = re.compile(r'[\x00-\x1f\x7f/\\*?"<>|]')
_WEIGHT = re.compile(r"\d*\.?\d+")
_JSON = json.JSONDecoder(parse_constant=lambda word: _reject_constant(word))
_BRACKETS = re.compile(r"[\[\]]")


class ScriptError(ValueError):
    """A script cannot be parsed; the message names the line, the place and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptLine:
    """One line of a script, or one paragraph of it.

    text: for the model, with bracketed words. spans: (start, end) of each bracketed part in it,
    with its brackets, in order. steering: words put before the line in brackets. override: options
    of this line alone. raw: as typed. number: from 1. pause: behind it; lead_s: seconds of silence
    before it, asked for at the start of the text.
    """

    number: int
    raw: str
    text: str
    spans: tuple[tuple[int, int], ...] = ()
    steering: str = ""
    override: Mapping[str, Any] = field(default_factory=dict)  # Any: plain JSON values
    pause: Pause = Pause()
    lead_s: float = 0.0

    @property
    def spoken_text(self) -> str:
        """Return the text without its bracketed parts."""
        place, parts = 0, []
        for start, end in self.spans:
            parts.append(self.text[place:start])
            place = end
        return " ".join(" ".join([*parts, self.text[place:]]).split())


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidLine:
    """A line that cannot be spoken.  reason: a sentence that names it."""

    number: int
    raw: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptNotice:
    """A part of a script that is left out or read otherwise than it looks.

    message: a sentence that says what and where.
    """

    number: int
    message: str


ScriptItem = ScriptLine | InvalidLine | ScriptNotice


def parse_script(
    text: str, delimiter: str = "", *, known: Collection[str] = (), steering: str = ""
) -> list[ScriptLine]:
    """Return the lines of a script, without what cannot be spoken.

    delimiter: between lines; "\n" may be typed as a backslash and an n; empty: the text is one
    line, but an override starts a line of its own. known: options that an override may set besides
    voice. steering: words that steer every line and are cut out. A line of several paragraphs is
    returned paragraph by paragraph. Raises ScriptError for an invalid line, and where something
    was left out and nothing else remains.
    """
    items = parse_lines(text, delimiter, known=known, steering=steering)
    for item in items:
        if isinstance(item, InvalidLine):
            raise ScriptError(item.reason)
    lines = [item for item in items if isinstance(item, ScriptLine)]
    if not lines:
        for item in items:
            raise ScriptError(item.message if isinstance(item, ScriptNotice) else "")
    return lines


def parse_lines(
    text: str, delimiter: str = "", *, known: Collection[str] = (), steering: str = ""
) -> list[ScriptItem]:
    """Return the lines of a script as `parse_script` does, with invalid lines and notices."""
    if _BRACKETS.search(steering):
        raise ScriptError("The prompt is put in brackets; write it without brackets.")
    names = sorted({VOICE, *known})
    found: list[ScriptItem] = []
    prefix = " ".join(steering.split())
    for number, raw in _split_rows(text, delimiter, names):
        if not raw.strip():
            _lengthen_pause(found)
            continue
        try:
            override, body, notices = _parse_override(number, raw, names)
            lines = _parse_body(number, raw, body, prefix)
        except ScriptError as wrong:
            found.append(InvalidLine(number=number, raw=raw, reason=str(wrong)))
            continue
        ...
    return _end_with_silence(found)


def split_line(
    line: ScriptLine,
    limit: int,
    count: Callable[[str], int],
    desired: int = 200,
    longest: int = 300,
) -> list[ScriptLine]:
    """Split a line into chunks (see split_text), each with the prompt and closed brackets."""
    prefix = f"[{line.steering}] " if line.steering else ""
    body = line.text[len(prefix) :]
    room = limit - (count(prefix) if prefix else 0)
    if room < 1:
        raise ScriptError(
            f"Line {line.number}: the prompt {line.steering!r} leaves no room for the text; "
            "shorten it."
        )
    if "[" in body:
        return _split_bracketed(line, prefix, body, (room, count, desired, longest))
    pieces = split_text(body, room, count, desired, longest)
    return [_with_text(line, prefix + piece) for piece in pieces]


SplitLimits = tuple[int, Callable[[str], int], int, int]  # limit, count, desired, longest


def _split_bracketed(
    line: ScriptLine, prefix: str, body: str, splitting: SplitLimits
) -> list[ScriptLine]:
    """Close a bracket that was split, and open it again in the next chunk."""
    limit, count, desired, longest = splitting

    def count_closed(piece: str) -> int:
        return count(f"[{piece}]")

    pieces, opened = [], False
    for piece in split_text(body, limit, count_closed, desired, longest):
        piece = f"[{piece}" if opened else piece
        opened = piece.rfind("[") > piece.rfind("]")
        pieces.append(_with_text(line, prefix + (f"{piece}]" if opened else piece)))
    return [piece for piece in pieces if is_speakable(piece.spoken_text)]


def _with_text(line: ScriptLine, text: str) -> ScriptLine:
    return replace(line, text=text, spans=tuple(_find_bracket_spans(text, line.number)))


def _split_rows(text: str, delimiter: str) -> list[str]:
    """Split at delimiters; without one, rows with an override are separate."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    delimiter = _ESCAPES.get(delimiter, delimiter)
    if delimiter:
        return text.split(delimiter)
    rows: list[str] = []
    joinable = False
    for row in text.split("\n"):
        own = bool(_OVERRIDE.match(row))
        if rows and joinable and not own:
            rows[-1] += "\n" + row
        else:
            rows.append(row)
        joinable = not own
    return rows


def _parse_line(number: int, raw: str, known: Collection[str], steering: str) -> ScriptLine | None:
    override, body = _parse_override(number, raw, known)
    prefix = f"[{steering}] " if steering else ""
    spans = tuple(
        _find_bracket_spans(body, number)
    )  # before anything is put in front: places as typed
    text = prefix + re.sub(r"\[\s*\]", " ", body).strip()
    line = ScriptLine(
        number=number,
        raw=raw,
        text=text,
        spans=tuple(_find_bracket_spans(text, number)),
        steering=steering,
        override=override,
    )
    if is_speakable(line.spoken_text):
        return line
    if spans:
        _raise_script_error(
            number, "all of it is in brackets, so nothing would be spoken; add some words"
        )
    if override:
        _raise_script_error(number, "there is no text after the override; add some words")
    return None


def _find_bracket_spans(text: str, number: int) -> Iterator[tuple[int, int]]:
    """Return the bracketed parts; raise ScriptError for unbalanced or nested brackets."""
    opened: int | None = None
    for found in _BRACKETS.finditer(text):
        place = found.start()
        if found[0] == "[":
            if opened is not None:
                _raise_script_error(
                    number, "a bracket opens inside another; close the first one before", place + 1
                )
            opened = place
        elif opened is None:
            _raise_script_error(
                number, "a bracket is closed but was not opened; write [ before it", place + 1
            )
        else:
            yield opened, place + 1
            opened = None
    if opened is not None:
        _raise_script_error(number, "a bracket is not closed; write ] after its words", opened + 1)


def _parse_override(number: int, raw: str, known: Collection[str]) -> tuple[Mapping[str, Any], str]:
    """Return the options at the start of a line, checked, and the rest of the line."""
    if not _OVERRIDE.match(raw):
        return {}, raw
    start = raw.index("{")
    try:
        override, end = _JSON.raw_decode(raw, start)
    except (ValueError, RecursionError) as broken:
        place = getattr(broken, "pos", start) + 1
        reason = getattr(broken, "msg", str(broken))
        _raise_script_error(
            number,
            f"the override is not JSON ({reason}); write it like "
            '{"voice": "alice", "temperature": 0.3} before the text',
            place,
        )
    for key, value in override.items():
        _check_option(number, key, value, known)
    return override, raw[end:]


def _check_option(number: int, key: str, value: object, known: Collection[str]) -> None:
    names = sorted({VOICE, *known})
    if key not in names:
        close = get_close_matches(key, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
        _raise_script_error(number, f"the override has no option {key!r}; {hint}")
    if key == VOICE:
        _check_voice(number, value)
    elif not isinstance(value, str | int | float | bool):
        _raise_script_error(
            number, f"option {key!r} is {value!r}; give a number, a text, true or false"
        )


def _check_voice(number: int, value: object) -> None:
    """Check for a plain name or a blend like alice:0.7+bob:0.3; never a path."""
    parts = value.split("+") if isinstance(value, str) else [""]
    for part in parts:
        name, colon, weight = (piece.strip() for piece in part.partition(":"))
        unfit = (
            name.startswith(".") or _INVALID_NAME.search(name) or len(name) > MAX_VOICE_NAME_LENGTH
        )
        if not name or unfit or (colon and not _WEIGHT.fullmatch(weight)):
            _raise_script_error(number, f"voice is {value!r}; give the name of a voice, not a path")


def _reject_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")


def _raise_script_error(number: int, reason: str, place: int | None = None) -> NoReturn:
    where = f"Line {number}" + (f", character {place}" if place else "")
    raise ScriptError(f"{where}: {reason}{'' if reason.endswith('?') else '.'}")
