"""Options of one line of a script: {"voice": "alice", "temperature": 0.3} before its text.

[duration:3.2s] before the text is the same as {"duration": 3.2}.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, NoReturn

VOICE, DURATION = "voice", "duration"  # the overrides that every caller supports
MAX_DURATION_S = 120.0
MAX_VOICE_NAME_LENGTH = 100  # characters of a voice's name
SIMILARITY = 0.8  # of a name to an option, above which it is taken for a misspelled option

_OVERRIDE = re.compile(r"\s*\{\s*(?:[\"'}]|\w+\s*:)")
_FIRST_KEY = re.compile(r"\s*\{\s*[\"']?([\w-]*)[\"']?\s*(?:[:}]|$)")
_BRACED = re.compile(r"\s*(\{[^{}\n]{0,60}\}?)")
_DURATION_TAG = re.compile(r"\s*\[\s*duration\s*[:=]\s*(\d+(?:\.\d+)?)\s*(ms|s|)\s*\]", re.I)
_INVALID_NAME = re.compile(r'[\x00-\x1f\x7f/\\*?"<>|]')
_WEIGHT = re.compile(r"\d*\.?\d+")
_JSON = json.JSONDecoder(parse_constant=lambda word: _reject_constant(word))


class ScriptError(ValueError):
    """A script cannot be parsed; the message names the line, the place and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOptions:
    """The options before a line, and the rest of the line.

    notice: what was taken for plain text though it looks like options, "" for none.
    """

    body: str
    override: Mapping[str, Any] = field(default_factory=dict)  # Any: plain JSON values
    notice: str = ""


def has_override(row: str, names: Sequence[str]) -> bool:
    """Return whether a row starts with options.  names: of the known options."""
    if _DURATION_TAG.match(row):
        return True
    return bool(_OVERRIDE.match(row)) and not _is_plain_text(row, names)


def parse_override(number: int, raw: str, names: Sequence[str]) -> LineOptions:
    """Return the options at the start of a line, checked, and the rest of the line.

    Braces that are neither JSON nor name a known option are plain text. Raises ScriptError.
    """
    tag = _DURATION_TAG.match(raw)
    if tag is not None:
        seconds = float(tag[1]) / (1000 if tag[2].lower() == "ms" else 1)
        _check_option(number, DURATION, seconds, names)
        rest = parse_override(number, raw[tag.end() :], names)
        return replace(rest, override={DURATION: seconds, **rest.override})
    if not _OVERRIDE.match(raw):
        return LineOptions(body=raw)
    if _is_plain_text(raw, names):
        shown = _BRACED.match(raw)
        notice = (
            f"{shown[1] if shown else '{'} sets no option, so it is read as plain text; options "
            'are written like {"voice": "alice", "temperature": 0.3}'
        )
        return LineOptions(body=raw, notice=notice)
    start = raw.index("{")
    try:
        override, end = _JSON.raw_decode(raw, start)
    except (ValueError, RecursionError) as broken:
        place = getattr(broken, "pos", start) + 1
        reason = getattr(broken, "msg", str(broken))
        raise_script_error(
            number,
            f"the override is not JSON ({reason}); write it like "
            '{"voice": "alice", "temperature": 0.3} before the text',
            place,
        )
    for key, value in override.items():
        _check_option(number, key, value, names)
    return LineOptions(body=raw[end:], override=override)


def raise_script_error(number: int, reason: str, place: int | None = None) -> NoReturn:
    """Raise ScriptError for a line, and a character of it."""
    where = f"Line {number}" + (f", character {place}" if place else "")
    raise ScriptError(f"{where}: {reason}{'' if reason.endswith('?') else '.'}")


def _is_plain_text(raw: str, names: Sequence[str]) -> bool:
    try:
        _JSON.raw_decode(raw, raw.index("{"))
        return False
    except (ValueError, RecursionError):
        pass
    key = _FIRST_KEY.match(raw)
    return key is None or not get_close_matches(key[1], names, n=1, cutoff=SIMILARITY)


def _check_option(number: int, key: str, value: object, names: Sequence[str]) -> None:
    if key not in names:
        close = get_close_matches(key, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
        raise_script_error(number, f"the override has no option {key!r}; {hint}")
    if key == VOICE:
        _check_voice(number, value)
    elif key == DURATION:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < float(str(value)) <= MAX_DURATION_S:
            raise_script_error(
                number, f"duration is {value!r}; give the seconds, up to {MAX_DURATION_S:g}"
            )
    elif not isinstance(value, str | int | float | bool):
        raise_script_error(
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
            raise_script_error(number, f"voice is {value!r}; give the name of a voice, not a path")


def _reject_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")
