"""A voice says whose it is and why it may be cloned."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from studio.voices.catalog import find_voice
from studio.voices.consent import (
    BASES,
    CONSENT_FILE,
    ConsentNote,
    copy_consent,
    make_consent,
    read_consent,
    write_consent,
)

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("basis", BASES)
def test_a_note_reads_back_with_the_day(tmp_path: Path, basis: str) -> None:
    write_consent(tmp_path, ConsentNote(basis=basis, speaker="Zoë", note="a: b"))
    note = read_consent(tmp_path)
    assert note == ConsentNote(basis=basis, speaker="Zoë", note="a: b", stated_on=note.stated_on)
    assert abs((date.fromisoformat(note.stated_on) - date.today()).days) <= 1
    assert BASES[basis] in note.summary and "Zoë" in note.summary


@pytest.mark.parametrize(
    "values",
    [{"basis": "mine"}, {"basis": ""}, {}, {"basis": "own", "speaker": "x" * 501},
     {"basis": "own", "note": "a\u202eb"}, {"basis": "own", "by": "x"}],
)  # fmt: skip
def test_a_note_that_says_nothing_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(AppError):
        make_consent(values)


@pytest.mark.parametrize("content", ["", "basis: mine", "[1]", "{" * 999, "\0", "basis: {}"])
def test_a_damaged_note_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / CONSENT_FILE).write_text(content)
    assert read_consent(tmp_path) is None and not copy_consent(tmp_path, tmp_path)


def test_the_command_line_asks_for_a_note_and_shows_it(testudo: Run, layout: ProjectPaths) -> None:
    clip = str(layout.voices / "bob" / "one.wav")
    told = testudo("voices", "import", "carol", clip)[1]
    assert "no consent note" in told and "testudo voices consent carol {own," in told
    assert testudo("voices", "consent", "carol", "mine")[0] == 2
    assert testudo("voices", "consent", "carol", "licensed", "--speaker", "Carol")[0] == 0
    assert "with the speaker's consent, Carol" in testudo("voices", "consent", "carol")[1]
    assert "Carol" in testudo("voices")[1]
    assert find_voice(layout, "carol").consent == read_consent(layout.voices / "carol")
    told = testudo("voices", "import", "carol", str(layout.voices / "bob" / "two.wav"))[1]
    assert "no consent note" not in told, "it is asked for once"


def test_the_note_goes_with_an_exported_model(tmp_path: Path) -> None:
    voice, model = tmp_path / "voice", tmp_path / "model"
    voice.mkdir()
    model.mkdir()
    write_consent(voice, ConsentNote(basis="own"))
    assert copy_consent(voice, model) and read_consent(model) == read_consent(voice)
