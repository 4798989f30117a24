"""Subtitles of a clip from the times of its lines: SubRip (srt) and WebVTT (vtt)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.errors import AppError
from core.paths import ProjectPaths
from studio.schemas.take_metadata import TakeMetadata
from studio.subtitles.word_times import LineWords, SpokenWord
from studio.synthesis.line_takes import LineTakesFile, read_line_takes
from studio.synthesis.output_paths import OutputPath
from text.normalization.words import split_words

FORMATS = ("srt", "vtt")
MAX_ROW_CHARS, MAX_ROWS = 42, 2  # of a cue, as broadcasters have them


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """start, end: seconds in the clip;  text: of one or two rows;  words: of the text, or none."""

    start: float
    end: float
    text: str
    words: tuple[SpokenWord, ...] = ()


def list_cues(layout: ProjectPaths, ref: str, record: TakeMetadata | None) -> list[Cue]:
    """Return the cues of a clip: those of its lines, else one text over its whole length.

    ref: the clip below the results.  Raises AppError for a clip without either.
    """
    lines = read_line_takes(OutputPath(clip_path=layout.results / ref))
    if lines is not None and lines.finished:
        return [cue for cues in _iter_line_cues(lines) for cue in cues]
    if record is None or not record.text.strip() or not record.duration_s:
        raise AppError("This clip does not say what is spoken when, so it has no subtitles.")
    return list(_split_cue(record.text, 0.0, record.duration_s))


def list_word_cues(lines: Sequence[LineWords]) -> list[Cue]:
    """Return the cues of a clip with the times of their words.

    Raises AppError where no line has words with times.
    """
    if not any(line.words for line in lines):
        raise AppError(
            "It is not known yet when the words of this clip are spoken. Play the clip in the "
            "page once, or find the times of its words first."
        )
    return [cue for line in lines for cue in _split_line(line)]


def format_subtitles(cues: Sequence[Cue], format: str) -> str:
    """Return the file; WebVTT has the times of the words where they are known.

    format: srt or vtt.
    """
    if format not in FORMATS:
        raise AppError(f"{format!r} is not a format of subtitles; give srt or vtt.")
    comma = "," if format == "srt" else "."
    blocks = [
        f"{number}\n{_format_time(cue.start, comma)} --> {_format_time(cue.end, comma)}\n"
        f"{_format_text(cue, format).replace('-->', '→')}\n"
        for number, cue in enumerate(cues, start=1)
    ]
    return "\n".join(["WEBVTT\n", *blocks] if format == "vtt" else blocks)


def _iter_line_cues(lines: LineTakesFile) -> Iterator[Iterator[Cue]]:
    for take, (start, end) in zip(lines.chosen_takes(), lines.list_spans(), strict=True):
        yield _split_cue(take.heard, start, end)


def _split_cue(text: str, start: float, end: float) -> Iterator[Cue]:
    """Yield cues of at most two rows; a long text gets time by the number of its characters."""
    rows = textwrap.wrap(" ".join(text.split()), MAX_ROW_CHARS)
    parts = ["\n".join(rows[at : at + MAX_ROWS]) for at in range(0, len(rows), MAX_ROWS)]
    total, done = sum(map(len, parts)), 0
    for part in parts:
        first, done = done, done + len(part)
        yield Cue(
            start=start + (end - start) * first / total,
            end=start + (end - start) * done / total,
            text=part,
        )


def _split_line(line: LineWords) -> Iterator[Cue]:
    return _split_words(line) if line.words else _split_cue(line.text, line.start, line.end)


def _split_words(line: LineWords) -> Iterator[Cue]:
    """Yield cues of at most two rows that change where a word begins."""
    rows: list[list[SpokenWord]] = [[]]
    for word in line.words:
        if rows[-1] and len(_join([*rows[-1], word])) > MAX_ROW_CHARS:
            rows.append([])
        rows[-1].append(word)
    parts = [rows[at : at + MAX_ROWS] for at in range(0, len(rows), MAX_ROWS)]
    starts = [line.start, *(part[0][0].start for part in parts[1:])]
    for part, start, end in zip(parts, starts, [*starts[1:], line.end], strict=True):
        yield Cue(
            start=start,
            end=end,
            text="\n".join(map(_join, part)),
            words=tuple(word for row in part for word in row),
        )


def _join(words: Sequence[SpokenWord]) -> str:
    return " ".join(word.text for word in words)


def _format_text(cue: Cue, format: str) -> str:
    """Return the text of a cue; in WebVTT a time stands before each word but the first."""
    if format != "vtt" or not cue.words:
        return cue.text
    words, last, rows = iter(cue.words), cue.start, []
    for row in cue.text.split("\n"):
        stamped = []
        for text in split_words(row):
            start = next(words).start
            is_later = round(last, 3) < round(start, 3) < round(cue.end, 3)
            stamped.append(f"<{_format_time(start, '.')}>{text}" if is_later else text)
            last = max(last, start)
        rows.append(" ".join(stamped))
    return "\n".join(rows)


def _format_time(seconds: float, comma: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return (
        f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}"
        f"{comma}{milliseconds % 1000:03d}"
    )
