"""The files of a gold-standard project: project.json and one CSV for each step. Light."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from core.errors import InvalidValueError
from core.files import write_json, write_text
from core.serialization import from_dict, to_dict
from engines.model_files import read_json
from training.gold.agreement import HeardWord, TurnCheck
from training.gold.cleaning import CleanedPart
from training.gold.diarization import DiarizationOptions
from training.gold.utterances import AlignedPart, Utterance

STEPS = ("clean", "diarize", "check", "align", "split")
PROJECT_FILE = "project.json"
TRANSCRIPT_FILE, HEARD_FILE, DIARY_FILE = "1-transcript.txt", "2-heard.csv", "2-diary.csv"
CHECK_FILE, WORDS_FILE, UTTERANCES_FILE = "3-check.csv", "4-words.csv", "5-utterances.csv"
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "clean": (TRANSCRIPT_FILE,),
    "diarize": (HEARD_FILE, DIARY_FILE),
    "check": (CHECK_FILE,),
    "align": (WORDS_FILE,),
    "split": (UTTERANCES_FILE,),
}

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldProject:
    """What project.json holds. made_from: step -> a hash of the files that it was made from."""

    recording: str
    transcript: str
    speaker: str = ""
    options: DiarizationOptions = field(default_factory=DiarizationOptions)
    made_from: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """A line of 3-check.csv."""

    turn: int
    speaker: str
    start: float | None
    stop: float | None
    diary_speaker: str
    heard: float
    status: str
    written: str
    instead: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WordRow:
    """A line of 4-words.csv. first, last: characters of the turn's text."""

    turn: int
    first: int
    last: int
    source: str
    words: str
    start: float
    stop: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceRow:
    """A line of 5-utterances.csv. problems: "" for an utterance that is used."""

    id: str
    turn: int
    speaker: str
    start: float
    stop: float
    text: str
    score: float
    problems: str


def create_project(folder: Path, project: GoldProject) -> None:
    """Start a project. Raises InvalidValueError where one of another recording is there."""
    path = folder / PROJECT_FILE
    if path.exists():
        before = read_project(folder)
        if (before.recording, before.transcript) != (project.recording, project.transcript):
            raise InvalidValueError(
                f"{folder} is the project of {before.recording} with {before.transcript}. "
                "Choose another name."
            )
        project = replace(project, made_from=before.made_from)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, to_dict(project))


def read_project(folder: Path) -> GoldProject:
    """Read project.json. Raises ValueError where it is missing or damaged."""
    return from_dict(GoldProject, read_json(folder / PROJECT_FILE))


def read_heard(folder: Path) -> list[HeardWord]:
    """Read the recognized words."""
    return read_rows(folder / HEARD_FILE, HeardWord)


def read_utterances(folder: Path) -> list[Utterance]:
    """Read 5-utterances.csv, with those that are left out."""
    return [
        Utterance(
            id=row.id,
            turn=row.turn,
            speaker=row.speaker,
            start=row.start,
            stop=row.stop,
            text=row.text,
            score=row.score,
            problems=tuple(filter(None, row.problems.split("; "))),
        )
        for row in read_rows(folder / UTTERANCES_FILE, UtteranceRow)
    ]


def write_rows(path: Path, rows: Sequence[Any]) -> None:  # Any: dataclasses of one kind
    """Write dataclasses as CSV, a column per field."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = [one.name for one in fields(rows[0])] if rows else []
    writer.writerow(names)
    for row in rows:
        values = (getattr(row, name) for name in names)
        writer.writerow([f"{v:.4f}" if isinstance(v, float) else v for v in values])
    write_text(path, buffer.getvalue())


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Read CSV into dataclasses. Raises InvalidValueError naming a line that does not fit."""
    hints = get_type_hints(kind)
    rows = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, record in enumerate(csv.DictReader(file, restval=""), 2):
            try:
                values = {name: _convert(record[name], hints[name]) for name in hints}
            except (KeyError, ValueError, TypeError) as error:
                raise InvalidValueError(
                    f"{path}, line {number}: {error}. The columns are {', '.join(hints)}."
                ) from error
            rows.append(kind(**values))
    return rows


def _convert(text: str, hint: Any) -> Any:  # Any: the type of a column, and its value
    if hint is str:
        return text
    if hint == float | None:
        return float(text) if text else None
    return hint(text)


def to_check_row(check: TurnCheck) -> CheckRow:
    """Convert to a CheckRow."""
    written = " / ".join(one for one, _ in check.differences)
    instead = " / ".join(other for _, other in check.differences)
    return CheckRow(
        turn=check.index,
        speaker=check.speaker,
        start=check.start,
        stop=check.stop,
        diary_speaker=check.diary_speaker,
        heard=check.heard,
        status=check.status,
        written=written,
        instead=instead,
    )


def from_check_row(row: CheckRow) -> TurnCheck:
    """Convert to a TurnCheck."""
    status: Any = row.status  # Any: a person may have written another word, which means "no"
    return TurnCheck(
        index=row.turn,
        speaker=row.speaker,
        start=row.start,
        stop=row.stop,
        diary_speaker=row.diary_speaker,
        heard=row.heard,
        status=status,
        differences=(),
    )


def to_word_row(part: AlignedPart) -> WordRow:
    """Convert to a WordRow."""
    return WordRow(
        turn=part.turn,
        first=part.part.start,
        last=part.part.end,
        source=part.part.source,
        words=" ".join(part.part.words),
        start=part.start,
        stop=part.stop,
        score=part.score,
    )


def from_word_row(row: WordRow) -> AlignedPart:
    """Convert to an AlignedPart."""
    return AlignedPart(
        turn=row.turn,
        part=CleanedPart(
            start=row.first, end=row.last, source=row.source, words=tuple(row.words.split())
        ),
        start=row.start,
        stop=row.stop,
        score=row.score,
    )


def to_utterance_row(utterance: Utterance) -> UtteranceRow:
    """Convert to an UtteranceRow."""
    return UtteranceRow(
        id=utterance.id,
        turn=utterance.turn,
        speaker=utterance.speaker,
        start=utterance.start,
        stop=utterance.stop,
        text=utterance.text,
        score=utterance.score,
        problems="; ".join(utterance.problems),
    )
