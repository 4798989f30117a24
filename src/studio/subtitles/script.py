"""The script of subtitles: each cue is a line that lasts as long as the cue, at its time."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import AppError, reraise_as_app_error
from text.overrides import MAX_DURATION_S
from text.pauses import MAX_PAUSE_S
from training.asr.base import Segment
from training.asr.transcripts.subtitles import read_subtitles

SUBTITLE_SUFFIXES = (".srt", ".vtt")
LINE_DELIMITER = "\\n"  # of the script, as the option `delimiter` is written
SHORTEST_S = 0.1  # of a cue
_NAME_END = ":::"  # between a name and the text of its cue


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtitleScript:
    """The script, with one row per line and pause. notes: what was left out or changed."""

    text: str
    notes: tuple[str, ...] = ()


def read_subtitle_script(path: Path, voices: Collection[str]) -> SubtitleScript:
    """Read an .srt or .vtt file as a script; the clip starts at the time 0 of the subtitles.

    voices: those that the names of WebVTT, <v Ann>, may choose; a cue of another name is spoken by
    the voice of the request. Raises AppError for a file without cues.
    """
    if path.suffix.lower() not in SUBTITLE_SUFFIXES:
        raise AppError(f"{path.name} is not a subtitle file. Give one that ends in .srt or .vtt.")
    with reraise_as_app_error(OSError, ValueError):
        subtitles = read_subtitles(path, f"{{}} {_NAME_END} ")
    cues = subtitles.transcript.segments
    if not cues:
        raise AppError(f"{path.name} has no cue with text.")
    notes = list(subtitles.notes)
    rows = list(_iter_rows(cues, {voice.casefold(): voice for voice in voices}, notes))
    return SubtitleScript(text="\n".join(rows), notes=tuple(dict.fromkeys(notes)))


def _iter_rows(cues: Sequence[Segment], voices: dict[str, str], notes: list[str]) -> Iterator[str]:
    place = 0.0  # seconds of the clip so far
    for index, cue in enumerate(cues):
        start = max(cue.start_s, place)
        following = cues[index + 1].start_s if index + 1 < len(cues) else cue.stop_s
        stop = cue.stop_s if following <= start else min(cue.stop_s, following)
        seconds = round(min(stop - start, MAX_DURATION_S), 3)
        if seconds < SHORTEST_S:
            notes.append(f"The cue at {cue.start_s:g} s has no time of its own; it is left out.")
            continue
        yield from _iter_pauses(start - place)
        yield f"[duration:{seconds:g}s] {_choose_voice(cue.text, voices, notes)}"
        place = start + seconds


def _iter_pauses(seconds: float) -> Iterator[str]:
    """Yield tags of exactly this silence."""
    while seconds > MAX_PAUSE_S:
        yield f"[pause:{MAX_PAUSE_S:g}s]"
        seconds -= MAX_PAUSE_S
    yield f"[pause:{seconds:.3f}s]"


def _choose_voice(text: str, voices: dict[str, str], notes: list[str]) -> str:
    """Return the text behind the options of its line, which name the voice of its speaker."""
    name, is_named, rest = text.partition(_NAME_END)
    if not is_named:
        return text
    voice = voices.get(name.strip().casefold())
    if voice is None:
        notes.append(f"There is no voice {name.strip()!r}; its cues have the voice of the clip.")
        return rest.strip()
    return f"{json.dumps({'voice': voice}, ensure_ascii=False)} {rest.strip()}"
