"""Projects: clips of several lines. Each is kept by itself, with a name beside its lines.

00003-hello.wav                 the joined clip
00003-hello.lines/              its lines, see studio.synthesis.line_takes
    project.json                its name; without it the first words of its text
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

from core.errors import AppError, translate_write_errors
from core.files import write_json
from core.paths import ProjectPaths, quote_for_message
from studio.history.query import ClipSummary, Search
from studio.history.service import History
from studio.synthesis.line_takes import read_line_takes
from studio.synthesis.output_paths import OutputPath

PROJECT_FILE = "project.json"
FORMAT_VERSION = 1
MAX_NAME_CHARS = 100
DEFAULT_NAME_CHARS = 60
MAX_LISTED = 50
MAX_FILE_BYTES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A clip of several lines.

    ref: its path below the results;  changed: seconds since 1970;  is_named: it was given a name.
    """

    ref: str
    name: str
    voice: str
    lines: int
    seconds: float | None
    changed: float
    is_named: bool = False


def list_projects(history: History, words: str = "", count: int = MAX_LISTED) -> list[Project]:
    """Return the projects that were changed last.  words: of their texts, all must be there."""
    found = history.find(Search(words=words, with_lines=True), 0, count)
    return [_make_project(history.layout, row) for row in found.rows]


def find_project(history: History, wanted: str) -> Project:
    """Return a project by its ref or its name; raise AppError where there is none, or several."""
    projects = list_projects(history, count=history.find(Search(with_lines=True), 0, 1).total)
    found = [one for one in projects if one.ref == wanted]
    found = found or [one for one in projects if one.name.casefold() == wanted.strip().casefold()]
    if len(found) == 1:
        return found[0]
    if found:
        refs = ", ".join(one.ref for one in found)
        raise AppError(f"{len(found)} projects are named {quote_for_message(wanted)}: {refs}.")
    raise AppError(
        f"There is no project {quote_for_message(wanted)}. A project is a clip of several lines.",
        code="missing_file",
    )


def read_project_name(layout: ProjectPaths, ref: str) -> str:
    """Return the name that a project was given; "" for none."""
    path = _get_project_file(layout, ref)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return ""
        content = json.loads(path.read_text(encoding="utf-8"))
        return check_project_name(content["name"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError, AppError):
        return ""


def rename_project(layout: ProjectPaths, ref: str, name: str) -> str:
    """Give a project a name and return it; several projects may have the same."""
    clip = OutputPath(clip_path=layout.results / ref)
    if read_line_takes(clip) is None:
        raise AppError(f"{quote_for_message(ref)} has no lines, so it is no project.")
    name = check_project_name(name)
    path = _get_project_file(layout, ref)
    with translate_write_errors(path):
        write_json(path, {"format": FORMAT_VERSION, "name": name})
    return name


def check_project_name(name: str) -> str:
    """Return a name on one line; raise AppError for an empty or too long one."""
    name = " ".join(name.split())
    if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise AppError(
            f"The name of a project has 1 to {MAX_NAME_CHARS} characters, not {len(name)}."
        )
    return name


def make_default_name(texts: Sequence[str]) -> str:
    """Return the first words of a text as the name of its project."""
    return shorten(" ".join(texts), DEFAULT_NAME_CHARS, placeholder=" …") or "Project"


def _make_project(layout: ProjectPaths, row: ClipSummary) -> Project:
    name = read_project_name(layout, row.ref)
    return Project(
        ref=row.ref,
        name=name or make_default_name([row.text]),
        voice=row.speaker or row.voice,
        lines=row.lines,
        seconds=row.seconds,
        changed=row.created,
        is_named=bool(name),
    )


def _get_project_file(layout: ProjectPaths, ref: str) -> Path:
    return OutputPath(clip_path=layout.results / ref).lines_folder / PROJECT_FILE
