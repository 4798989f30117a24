"""The lines of a clip are split, joined, added, removed and moved; only new text is spoken."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audio.io import read_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechResult
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.line_edits import EditedLine, EditLinesRequest, LineEdit, plan_line_edit
from studio.synthesis.line_takes import LineTakesFile, read_line_takes
from studio.synthesis.output_paths import OutputPath, get_clip_name
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    build_request,
    build_request_from_metadata,
)
from studio.workers.context import WorkerContext
from studio.workers.retake import edit_lines_task
from support.fake_engine import FakeEngine


@pytest.fixture
def workshop(layout: ProjectPaths) -> WorkerContext:
    return WorkerContext(layout, Settings())


@pytest.fixture
def clip(workshop: WorkerContext) -> SpeechResult:
    wish = SpeechRequestInput(
        text="One line.\nTwo lines.\nThree.",
        voice="alice",
        options={"seed": 7},
        delivery={"delimiter": "\\n", "format": "wav"},
    )
    request = build_request(Settings(), wish, workshop.layout)
    return workshop.synthesizer.speak(request, ProgressReporter())


def lines_of(clip: SpeechResult) -> LineTakesFile:
    found = read_line_takes(OutputPath(clip_path=Path(clip.path)))
    assert found is not None
    return found


def texts(clip: SpeechResult) -> list[str]:
    return [take.text for take in lines_of(clip).chosen_takes()]


def edit(workshop: WorkerContext, clip: SpeechResult, wanted: LineEdit) -> int:
    """Edit a clip; returns how many texts the engine spoke."""
    before = len(FakeEngine.heard)
    rows = plan_line_edit(lines_of(clip), wanted)
    request = EditLinesRequest(clip=get_clip_name(workshop.layout, Path(clip.path)), lines=rows)
    edit_lines_task(workshop, request, ProgressReporter())
    return len(FakeEngine.heard) - before


@pytest.mark.parametrize(
    ("wanted", "after", "spoken"),
    [
        (LineEdit(kind="move", line=2, target=0), ["Three.", "One line.", "Two lines."], 0),
        (LineEdit(kind="remove", line=1), ["One line.", "Three."], 0),
        (LineEdit(kind="join", line=1), ["One line.", "Two lines. Three."], 1),
        (
            LineEdit(kind="split", line=1, text="Two lines.", caret=4),
            ["One line.", "Two", "lines.", "Three."],
            2,
        ),
        (LineEdit(kind="add", line=2), ["One line.", "Two lines.", "Three.", "New line."], 1),
    ],
)
def test_only_what_is_new_is_spoken(
    wanted: LineEdit, after: list[str], spoken: int, workshop: WorkerContext, clip: SpeechResult
) -> None:
    assert edit(workshop, clip, wanted) == spoken
    assert texts(clip) == after
    files = [take.file for line in lines_of(clip).lines for take in line.takes]
    assert len(files) == len(set(files))
    pauses = lines_of(clip).list_pauses()
    assert pauses[-1] == 0.0 and all(pause > 0 for pause in pauses[:-1])


def test_an_edited_clip_is_reproduced_from_its_own_settings(
    workshop: WorkerContext, clip: SpeechResult, tmp_path: Path
) -> None:
    edit(workshop, clip, LineEdit(kind="move", line=0, target=2))
    edit(workshop, clip, LineEdit(kind="add", line=0))
    record = read_metadata(Path(clip.path))
    again = build_request_from_metadata(Settings(), record, SpeechRequestInput())
    twin = workshop.synthesizer.speak(again, ProgressReporter())
    assert torch.equal(read_clip(Path(twin.path)).wave, read_clip(Path(clip.path)).wave)


def test_takes_of_removed_lines_stay_on_disk(workshop: WorkerContext, clip: SpeechResult) -> None:
    folder = OutputPath(clip_path=Path(clip.path)).lines_folder
    kept = {path.name: path.read_bytes() for path in folder.glob("*.wav")}
    edit(workshop, clip, LineEdit(kind="remove", line=0))
    edit(workshop, clip, LineEdit(kind="add", line=0))
    assert {name: (folder / name).read_bytes() for name in kept} == kept


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (LineEdit(kind="split", line=0, text="One line.", caret=0), "Place the cursor"),
        (LineEdit(kind="join", line=2), "no line 4"),
        (LineEdit(kind="move", line=0, target=9), "no line 10"),
        (LineEdit(kind="remove", line=7), "no line 8"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused(
    wanted: LineEdit, told: str, clip: SpeechResult
) -> None:
    with pytest.raises(AppError, match=told):
        plan_line_edit(lines_of(clip), wanted)


def test_the_last_line_cannot_be_removed() -> None:
    with pytest.raises(AppError, match="delete the clip"):
        EditLinesRequest(clip="a.wav", lines=())
    with pytest.raises(AppError, match="empty"):
        EditedLine(source=0, text=" ")
