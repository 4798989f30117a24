"""A voice says whose it is and why it may be cloned."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.history.service import History
from studio.voices.catalog import find_voice
from studio.voices.consent import (
    BASES,
    CONSENT_FILE,
    ConsentNote,
    copy_consent,
    make_consent,
    parse_consent,
    read_consent,
    to_text,
    write_consent,
)
from studio.voices.consent_reminders import REMINDERS_FILE, take_consent_reminders
from studio.voices.uploads import stage_recording_upload

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
     {"basis": "own", "note": "a\u202eb"}, {"basis": "own", "by": "x"},
     {"basis": "own", "stated_on": "yesterday"}, {"basis": "own", "stated_on": "2026-02-30"}],
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


def test_a_voice_without_a_note_is_warned_about_once(testudo: Run, layout: ProjectPaths) -> None:
    (layout.voices / "bob" / CONSENT_FILE).unlink()
    write_consent(layout.voices / "alice", ConsentNote(basis="own"))
    speak = ("speak", "Hi there.", "--voice")
    told = testudo(*speak, "alice:1+bob:1")[2]
    assert "The voice bob has no consent note" in told and "alice has no" not in told
    for voice in ("bob", "alice:1+bob:2", "random"):
        assert "consent note" not in testudo(*speak, voice)[2], voice


@pytest.mark.parametrize("content", [b"{", b"[" * 99_999, b"[7, null]", b"7", b"\xff", None])
def test_a_damaged_list_of_reminders_is_made_anew(
    content: bytes | None, layout: ProjectPaths
) -> None:
    (layout.voices / "bob" / CONSENT_FILE).unlink()
    file = layout.state / REMINDERS_FILE
    layout.state.mkdir()
    file.mkdir() if content is None else file.write_bytes(content)
    assert len(take_consent_reminders(layout, ["bob", "Bob"])) == 1
    assert len(take_consent_reminders(layout, ["bob"])) == (content is None), "a folder is in place"


def test_the_note_is_carried_by_a_clip_with_the_voice_in_it_and_by_an_export(
    testudo: Run, layout: ProjectPaths
) -> None:
    write_consent(layout.voices / "bob", ConsentNote(basis="licensed", speaker="Bob ü"))
    said = ("speak", "Hi there.", "--voice")
    assert testudo(*said, "bob", "--embed-latents")[0] == 0
    clip = next(layout.results.glob("bob/*.wav"))
    assert testudo("voices", "import", "copy", str(clip))[0] == 0
    assert read_consent(layout.voices / "copy") == read_consent(layout.voices / "bob")
    testudo(*said, "alice:1+bob:1")
    history = History.open(layout)
    history.scan(ProgressReporter())
    refs = [path.relative_to(layout.results).as_posix() for path in layout.results.rglob("*.wav")]
    with zipfile.ZipFile(history.export(refs, ProgressReporter())) as archive:
        assert {name for name in archive.namelist() if name.startswith("consent/")} == {
            "consent/alice.yaml", "consent/bob.yaml"
        }  # fmt: skip
        note = archive.read("consent/bob.yaml")
    assert note == (layout.voices / "bob" / CONSENT_FILE).read_bytes()


def test_a_note_of_unknown_origin_is_a_note_or_none() -> None:
    note = ConsentNote(basis="own", note='ü: "x"')
    assert parse_consent(to_text(note)) == note
    for text in ("", "{", "[1]", '{"basis": "mine"}', '{"basis": "own", "note": 7}', "[" * 99_999):
        assert parse_consent(text) is None


def test_a_made_up_voice_is_no_persons(testudo: Run, layout: ProjectPaths) -> None:
    assert testudo("voices", "keep-random", "nobody", "--seed", "7")[0] == 0
    note = read_consent(layout.voices / "nobody")
    assert note is not None and (note.basis, note.speaker) == ("synthetic", "random#7")


def test_a_note_that_cannot_be_is_refused_before_the_recording_is_stored(
    layout: ProjectPaths,
) -> None:
    with pytest.raises(AppError, match="basis"):
        stage_recording_upload(
            layout, "new", layout.voices / "bob" / "one.wav", consent={"basis": "mine"}
        )
    assert not (layout.state / "uploads").exists()
