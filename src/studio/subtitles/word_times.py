"""When each word of a clip is spoken: read from its lines, its metadata, or a file beside it.

00003-hello.wav.words.json      the words of a clip of one line, found by an aligner
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import AppError, translate_write_errors
from core.files import write_text
from core.paths import ProjectPaths
from core.serialization import from_dict, to_dict
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import get_words_path
from studio.synthesis.line_takes import LineTakesFile, read_line_takes
from studio.synthesis.output_paths import OutputPath
from text.normalization.words import split_words
from text.script import ScriptError, parse_script

MAX_FILE_BYTES = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenWord:
    """A word as written, and when it begins and ends in the clip, in seconds."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LineWords:
    """A line of a clip: from 0, its text without the prompt, its seconds in the clip, its words.

    words: () where it is not known yet when they are spoken.
    """

    line: int
    text: str
    start: float
    end: float
    words: tuple[SpokenWord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocateWordsRequest:
    """Find when the words of a clip are spoken, and keep it beside the clip.

    clip: its path below the results; line: the first one, from 0. Lines whose words are known are
    skipped. A job ends after about half a minute of sound, so that other jobs need not wait for it.
    """

    clip: str
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocateWordsResult:
    """located: lines whose words were found;  next_line: the first one that is left, -1 for none;
    failed: lines whose words could not be found.
    """

    clip: str
    located: int
    next_line: int = -1
    failed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedWords:
    """Content of the file beside a clip of one line.  size: bytes of the clip it belongs to."""

    size: int
    heard: str
    word_times: tuple[float, ...]


def list_clip_words(layout: ProjectPaths, ref: str, record: TakeMetadata | None) -> list[LineWords]:
    """Return the lines of a clip with their words.  ref: the clip below the results.

    record: its metadata, None where it has none. Raises AppError for a clip that does not say what
    is spoken.
    """
    clip = layout.results / ref
    lines = read_line_takes(OutputPath(clip_path=clip))
    if lines is not None and lines.finished:
        return list_line_words(lines)
    if record is None or not record.text.strip() or not record.duration_s:
        raise AppError("This clip does not say what is spoken, so its words have no times.")
    saved = read_saved_words(clip)
    heard = saved.heard if saved else record.heard or _read_spoken_text(record)
    times = saved.word_times if saved else record.word_times
    words = combine_words(heard, times)
    return [LineWords(line=0, text=heard, start=0.0, end=record.duration_s, words=words)]


def list_line_words(lines: LineTakesFile) -> list[LineWords]:
    """Return the words of all lines of a clip."""
    return [
        LineWords(
            line=index,
            text=(heard := lines.take_in_use(index).heard),
            start=round(start, 3),
            end=round(end, 3),
            words=combine_words(heard, times),
        )
        for index, ((start, end), times) in enumerate(
            zip(lines.list_spans(), lines.list_word_times(), strict=True)
        )
    ]


def _read_spoken_text(record: TakeMetadata) -> str:
    """Return the text of a clip of an earlier version, without its prompt."""
    try:
        rows = parse_script(record.text, str(record.delivery.get("delimiter") or ""))
    except ScriptError:
        return record.text
    return " ".join(row.spoken_text for row in rows)


def combine_words(text: str, times: Sequence[float]) -> tuple[SpokenWord, ...]:
    """Return the words of a text with their times; () where the numbers of both differ."""
    words = split_words(text)
    if len(times) != 2 * len(words):
        return ()
    spans = zip(words, times[::2], times[1::2], strict=True)
    return tuple(SpokenWord(text=word, start=start, end=end) for word, start, end in spans)


def read_saved_words(clip: Path) -> SavedWords | None:
    """Return the words in the file beside a clip; None for none, or those of an earlier clip."""
    path = get_words_path(clip)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return None
        saved = from_dict(SavedWords, json.loads(path.read_text(encoding="utf-8")))
        return saved if saved.size == clip.stat().st_size else None
    except (OSError, ValueError, TypeError, RecursionError, AppError):
        return None


def write_saved_words(clip: Path, heard: str, times: tuple[float, ...]) -> None:
    """Keep the words of a clip of one line beside it."""
    path = get_words_path(clip)
    saved = SavedWords(size=clip.stat().st_size, heard=heard, word_times=times)
    with translate_write_errors(path):
        write_text(path, json.dumps(to_dict(saved), ensure_ascii=False))
