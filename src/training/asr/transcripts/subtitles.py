"""Transcripts with times: SubRip (.srt), WebVTT (.vtt), and JSON of Whisper and WhisperX.

Times are seconds of the recording. Malformed files are refused with the line.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from training.asr.base import Segment, TranscribeError, Transcript, Word, clean_text, join_words
from training.asr.transcripts.text_files import read_text

_TIMESTAMP = r"(?:(\d{1,4}):)?([0-5]?\d):([0-5]?\d)[.,](\d{1,3})"
_CUE_TIMES = re.compile(rf"\s*{_TIMESTAMP}\s*-->\s*{_TIMESTAMP}(?:\s.*)?")
_TAG = re.compile(r"</?[A-Za-z0-9][^<>]*>|\{\\[^{}]*\}")
_NON_CUE_PREFIXES = ("WEBVTT", "NOTE", "STYLE", "REGION", "X-TIMESTAMP-MAP")


def read_subtitles(path: Path) -> Transcript:
    """Read an .srt or .vtt file, without tags and styles; repeated cues are joined.

    Raises TranscribeError naming the malformed line.
    """
    segments: list[Segment] = []
    for number, block in _split_blocks(read_text(path)):
        cue = _parse_cue(path, number, block)
        if cue is None or not cue.text:
            continue
        rolling = segments and cue.text == segments[-1].text
        if not (rolling and cue.start_s <= segments[-1].stop_s + 0.1):
            segments.append(cue)
    return Transcript(segments=_sort_segments(segments))


def read_transcript_json(path: Path) -> Transcript | None:
    """Read the JSON of Whisper, WhisperX or a dataset; None for other JSON.

    Raises TranscribeError for malformed JSON, times or words.
    """
    return parse_transcript(load_json(path), path.name)


def load_json(path: Path) -> Any:  # Any: JSON
    """Read a JSON file.  Raises TranscribeError naming the malformed line."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise TranscribeError(
            f"{path.name}, line {error.lineno}: invalid JSON ({error.msg}). Save it again, or "
            "move it out of the folder."
        ) from error
    except RecursionError as error:
        raise TranscribeError(f"{path.name} is nested too deeply to be a transcript.") from error


def parse_transcript(plain: Any, source: str) -> Transcript | None:  # Any: JSON
    """Return the transcript in plain data, None where they are something else."""
    if not isinstance(plain, Mapping) or not isinstance(plain.get("segments"), Sequence):
        return None
    language = plain.get("language")
    language = language.strip().lower() if isinstance(language, str) else ""
    found = []
    for number, row in enumerate(plain["segments"], start=1):
        segment = _parse_segment(row, f"{source}, segment {number}", language)
        found += [segment] if segment.text else []
    return Transcript(segments=_sort_segments(found), language=language)


def _split_blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of the first line, lines) of each block between blank lines."""
    block: list[str] = []
    lines = text.split("\n")
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _parse_cue(path: Path, number: int, block: list[str]) -> Segment | None:
    """Return the cue of a block, None for a comment or a style."""
    arrows = [place for place, line in enumerate(block) if "-->" in line]
    if block[0].startswith(_NON_CUE_PREFIXES) and not arrows:
        return None
    at = next((place for place in arrows if place < 2), None)
    times = None if at is None else _CUE_TIMES.fullmatch(block[at])
    if at is None or times is None:
        raise TranscribeError(
            f"{path.name}, line {number + (at or 0)}: {block[at or 0].strip()[:60]!r} is not the "
            "beginning of a cue such as '00:00:01,000 --> 00:00:04,500'."
        )
    start, stop = _parse_timestamp(times.groups()[:4]), _parse_timestamp(times.groups()[4:])
    if stop < start:
        raise TranscribeError(f"{path.name}, line {number + at}: it stops before it starts.")
    if len(arrows) > 1 or block[0].startswith("WEBVTT"):
        raise TranscribeError(
            f"{path.name}, line {number + arrows[-1]}: a blank line is missing before this cue."
        )
    text = " ".join(block[at + 1 :])
    return Segment(start_s=start, stop_s=stop, text=clean_text(html.unescape(_TAG.sub("", text))))


def _parse_timestamp(clock: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (part or "0" for part in clock)
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction}")


def _parse_segment(row: Any, where: str, language: str) -> Segment:  # Any: JSON
    if not isinstance(row, Mapping):
        raise TranscribeError(f"{where}: not a table with start, end and text.")
    start, stop = (
        _parse_time(row, ("start", "start_s"), where),
        _parse_time(row, ("end", "stop_s"), where),
    )
    if stop < start:
        raise TranscribeError(f"{where}: it ends at {stop:g} s, before it starts at {start:g} s.")
    words = _parse_words(row.get("words") or (), where, start, stop)
    text = row.get("text")
    spoken = clean_text(text) if isinstance(text, str) else join_words(words, language)
    return Segment(start_s=start, stop_s=stop, text=spoken, words=words)


def _parse_words(rows: Any, where: str, start: float, stop: float) -> tuple[Word, ...]:  # Any: JSON
    """Parse words; one without times (WhisperX omits those of digits) fills the gap."""
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise TranscribeError(f"{where}: its words are not a list of tables.")
    words: list[Word] = []
    for place, row in enumerate(rows, start=1):
        text = row.get("word", row.get("text"))
        if not isinstance(text, str):
            raise TranscribeError(f"{where}, word {place}: it has no text.")
        here = f"{where}, word {place}"
        before = words[-1].stop_s if words else start
        begin = _parse_time(row, ("start", "start_s"), here) if _has_start(row) else before
        later = next(
            (_parse_time(r, ("start", "start_s"), here) for r in rows[place:] if _has_start(r)),
            stop,
        )
        end = _parse_time(row, ("end", "stop_s"), here) if _has_end(row) else max(begin, later)
        if clean_text(text):
            words.append(Word(text=clean_text(text), start_s=begin, stop_s=max(begin, end)))
    return tuple(words)


def _has_start(row: Mapping[str, Any]) -> bool:
    return row.get("start", row.get("start_s")) is not None


def _has_end(row: Mapping[str, Any]) -> bool:
    return row.get("end", row.get("stop_s")) is not None


def _parse_time(row: Mapping[str, Any], names: tuple[str, str], where: str) -> float:
    value = row.get(names[0], row.get(names[1]))
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not isfinite(value) or value < 0:
        raise TranscribeError(f"{where}: its {names[0]!r} is {value!r}, not seconds.")
    return float(value)


def _sort_segments(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    return tuple(sorted(segments, key=lambda segment: (segment.start_s, segment.stop_s)))
