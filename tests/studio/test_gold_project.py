"""Gold-standard projects in the studio: steps with their states, and corrected turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from studio.datasets.gold_project import (
    create_gold_request,
    list_gold_projects,
    read_transcript_text,
    save_transcript_text,
    view_gold_project,
)
from studio.datasets.gold_request import GoldRequest
from studio.datasets.gold_turns import describe_turn, edit_turns
from support.gold_project import TURNS, write_gold_project
from training.gold.diary import Turn, read_diary
from training.gold.project_files import (
    DIARY_FILE,
    STEPS,
)


@pytest.fixture
def layout(tmp_path: Path) -> ProjectPaths:
    """A studio with the finished project "talk"."""
    layout = ProjectPaths.from_root(tmp_path)
    write_gold_project(layout)
    (tmp_path / "talk.wav").write_bytes(b"sound")
    (tmp_path / "talk.txt").write_text("Ann: Hello.", "utf-8")
    return layout


def read_turns(layout: ProjectPaths) -> list[tuple[str, float, float]]:
    diary = read_diary(layout.training / "gold" / "talk" / DIARY_FILE)
    return [(turn.speaker, turn.start, turn.stop) for turn in diary]


def was(number: int) -> str:
    who, start, stop = TURNS[number]
    return describe_turn(Turn(start=start, stop=stop, speaker=who))


def test_a_project_is_shown_with_its_steps(layout: ProjectPaths) -> None:
    assert list_gold_projects(layout) == ["talk"]
    view = view_gold_project(layout, "talk")
    assert [(step.name, step.state) for step in view.steps] == [
        *((step, "done") for step in STEPS),
        ("report", "missing"),
    ]
    assert view.speakers == ("Ann", "Bob") and view.duration_s == 12.5
    assert [row.instead for row in view.flagged] == ["YELLOW"]
    assert {step.name: step.note for step in view.steps}["check"] == "1 of 1 turns to check"


def test_corrected_turns_make_the_later_steps_outdated(layout: ProjectPaths) -> None:
    edit_turns(layout, "talk", "rename", 0, {"was": "Bob", "speaker": "  Robert "})
    assert [who for who, _, _ in read_turns(layout)] == ["Ann", "Robert", "Robert", "Ann"]
    states = {step.name: step.state for step in view_gold_project(layout, "talk").steps}
    assert states["diarize"] == "done"
    assert {states[step] for step in ("check", "align", "split")} == {"outdated"}


def test_a_speaker_renamed_to_another_is_merged_with_him(layout: ProjectPaths) -> None:
    edit_turns(layout, "talk", "rename", 0, {"was": "Bob", "speaker": "Ann"})
    edit_turns(layout, "talk", "merge-all", 0, {})
    assert read_turns(layout) == [("Ann", 0.5, 12.0)]


@pytest.mark.parametrize(
    ("action", "index", "fields", "expected"),
    [
        (
            "change",
            1,
            {"start": "4.25", "stop": "6", "speaker": "Cy"},
            [TURNS[0], ("Cy", 4.25, 6.0), *TURNS[2:]],
        ),
        ("delete", 0, {}, TURNS[1:]),
        ("merge", 1, {}, [TURNS[0], ("Bob", 4.5, 9.0), TURNS[3]]),
        ("split", 0, {"at": "1.5"}, [("Ann", 0.5, 1.5), ("Ann", 1.5, 4.0), *TURNS[1:]]),
        ("split", 0, {"at": "11"}, [("Ann", 0.5, 2.25), ("Ann", 2.25, 4.0), *TURNS[1:]]),
    ],
)
def test_a_turn_is_corrected(
    layout: ProjectPaths,
    action: str,
    index: int,
    fields: dict[str, str],
    expected: list[tuple[str, float, float]],
) -> None:
    edit_turns(layout, "talk", action, index, {**fields, "was": was(index)})
    assert read_turns(layout) == expected


@pytest.mark.parametrize(
    ("action", "index", "fields", "message"),
    [
        ("change", 0, {"start": "soon", "stop": "2", "speaker": "Ann"}, "not a time in seconds"),
        ("change", 0, {"start": "nan", "stop": "2", "speaker": "Ann"}, "goes from nan"),
        ("change", 0, {"start": "3", "stop": "2", "speaker": "Ann"}, "goes from 3.0 to 2.0"),
        ("change", 0, {"start": "1", "stop": "2", "speaker": " | "}, "name of the speaker"),
        ("merge", 3, {}, "the last turn"),
        ("delete", 0, {"was": "0.000 1.000 Ann"}, "changed in the meantime"),
        ("rename", 0, {"was": "Zoe", "speaker": "Ann"}, "changed in the meantime"),
        ("explode", 0, {}, "Unknown action"),
    ],
)
def test_wrong_corrections_are_refused(
    layout: ProjectPaths, action: str, index: int, fields: dict[str, str], message: str
) -> None:
    with pytest.raises(AppError, match=message):
        edit_turns(layout, "talk", action, index, {"was": was(index), **fields})
    assert read_turns(layout) == TURNS


def test_the_transcript_is_edited(layout: ProjectPaths) -> None:
    assert read_transcript_text(layout, "talk").startswith("Ann| Hello there")
    save_transcript_text(layout, "talk", "Ann| Hello there.\nBob| Hi.")
    assert read_transcript_text(layout, "talk") == "Ann| Hello there.\nBob| Hi.\n"
    with pytest.raises(AppError, match="names no speaker"):
        save_transcript_text(layout, "talk", "Hello there.")
    assert read_transcript_text(layout, "talk") == "Ann| Hello there.\nBob| Hi.\n"


def test_uploads_are_copied_into_a_new_project(layout: ProjectPaths, tmp_path: Path) -> None:
    request = create_gold_request(
        layout, GoldRequest(name="new", speaker="Ann"), tmp_path / "talk.wav", tmp_path / "talk.txt"
    )
    assert Path(request.recording).read_bytes() == b"sound" and request.speaker == "Ann"
    assert Path(request.recording).is_relative_to(layout.training / "gold" / "new")
    with pytest.raises(AppError, match="exists"):
        create_gold_request(
            layout, GoldRequest(name="talk"), tmp_path / "talk.wav", tmp_path / "talk.txt"
        )
    with pytest.raises(AppError, match="not a transcript"):
        create_gold_request(
            layout, GoldRequest(name="x"), tmp_path / "talk.wav", tmp_path / "talk.wav"
        )


def test_a_damaged_file_is_named(layout: ProjectPaths) -> None:
    path = layout.training / "gold" / "talk" / DIARY_FILE
    path.write_text("nonsense\n", "utf-8")
    with pytest.raises(AppError, match="line 1"):
        view_gold_project(layout, "talk")
