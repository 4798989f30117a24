"""Subtitles of a clip from the times of its lines: SubRip (srt) and WebVTT (vtt)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.errors import AppError
from core.paths import ProjectPaths
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.line_takes import LineTakesFile, read_line_takes
from studio.synthesis.output_paths import OutputPath

FORMATS = ("srt", "vtt")
MAX_ROW_CHARS, MAX_ROWS = 42, 2  # of a cue, as broadcasters have them


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """start, end: seconds in the clip;  text: of one or two rows."""

    start: float
    end: float
    text: str


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


def format_subtitles(cues: Sequence[Cue], format: str) -> str:
    """Return the file.  format: srt or vtt."""
    if format not in FORMATS:
        raise AppError(f"{format!r} is not a format of subtitles; give srt or vtt.")
    comma = "," if format == "srt" else "."
    blocks = [
        f"{number}\n{_format_time(cue.start, comma)} --> {_format_time(cue.end, comma)}\n"
        f"{cue.text.replace('-->', '→')}\n"
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


def _format_time(seconds: float, comma: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return (
        f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}"
        f"{comma}{milliseconds % 1000:03d}"
    )
