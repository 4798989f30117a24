"""Transcripts as JSON of Whisper and WhisperX.

Times are seconds of the recording. Malformed files are refused with the place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from core.tables.text_files import read_text
from training.asr.base import (
    Segment,
    TranscribeError,
    Transcript,
    Word,
    clean_text,
    join_words,
    sort_segments,
)


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
    return Transcript(segments=sort_segments(found), language=language)


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
