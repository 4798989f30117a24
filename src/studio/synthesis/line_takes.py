"""The takes of a clip's lines: which there are and which of them are in use, in lines.json.

    results/alice/00003-hello.wav            the combined clip
    results/alice/00003-hello.lines/         001.wav 001.candidate-2.wav 002.wav … lines.json

A take is never overwritten by a later one: those that are spoken anew are numbered on. lines.json
is written whole after every take, so that what was spoken is found again after a crash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import AppError, translate_write_errors
from core.paths import quote_for_message
from core.serialization import ValidationError, from_dict, to_dict
from studio.schemas.speech import SpeechRequest
from studio.schemas.take_metadata import LineOverride, TakeMetadata
from studio.synthesis.output_paths import OutputPath

LINES_FILE = "lines.json"
FORMAT_VERSION = 1
MAX_FILE_BYTES = 50_000_000  # bytes; the longest text makes some hundred thousand


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedTake:
    """One take of a line, in a file of the folder.

    key: names what it follows from (text, voice, weights, options);  text: as the engine was given
    it;  heard: without what only steers;  options: every knob, with the take's own seed;
    candidate: its place among those spoken together;  anew: spoken by a redo;  whole: a copy of the
    finished clip, which has its rate and loudness already.
    """

    file: str
    key: str = ""
    text: str
    heard: str
    voice: str
    options: Mapping[str, Any]  # Any: an engine's knobs
    candidate: int = 1
    score: float | None = None
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    anew: bool = False
    whole: bool = False

    @property
    def seed(self) -> int:
        """The number that its random draws follow from."""
        return int(self.options["seed"])


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTakes:
    """One line (a piece spoken in one go): its takes in the order they were made.

    chosen: the file of the one in use, "" while there is none.
    """

    heard: str
    takes: tuple[SavedTake, ...] = ()
    chosen: str = ""

    def take(self, file: str) -> SavedTake:
        """Return the take in a file; raise StudioError where the line has none of that name."""
        for take in self.takes:
            if take.file == file:
                return take
        known = ", ".join(take.file for take in self.takes) or "none yet"
        raise AppError(f"The line has no take {quote_for_message(file)}. There are: {known}.")

    def takes_for_key(self, key: str) -> list[SavedTake]:
        """Return the candidates, best first, that were spoken from exactly this."""
        return sorted(
            (take for take in self.takes if take.key == key), key=lambda take: take.candidate
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTakesFile:
    """What lines.json holds: the request, its lines, and how the combined clip was recorded.

    suffix: of the combined clip, since clips of two formats may share a folder.
    """

    format: int = FORMAT_VERSION
    suffix: str
    request: SpeechRequest
    lines: tuple[LineTakes, ...]
    finished: bool = False
    record: TakeMetadata | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.format != FORMAT_VERSION:
            raise ValidationError(
                f"format is {self.format}; this version of Testudo reads {FORMAT_VERSION}."
            )

    def line(self, index: int) -> LineTakes:
        """Return a line by its number from 0; raise StudioError where there is no such line."""
        if not 0 <= index < len(self.lines):
            raise AppError(
                f"There is no line {index + 1}: the clip has {len(self.lines)}. Choose one of them."
            )
        return self.lines[index]

    def with_takes(self, index: int, takes: Sequence[SavedTake], chosen: str = "") -> LineTakesFile:
        """Return the same with new takes of a line; the first of them, or `chosen`, in use."""
        line = self.line(index)
        used = chosen or takes[0].file
        return self._with_line(index, replace(line, takes=(*line.takes, *takes), chosen=used))

    def with_chosen(self, index: int, file: str) -> LineTakesFile:
        """Return the same with another take of a line in use."""
        line = self.line(index)
        return self._with_line(index, replace(line, chosen=line.take(file).file))

    def chosen_takes(self) -> list[SavedTake]:
        """Return the take in use of every line; raise StudioError where a line has none yet."""
        for number, line in enumerate(self.lines, start=1):
            if not line.chosen:
                raise AppError(
                    f"Line {number} is not generated yet. Wait until the clip is finished."
                )
        return [line.take(line.chosen) for line in self.lines]

    def to_line_overrides(self) -> tuple[LineOverride, ...]:
        """Say which lines are not what the request alone would give."""
        return tuple(
            LineOverride(
                index=index,
                text=take.text,
                voice=take.voice,
                options=take.options,
                candidate=take.candidate,
            )
            for index, take in enumerate(self.chosen_takes())
            if take.anew or take.candidate > 1
        )

    def _with_line(self, index: int, line: LineTakes) -> LineTakesFile:
        return replace(self, lines=(*self.lines[:index], line, *self.lines[index + 1 :]))


def read_line_takes(destination: OutputPath) -> LineTakesFile | None:
    """Read the lines.json of a clip; None where there is none, or none that can be used."""
    path = destination.lines_folder / LINES_FILE
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return None
        found = from_dict(LineTakesFile, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError, AppError):
        return None
    takes = [take for line in found.lines for take in line.takes]
    usable = all(
        _is_plain_file_name(take.file) and type(take.options.get("seed")) is int for take in takes
    )
    return found if usable and found.suffix == destination.clip_path.suffix else None


def write_line_takes(destination: OutputPath, lines: LineTakesFile) -> None:
    """Write lines.json so that a reader sees the old or the new, never a part."""
    path = destination.lines_folder / LINES_FILE
    part = path.with_name(f".{LINES_FILE}.part")
    with translate_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(to_dict(lines), ensure_ascii=False), encoding="utf-8")
        part.replace(path)


def _is_plain_file_name(name: str) -> bool:
    return Path(name).name == name and name not in ("", ".", "..") and "\\" not in name
