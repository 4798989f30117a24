"""Gold-standard projects of a studio: list, create, show their steps, edit the transcript.

Editing a file makes the steps after it outdated; running them again takes the edit over.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import AppError, InvalidValueError, reraise_as_app_error, translate_write_errors
from core.paths import ProjectPaths, slugify
from core.tables.text_files import read_text
from studio.datasets.gold_request import (
    GOLD_DIR,
    SOURCE_DIR,
    GoldRequest,
    find_gold_project,
    get_gold_folder,
)
from training.gold.diary import Turn, read_diary
from training.gold.project_files import (
    CHECK_FILE,
    DIARY_FILE,
    OUTPUTS,
    OVERLAPS_FILE,
    PROJECT_FILE,
    REPORT_FILE,
    TRANSCRIPT_FILE,
    UTTERANCES_FILE,
    WAVEFORM_FILE,
    CheckRow,
    GoldProject,
    OverlapRow,
    UtteranceRow,
    list_step_states,
    read_project,
    read_rows,
)
from training.gold.transcripts import read_turns, write_transcript

TRANSCRIPT_SUFFIXES = (".txt", ".html", ".htm", ".vtt", ".srt", ".docx", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldStep:
    """A step of a project. state: done, outdated or missing;  note: what its file says."""

    name: str
    state: str
    files: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldView:
    """A project as a page shows it.

    turns: of the diary;  peaks: of the waveform, 0 to 1, in equal parts of `duration_s`;  audio:
    a copy of the recording to listen to;  report: the HTML page;  flagged: turns of the transcript
    that were not found as written.
    """

    name: str
    folder: Path
    speaker: str = ""
    steps: tuple[GoldStep, ...] = ()
    turns: tuple[Turn, ...] = ()
    overlaps: tuple[tuple[float, float], ...] = ()
    flagged: tuple[CheckRow, ...] = ()
    peaks: tuple[float, ...] = ()
    duration_s: float = 0.0
    audio: Path | None = None
    report: Path | None = None

    @property
    def speakers(self) -> tuple[str, ...]:
        """The names in the diary, in the order of their first turns."""
        return tuple(dict.fromkeys(turn.speaker for turn in self.turns))


def list_gold_projects(layout: ProjectPaths) -> list[str]:
    """List the projects by name."""
    found = (layout.training / GOLD_DIR).glob(f"*/{PROJECT_FILE}")
    return sorted(path.parent.name for path in found)


def view_gold_project(layout: ProjectPaths, name: str) -> GoldView:
    """Read a project. Raises AppError where it is missing or one of its files is damaged."""
    folder = find_gold_project(layout, name)
    with reraise_as_app_error(InvalidValueError, ValueError):
        project = read_project(folder)
        checks = _read(folder, CHECK_FILE, CheckRow)
        turns = tuple(read_diary(folder / DIARY_FILE)) if (folder / DIARY_FILE).is_file() else ()
        overlaps = _read(folder, OVERLAPS_FILE, OverlapRow)
        peaks, duration_s = _read_waveform(folder)
        report, audio = folder / REPORT_FILE, folder / "audio" / "recording.ogg"
        return GoldView(
            name=name,
            folder=folder,
            speaker=project.speaker,
            steps=_describe_steps(folder, project, turns, checks),
            turns=turns,
            overlaps=tuple((row.start, row.stop) for row in overlaps),
            flagged=tuple(row for row in checks if row.status != "agrees" or row.written),
            peaks=peaks,
            duration_s=duration_s or max((turn.stop for turn in turns), default=0.0),
            audio=audio if audio.is_file() else None,
            report=report if report.is_file() else None,
        )


def create_gold_request(
    layout: ProjectPaths, request: GoldRequest, recording: Path, transcript: Path
) -> GoldRequest:
    """Copy an uploaded recording and transcript into a new project; returns the request to run.

    Raises AppError for a name in use and for a transcript of another format.
    """
    if transcript.suffix.lower() not in TRANSCRIPT_SUFFIXES:
        raise AppError(
            f"{transcript.name} is not a transcript. Allowed are {', '.join(TRANSCRIPT_SUFFIXES)}."
        )
    folder = get_gold_folder(layout, request.name or slugify(recording.stem))
    if folder.exists():
        raise AppError(f"The project {folder.name} exists. Choose another name.")
    source = folder / SOURCE_DIR
    with translate_write_errors(folder):
        source.mkdir(parents=True)
        copies = [source / f"recording{recording.suffix.lower()}"]
        copies.append(source / f"transcript{transcript.suffix.lower()}")
        for original, copy in zip((recording, transcript), copies, strict=True):
            shutil.copyfile(original, copy)
    return replace(request, name=folder.name, recording=str(copies[0]), transcript=str(copies[1]))


def read_transcript_text(layout: ProjectPaths, name: str) -> str:
    """Return the cleaned transcript; "" before its step has run."""
    path = find_gold_project(layout, name) / TRANSCRIPT_FILE
    return read_text(path) if path.is_file() else ""


def save_transcript_text(layout: ProjectPaths, name: str, text: str) -> None:
    """Write an edited transcript. Raises AppError naming a line without a speaker."""
    folder = find_gold_project(layout, name)
    path, part = folder / TRANSCRIPT_FILE, folder / f".{TRANSCRIPT_FILE}.part"
    with translate_write_errors(folder), reraise_as_app_error(InvalidValueError):
        part.write_text(text, encoding="utf-8")
        try:
            turns = read_turns(part)
        finally:
            part.unlink()
        if not turns:
            raise AppError("The transcript is empty. Write each turn as 'Ann| words'.")
        write_transcript(path, turns)


def _read(folder: Path, file: str, kind: type) -> list:  # type: ignore[type-arg]
    path = folder / file
    return read_rows(path, kind) if path.is_file() else []


def _read_waveform(folder: Path) -> tuple[tuple[float, ...], float]:
    path = folder / WAVEFORM_FILE
    if not path.is_file():
        return (), 0.0
    content = json.loads(path.read_text("utf-8"))
    return tuple(map(float, content["peaks"])), float(content["duration_s"])


def _describe_steps(
    folder: Path, project: GoldProject, turns: Sequence[Turn], checks: Sequence[CheckRow]
) -> tuple[GoldStep, ...]:
    states = list_step_states(folder, project)
    utterances = _read(folder, UTTERANCES_FILE, UtteranceRow)
    used = [one for one in utterances if not one.problems]
    minutes = sum(one.stop - one.start for one in used) / 60
    speakers = len({turn.speaker for turn in turns})
    flagged = sum(row.status != "agrees" or bool(row.written) for row in checks)
    notes = {
        "diarize": f"{len(turns)} turns of {speakers} speakers" if turns else "",
        "check": f"{flagged} of {len(checks)} turns to check" if checks else "",
        "split": f"{len(used)} of {len(utterances)} utterances kept, {minutes:.1f} min"
        if utterances
        else "",
    }
    steps = [
        GoldStep(name=step, state=state, files=OUTPUTS[step], note=notes.get(step, ""))
        for step, state in states.items()
    ]
    return (*steps, _describe_report(folder))


def _describe_report(folder: Path) -> GoldStep:
    report, source = folder / REPORT_FILE, folder / UTTERANCES_FILE
    state = "missing"
    if report.is_file():
        is_newer = source.is_file() and source.stat().st_mtime > report.stat().st_mtime
        state = "outdated" if is_newer else "done"
    return GoldStep(name="report", state=state, files=(REPORT_FILE,))
