"""testudo history: the same history from a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from core.paths import ProjectPaths

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def spoken(layout: ProjectPaths, testudo: Run) -> ProjectPaths:
    """A studio in which two clips were spoken."""
    for voice, text in (("alice", "Good evening."), ("bob", "A bright cold day.")):
        assert testudo("speak", text, "--voice", voice)[0] == 0
    return layout


def test_spoken_clips_are_listed_and_searched(spoken: ProjectPaths, testudo: Run) -> None:
    code, out, _ = testudo("history", "list", "--order", "name")
    assert code == 0 and out.splitlines()[-1] == "2 clips"
    assert "alice/00001-good-evening.wav" in out and "Good evening." in out
    code, out, _ = testudo("history", "search", "cold", "--voice", "bob", "--json")
    found = json.loads(out)
    assert found["total"] == 1 and found["clips"][0]["text"] == "A bright cold day."


def test_a_clip_is_starred_renamed_deleted_and_brought_back(
    spoken: ProjectPaths, testudo: Run
) -> None:
    ref = "alice/00001-good-evening.wav"
    assert testudo("history", "star", ref)[0] == 0
    assert json.loads(testudo("history", "rename", ref, "Hello", "--json")[1]) == {
        "clip": "alice/Hello.wav"
    }
    assert testudo("history", "list", "--starred")[1].startswith("* alice/Hello.wav")
    _, out, _ = testudo("history", "delete", "alice/Hello.wav")
    assert out.startswith("1 clip is in the trash.") and "history undelete" in out
    assert "alice/Hello.wav" in testudo("history", "bin")[1]
    assert testudo("history", "undo")[1] == "Restored: alice/Hello.wav.\n"
    assert testudo("history", "unstar", "alice/Hello.wav")[0] == 0
    assert "0 clips" in testudo("history", "list", "--starred")[1]
    assert (spoken.results / "alice/Hello.wav").is_file()


def test_a_clip_tells_its_settings(spoken: ProjectPaths, testudo: Run) -> None:
    _, out, _ = testudo("history", "show", "alice/00001-good-evening.wav", "--json")
    told = json.loads(out)
    assert told["settings"]["text"] == "Good evening." and told["clip"]["voice"] == "alice"
    assert "alice/00001-good-evening.wav" in testudo("history", "show", told["clip"]["ref"])[1]


def test_clips_are_exported(spoken: ProjectPaths, testudo: Run) -> None:
    _, out, _ = testudo("history", "export", "alice/00001-good-evening.wav", "--json")
    path = Path(json.loads(out)["path"])
    assert path.is_file() and path.parent == spoken.exports
    own = spoken.root / "own" / "clips.zip"
    export = ("history", "export", "alice/00001-good-evening.wav", "--out", str(own))
    assert testudo(*export)[1] == f"{own}\n" and own.is_file()
    code, _, err = testudo(*export)
    assert code == 2 and "already exists" in err
    pasted = spoken.root / "pasted.zip"
    assert testudo(*export[:-1], f'"{pasted}"')[0] == 0 and pasted.is_file()


def test_the_bin_is_emptied_only_when_that_is_meant(spoken: ProjectPaths, testudo: Run) -> None:
    testudo("history", "delete", "bob/00001-a-bright-cold-day.wav")
    code, _, err = testudo("history", "empty-bin")
    assert code == 2 and "add --yes" in err
    assert testudo("history", "empty-bin", "--yes")[1].startswith("The trash is empty")
    assert testudo("history", "bin")[1] == "The trash is empty.\n"


def test_the_trash_has_the_same_commands_for_clips_datasets_and_runs(
    spoken: ProjectPaths, testudo: Run
) -> None:
    ref = "alice/00001-good-evening.wav"
    assert testudo("history", "trash")[1] == "The trash is empty.\n"
    id = testudo("history", "delete", ref)[1].split()[-1]
    assert ref in testudo("history", "trash")[1]
    assert testudo("history", "undelete", id)[1] == f"Restored: {ref}.\n"
    assert testudo("history", "empty-trash", "--yes")[0] == 0
    assert testudo("datasets", "trash")[1] == "The trash is empty.\n"
    for group in ("history", "datasets"):
        shown = testudo(group, "--help")[1]
        assert "undelete" in shown and "bring-back" not in shown and "undo" not in shown


def test_the_index_is_made_anew(spoken: ProjectPaths, testudo: Run) -> None:
    assert "files were read" in testudo("history", "rebuild")[1]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("list", "--order", "best"), "order is 'best'"),
        (("list", "--since", "tomorrow"), "is not a date"),
        (("list", "--count", "0"), "--count is 0"),
        (("list", "--page", "0"), "--page is 0"),
        (("list", "--page", "9" * 23), "it must be from 1 to 1,000,000"),
        (("delete", "alice/none.wav"), "There is no clip"),
        (("delete", "../x.wav"), "There is no clip"),
        (("undo",), "trash is empty"),
        (("lsit",), "No such command 'lsit'. Did you mean 'list'"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: tuple[str, ...], reason: str, layout: ProjectPaths, testudo: Run
) -> None:
    code, _, err = testudo("history", *arguments)
    assert code == 2 and reason in err
