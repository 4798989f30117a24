"""The files of a gold-standard project: project.json and one CSV for each step. Light."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

from core.errors import InvalidValueError
from core.files import sha256_file, write_json, write_text
from core.serialization import from_dict, to_dict
from engines.model_files import read_json

STEPS = ("clean", "diarize", "check", "align", "split")
PROJECT_FILE = "project.json"
TRANSCRIPT_FILE, HEARD_FILE, DIARY_FILE = "1-transcript.txt", "2-heard.csv", "2-diary.csv"
CHECK_FILE, WORDS_FILE, UTTERANCES_FILE = "3-check.csv", "4-words.csv", "5-utterances.csv"
OVERLAPS_FILE, REPORT_FILE, WAVEFORM_FILE = "2-overlaps.csv", "report.html", "waveform.json"
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "clean": (TRANSCRIPT_FILE,),
    "diarize": (HEARD_FILE, DIARY_FILE, OVERLAPS_FILE),
    "check": (CHECK_FILE,),
    "align": (WORDS_FILE,),
    "split": (UTTERANCES_FILE,),
}

Method = Literal["agglomerative", "spectral", "pyannote"]
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiarizationOptions:
    """speakers: their number, None to find it; window_s, step_s: of the embeddings;
    same_speaker_cosine: two clusters whose means are more alike are one speaker."""

    speakers: int | None = None
    method: Method = "agglomerative"
    window_s: float = 1.6
    step_s: float = 0.4
    min_window_s: float = 0.5
    same_speaker_cosine: float = 0.82  # of the published encoder

    def __post_init__(self) -> None:
        if self.speakers is not None and not 1 <= self.speakers <= 100:
            raise InvalidValueError(f"speakers is {self.speakers}; it must be from 1 to 100.")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldProject:
    """What project.json holds. made_from: step -> a hash of the files that it was made from."""

    recording: str
    transcript: str
    speaker: str = ""
    options: DiarizationOptions = field(default_factory=DiarizationOptions)
    made_from: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapRow:
    """A line of 2-overlaps.csv: seconds in which two people speak."""

    start: float
    stop: float


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
class UtteranceFields:
    """An utterance of one speaker, in seconds of the recording. score: mean of its words."""

    id: str
    turn: int
    speaker: str
    start: float
    stop: float
    text: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceRow(UtteranceFields):
    """A line of 5-utterances.csv. problems: "" for an utterance that is used."""

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


def hash_inputs(folder: Path, project: GoldProject, step: str) -> str:
    """Return a hash of the files that a step reads, and the options that it uses.

    A step whose inputs are the same is not run again, so that what a person edited stays.
    """
    earlier = [name for one in STEPS[: STEPS.index(step)] for name in OUTPUTS[one]]
    source = Path(project.transcript if step == "clean" else project.recording)
    hashes = [_hash_file(path) for path in (source, *(folder / name for name in earlier))]
    used = {"diarize": str(project.options), "split": project.speaker}.get(step, "")
    return f"{'-'.join(hashes)} {used}"


def list_step_states(folder: Path, project: GoldProject) -> dict[str, str]:
    """Return for each step: done, outdated where what it read has changed since, or missing."""
    states = {}
    for step in STEPS:
        if not all((folder / name).is_file() for name in OUTPUTS[step]):
            states[step] = "missing"
        else:
            is_same = project.made_from.get(step) == hash_inputs(folder, project, step)
            states[step] = "done" if is_same else "outdated"
    return states


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


def _hash_file(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return ""
    return _hash_version(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _hash_version(path: Path, changed: int, size: int) -> str:
    """Return the hash of a version of a file; the page asks for it with every poll."""
    return sha256_file(path)[:12]
