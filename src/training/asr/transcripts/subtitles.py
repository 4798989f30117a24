"""Captions with times: SubRip (.srt), WebVTT (.vtt), and label tracks of Audacity (.txt).

Times are seconds of the recording. A malformed cue is left out, with a note that names its line.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.paths import quote_for_message
from core.tables.text_files import read_text
from training.asr.base import Segment, TranscribeError, Transcript, clean_text, sort_segments

ROLLING_GAP_S = 0.1  # between a cue and the next one that repeats its lines

_SPACE = r"[ \t]*"  # translated captions have spaces inside times
_TIMESTAMP = (
    rf"(?:(\d{{1,4}}){_SPACE}:{_SPACE})?(\d{{1,3}}){_SPACE}:{_SPACE}(\d{{1,2}})"
    rf"(?:{_SPACE}[.,]{_SPACE}(\d{{1,9}})|:(\d{{3}}))?"
)
_CUE_TIMES = re.compile(rf"\s*{_TIMESTAMP}\s*-->\s*{_TIMESTAMP}(?:\s(.*))?")
_CUE_SETTINGS = re.compile(r"(?:\s*\w+:\S+)*\s*")
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-f]+|[a-z]+);", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z0-9][^<>]*>|\{\\[^{}]*\}")
_VOICE_TAG = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]+)>")
_BREAK = re.compile(r"<br\s*/?>|\\[Nnh]", re.IGNORECASE)
_ESCAPED_TAG = re.compile(r"</?(?:[bciusv]|br|em|strong|font|span|ruby|rt|lang)\b[^<>]*>", re.I)
_SPEAKER_CHANGE = re.compile(r"^\s*>>+\s*")
_NON_CUE = re.compile(r"(?:WEBVTT|NOTE|STYLE|REGION|X-TIMESTAMP-MAP)\b")
_HEADER_LINE = re.compile(r"[A-Za-z-]+\s*[:=].*")
_ARROW = re.compile(r"[-–—]+\s*>")
_CLOCK = re.compile(r"\d\s*:\s*\w{1,2}\s*[:.,]\s*\w")
_LABEL = re.compile(
    r"\s*(-?\d+(?:[.,]\d+)?)\t\s*(-?\d+(?:[.,]\d+)?)(?:\t(.*))?"
    r"|\s*(-?\d+[.,]\d{2,})\s+(-?\d+[.,]\d{2,})(?:\s+(.*))?"
)
_LABEL_FREQUENCIES = re.compile(r"\s*\\\s+\S+\s+\S+\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subtitles:
    """The cues of a file.  notes: the lines that were left out, and why."""

    transcript: Transcript
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cue:
    """A cue with its lines as shown."""

    start_s: float
    stop_s: float
    lines: tuple[str, ...]


def read_subtitles(path: Path, voice: str = "") -> Subtitles:
    """Read an .srt or .vtt file without tags, styles, and the repeated lines of rolling captions.

    voice: what replaces a voice tag of WebVTT, `<v Ann>`; "{}" in it stands for the name.
    Raises TranscribeError naming the first malformed line where no cue is left.
    """
    lines = read_text(path).split("\n")
    places = [at for at, line in enumerate(lines) if _CUE_TIMES.fullmatch(line)]
    ids = _find_id_lines(lines, places)
    is_numbered = any(lines[at].strip().isdecimal() for at in ids)
    cues, notes = [], _find_stray_lines(lines, 0, _before(places, 0, lines, ids), False)
    for index, at in enumerate(places):
        stop = _before(places, index + 1, lines, ids)
        shown, rest = _split_text(lines, at + 1, stop)
        stray = _find_stray_lines(lines, rest, stop, is_numbered)
        if is_numbered and not stray:  # a blank line in a text
            shown += [line for _, block in _iter_cue_blocks(lines, rest, stop) for line in block]
        cue = _parse_cue(lines[at], shown, voice)
        if isinstance(cue, str):
            stray = [(at + 1, cue), *stray]
        else:
            cues.append(cue)
        notes += stray
    if notes and not cues:
        raise TranscribeError(f"{path.name}, line {notes[0][0]}: {notes[0][1]}")
    segments = list(_unroll(sorted(cues, key=lambda cue: (cue.start_s, cue.stop_s))))
    return Subtitles(
        transcript=Transcript(segments=sort_segments(segments)),
        notes=tuple(f"{path.name}, line {at}: left out, {why}" for at, why in sorted(notes)),
    )


def read_labels(name: str, text: str) -> Subtitles | None:
    """Read a label track of Audacity: start, stop and text; None for any other text.

    name: of the file, for messages. Raises TranscribeError where no label has both times.
    """
    lines = [(at, line) for at, line in enumerate(text.split("\n"), start=1) if line.strip()]
    lines = [(at, line) for at, line in lines if not _LABEL_FREQUENCIES.fullmatch(line)]
    found = [(at, line, _LABEL.fullmatch(line)) for at, line in lines]
    if not found or 2 * sum(label is not None for _, _, label in found) <= len(found):
        return None
    segments, notes = [], []
    for at, line, label in found:
        parts = [part or "" for part in label.groups()] if label else []
        start, stop, said = parts[:3] if parts and parts[0] else parts[3:] or ("", "", "")
        if label is None:
            notes.append((at, f"{_quote(line)} is not a label: start, stop and text"))
        elif not clean_text(said):
            continue
        elif (begin := _to_seconds(start)) >= (end := _to_seconds(stop)) or end <= 0:
            notes.append((at, "the label has no duration"))
        else:
            segments.append(Segment(start_s=max(0.0, begin), stop_s=end, text=_clean_line(said)))
    if notes and not segments:
        raise TranscribeError(f"{name}, line {notes[0][0]}: {notes[0][1]}.")
    return Subtitles(
        transcript=Transcript(segments=sort_segments(segments)),
        notes=tuple(f"{name}, line {at}: left out, {why}." for at, why in notes),
    )


def _to_seconds(number: str) -> float:
    return float(number.replace(",", "."))


# ---- lines of a file ----------------------------------------------------------------------------


def _find_id_lines(lines: Sequence[str], places: Sequence[int]) -> set[int]:
    """Return the lines with the name or number of a cue, just above its times."""
    found: set[int] = set()
    number, is_numbered = 0, False
    for place, before in zip(places, (-1, *places), strict=False):
        at = place - 1
        line = lines[at].strip() if at > before else ""
        is_number = line.isdecimal()
        counts_on = is_number and (is_numbered or int(line) == number + 1)
        is_alone = at == 0 or (at - 1 > before and not lines[at - 1].strip())
        if line and not _NON_CUE.match(line) and (is_alone or counts_on):
            found.add(at)
            is_numbered = is_number
        number = int(line) if is_number else number + 1
    return found


def _before(places: Sequence[int], index: int, lines: Sequence[str], ids: set[int]) -> int:
    """Return the line at which the text before a cue ends."""
    if index == len(places):
        return len(lines)
    return places[index] - 1 if places[index] - 1 in ids else places[index]


def _split_text(lines: Sequence[str], start: int, stop: int) -> tuple[list[str], int]:
    """Return the lines of a cue, and where the rest behind it starts."""
    at = start
    while at < stop and not lines[at].strip():
        at += 1  # YouTube begins a cue with a line of one space, which some programs remove
    first = at
    while at < stop and lines[at].strip():
        at += 1
    block = list(lines[first:at])
    if first > start and not lines[start] and (_NON_CUE.match(block[0]) if block else True):
        return [], first
    broken = next((place for place, line in enumerate(block) if _has_broken_times(line)), None)
    if broken is None and block and first > start and block[0].strip().isdecimal():
        broken = 0
    if broken is not None:  # of the next cue, without a blank line before it
        broken -= broken > 0 and block[broken - 1].strip().isdecimal()
        return block[:broken], first + broken
    return block, at


def _has_broken_times(line: str) -> bool:
    return bool(_ARROW.search(line) and (_CLOCK.search(line) or re.search(r"\d", line)))


def _iter_cue_blocks(
    lines: Sequence[str], start: int, stop: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield the blocks that are no comments, styles or headers."""
    for first, block in _iter_blocks(lines, start, stop):
        if _NON_CUE.match(block[0]) and not any("-->" in line for line in block):
            continue
        if start == 0 and all(_HEADER_LINE.fullmatch(line) for line in block):
            continue
        yield first, block


def _find_stray_lines(
    lines: Sequence[str], start: int, stop: int, is_numbered: bool
) -> list[tuple[int, str]]:
    """Return (line, reason) of each block that belongs to no cue.

    is_numbered: blocks without number and times belong to the cue before them.
    """
    stray = []
    for first, block in _iter_cue_blocks(lines, start, stop):
        wrong = next((at for at, line in enumerate(block) if "-->" in line), 0)
        has_times = any(_ARROW.search(line) or _CLOCK.search(line) for line in block[:2])
        if has_times or block[0].strip().isdecimal() or not is_numbered:
            stray.append((first + wrong + 1, _describe(block[wrong])))
    return stray


def _describe(line: str) -> str:
    return f"{_quote(line)} is not the beginning of a cue such as '00:00:01,000 --> 00:00:04,500'."


def _quote(line: str) -> str:
    return quote_for_message(line.strip())


def _iter_blocks(lines: Sequence[str], start: int, stop: int) -> Iterator[tuple[int, list[str]]]:
    """Yield (first line, lines) of each block between blank lines."""
    block: list[str] = []
    for at in range(start, stop):
        if lines[at].strip():
            block.append(lines[at])
        elif block:
            yield at - len(block), block
            block = []
    if block:
        yield stop - len(block), block


# ---- cues ---------------------------------------------------------------------------------------


def _parse_cue(times: str, shown: Sequence[str], voice: str) -> _Cue | str:
    """Return a cue, or what is wrong with it."""
    match = _CUE_TIMES.fullmatch(times)
    parts = match.groups() if match else ()
    start, stop = _parse_timestamp(parts[:5]), _parse_timestamp(parts[5:10])
    if start is None or stop is None:
        return _describe(times)
    if stop < start:
        return "it stops before it starts."
    behind = parts[10] or ""
    lines = shown if _CUE_SETTINGS.fullmatch(behind) else [behind, *shown]
    texts = [_clean_line(piece, voice) for line in lines for piece in _BREAK.split(line)]
    return _Cue(start_s=start, stop_s=stop, lines=tuple(text for text in texts if text))


def _parse_timestamp(clock: Sequence[str | None]) -> float | None:
    """Return seconds; None where a part is too large."""
    hours, minutes, seconds = (int(part or 0) for part in clock[:3])
    if seconds > 59 or (clock[0] is not None and minutes > 59):
        return None
    fraction = clock[3] or clock[4] or "0"
    return hours * 3600 + minutes * 60 + seconds + float(f"0.{fraction}")


def _clean_line(line: str, voice: str = "") -> str:
    named = _VOICE_TAG.sub(lambda found: voice.format(found[1]), line)
    text = html.unescape(_TAG.sub("", named))
    text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)  # YouTube escapes twice
    return clean_text(_SPEAKER_CHANGE.sub("", _ESCAPED_TAG.sub("", text)))


def _unroll(cues: Sequence[_Cue]) -> Iterator[Segment]:
    """Yield what each cue adds; rolling captions repeat the lines of the cue before.

    A cue that only repeats them makes the segment before it longer.
    """
    shown: tuple[str, ...] = ()
    shown_until_s, last = -1.0, None
    for cue in cues:
        if not cue.lines:
            continue
        rolls = cue.start_s <= shown_until_s + ROLLING_GAP_S
        text = _find_new_text(shown, cue.lines) if rolls else " ".join(cue.lines)
        shown, shown_until_s = cue.lines, cue.stop_s
        if not text and last is not None:
            last = replace(last, stop_s=max(last.stop_s, cue.stop_s))
            continue
        if last is not None:
            yield last
        last = Segment(start_s=cue.start_s, stop_s=cue.stop_s, text=text)
    if last is not None:
        yield last


def _find_new_text(shown: Sequence[str], lines: Sequence[str]) -> str:
    """Return what lines add to those that were shown: lines below them, or words behind them."""
    for count in range(min(len(shown), len(lines)), 0, -1):
        if tuple(shown[-count:]) == tuple(lines[:count]):
            return " ".join(lines[count:])
    before, now = " ".join(shown).split(), " ".join(lines).split()
    grows = len(now) > len(before) and now[: len(before)] == before
    return " ".join(now[len(before) :]) if grows else " ".join(now)
