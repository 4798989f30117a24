"""Projects: named, listed, found again, exported as one file and imported elsewhere."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.history.service import History
from studio.projects.archive import LIST_FILE, MANIFEST, export_project, import_project
from studio.projects.store import find_project, list_projects, read_project_name, rename_project
from studio.schemas.settings import Settings
from studio.synthesis.line_takes import read_line_takes
from studio.synthesis.output_paths import OutputPath
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.synthesis.retake import RegenerateLineRequest
from studio.workers.context import WorkerContext, synthesize_speech_task
from studio.workers.retake import regenerate_line_task

TEXT = "First line.\nSecond line.\nThird one."


@pytest.fixture
def context(layout: ProjectPaths) -> WorkerContext:
    return WorkerContext(layout, Settings())


@pytest.fixture
def ref(context: WorkerContext) -> str:
    """A clip of three lines."""
    return speak(context, TEXT)


def speak(context: WorkerContext, text: str) -> str:
    asked = SpeechRequestInput(text=text, voice="alice", delivery={"delimiter": "\\n"})
    request = build_request(context.settings, asked, context.layout)
    clip = Path(synthesize_speech_task(context, request, ProgressReporter()).path)
    return clip.relative_to(context.layout.results).as_posix()


def history_of(layout: ProjectPaths) -> History:
    history = History.open(layout)
    history.scan(ProgressReporter())
    return history


def test_every_clip_of_lines_is_a_project_and_keeps_its_name(
    context: WorkerContext, ref: str
) -> None:
    speak(context, "Only one line.")
    history = history_of(context.layout)
    (project,) = list_projects(history)
    assert (project.ref, project.lines, project.name) == (ref, 3, " ".join(TEXT.split()))
    assert rename_project(context.layout, ref, "  My\n book ") == "My book"
    regenerate_line_task(context, RegenerateLineRequest(clip=ref, line=1), ProgressReporter())
    moved = history.rename(ref, "other")
    assert find_project(history_of(context.layout), "my BOOK").ref == moved
    deletion = history.delete([moved])
    assert list_projects(history) == []
    history.restore(deletion.id)
    assert read_project_name(context.layout, moved) == "My book"


def test_two_projects_of_one_name_are_told_apart_by_their_clips(
    context: WorkerContext, ref: str
) -> None:
    other = speak(context, "Another.\nText.")
    for one in (ref, other):
        rename_project(context.layout, one, "Same")
    history = history_of(context.layout)
    with pytest.raises(AppError, match="2 projects are named"):
        find_project(history, "Same")
    assert find_project(history, other).ref == other
    with pytest.raises(AppError, match="no project"):
        find_project(history, "none")


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\x07b"])
def test_a_name_that_is_none_is_refused(context: WorkerContext, ref: str, name: str) -> None:
    with pytest.raises(AppError, match="1 to 100 characters"):
        rename_project(context.layout, ref, name)


def test_a_project_travels_in_one_file(context: WorkerContext, ref: str, tmp_path: Path) -> None:
    layout = context.layout
    regenerate_line_task(
        context, RegenerateLineRequest(clip=ref, line=1, text="A new line."), ProgressReporter()
    )
    rename_project(layout, ref, "My book")
    path = export_project(layout, find_project(history_of(layout), ref), tmp_path)
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
        assert str(layout.root) not in file.read("lines/lines.json").decode()
        assert "A new line." in file.read(LIST_FILE).decode()
    assert "consent/alice.yaml" in names
    elsewhere = ProjectPaths.from_root(tmp_path / "elsewhere")
    found = import_project(elsewhere, path)
    assert (elsewhere.results / found).read_bytes() == (layout.results / ref).read_bytes()
    project = find_project(history_of(elsewhere), "My book")
    assert (project.ref, project.lines) == (found, 3)
    lines = read_line_takes(OutputPath(clip_path=elsewhere.results / found))
    assert lines is not None and lines.chosen_takes()[1].text == "A new line."
    assert len(lines.lines[1].takes) == 2
    twice = import_project(elsewhere, path)  # a second one lies beside it
    assert twice != found and len(list_projects(history_of(elsewhere))) == 2
    assert not list(elsewhere.results.glob(".import-*"))


def break_archive(path: Path, **changes: bytes) -> Path:
    """Write the same zip file with other contents; "" removes an entry."""
    broken = path.with_name("broken.zip")
    with zipfile.ZipFile(path) as file, zipfile.ZipFile(broken, "w") as target:
        for item in file.infolist():
            content = changes.pop(item.filename, file.read(item))
            if content:
                target.writestr(item.filename, content)
        for name, content in changes.items():
            target.writestr(name, content)
    return broken


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({MANIFEST: b""}, "not a project"),
        ({MANIFEST: b"{"}, "not a project"),
        ({MANIFEST: b'{"format": 9, "name": "x", "clip": "x.wav"}'}, "format 9"),
        ({MANIFEST: b'{"format": 1, "name": "x", "clip": "../x.wav"}'}, "not a project"),
        ({"lines/lines.json": b"{}"}, "not a project"),
        ({"lines/001.wav": b""}, "lacks the take"),
        ({"../evil.wav": b"x"}, "no part of a project"),
        ({"lines/../../evil.wav": b"x"}, "no part of a project"),
        ({"lines/evil.sh": b"x"}, "no part of a project"),
    ],
)
def test_anything_but_a_project_is_refused_and_nothing_added(
    context: WorkerContext, ref: str, tmp_path: Path, changes: dict[str, bytes], reason: str
) -> None:
    path = export_project(
        context.layout, find_project(history_of(context.layout), ref), tmp_path / "out"
    )
    elsewhere = ProjectPaths.from_root(tmp_path / "elsewhere")
    with pytest.raises(AppError, match=reason):
        import_project(elsewhere, break_archive(path, **changes))
    assert not list(elsewhere.results.rglob("*.*"))
    assert not (tmp_path / "evil.wav").exists()


def test_a_file_that_is_no_zip_is_refused(layout: ProjectPaths, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_text(json.dumps({}))
    with pytest.raises(AppError, match="not a zip file"):
        import_project(layout, path)
