"""A user's pronunciations are shown, spoken and kept with the clip; wrong ones are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from audio.io import read_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechResult
from studio.settings.pronunciations import read_pronunciations, write_pronunciations
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.output_paths import get_clip_name
from studio.synthesis.preview import PreviewRequest, preview
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    build_request,
    build_request_from_metadata,
)
from studio.synthesis.retake import RegenerateLineRequest
from studio.workers.context import WorkerContext
from studio.workers.retake import regenerate_line_task
from support.fake_engine import FakeEngine, FakeMeasure

LIST = "quinoa = keen wah\ngif = {JH IH1 F}\n"


@pytest.fixture
def workshop(layout: ProjectPaths) -> WorkerContext:
    write_pronunciations(layout, LIST)
    return WorkerContext(layout, Settings())


@pytest.fixture
def phonemic(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine that hums reads phonemes."""
    for cls in (FakeEngine, FakeMeasure):
        monkeypatch.setattr(cls, "reads_phonemes", True, raising=False)


def speak(workshop: WorkerContext, text: str, **fields: Any) -> SpeechResult:
    wish = SpeechRequestInput(
        text=text, voice="alice", options={"seed": 7}, delivery={"delimiter": "\\n"}, **fields
    )
    request = build_request(Settings(), wish, workshop.layout)
    return workshop.synthesizer.speak(request, ProgressReporter())


@pytest.mark.usefixtures("phonemic")
def test_the_list_is_spoken_but_the_text_stays_as_typed(workshop: WorkerContext) -> None:
    spoken = speak(workshop, "A gif of Quinoa.")
    assert FakeEngine.heard == ["A {JH IH1 F} of keen wah."]
    assert spoken.heard == "A gif of Quinoa."
    record = read_metadata(Path(spoken.path))
    assert record.text == "A gif of Quinoa."
    assert record.pronunciations == {"gif": "{JH IH1 F}", "quinoa": "keen wah"}


def test_a_model_of_letters_gets_respellings_only(workshop: WorkerContext) -> None:
    speak(workshop, "A gif of quinoa.")
    assert FakeEngine.heard == ["A gif of keen wah."]


def test_phonemes_in_a_text_need_a_model_that_reads_them(workshop: WorkerContext) -> None:
    with pytest.raises(AppError, match="Line 2 has phonemes in braces, but this model reads let"):
        speak(workshop, "One.\nSay {HH AH0 L OW1}.")
    assert not list(workshop.layout.results.rglob("*.wav"))


@pytest.mark.usefixtures("phonemic")
def test_phonemes_in_a_text_are_spoken_whole_and_shown(workshop: WorkerContext) -> None:
    spoken = speak(workshop, "Say {HH AH0 L OW1} now.")
    assert FakeEngine.heard == ["Say {HH_AH0_L_OW1} now."]
    assert spoken.heard == "Say {HH AH0 L OW1} now."
    with pytest.raises(AppError, match="XX in"):
        speak(workshop, "Say {HH XX}.")


def test_a_clip_is_reproduced_with_the_list_of_its_day_and_a_line_anew_with_todays(
    workshop: WorkerContext, tmp_path: Path
) -> None:
    spoken = speak(workshop, "Quinoa.\nTwo.")
    write_pronunciations(workshop.layout, "quinoa = kwin oh ah\n")
    record = read_metadata(Path(spoken.path))
    FakeEngine.heard.clear()
    request = build_request_from_metadata(
        Settings(), record, SpeechRequestInput(out=str(tmp_path / "again.wav"))
    )
    again = workshop.synthesizer.speak(request, ProgressReporter())
    assert FakeEngine.heard == ["keen wah.", "Two."]
    assert torch.equal(read_clip(Path(spoken.path)).wave, read_clip(Path(again.path)).wave)
    FakeEngine.heard.clear()
    clip = get_clip_name(workshop.layout, Path(spoken.path))
    redone = regenerate_line_task(
        workshop, RegenerateLineRequest(clip=clip, line=0), ProgressReporter()
    )
    assert FakeEngine.heard == ["kwin oh ah."]
    assert read_metadata(Path(redone.path)).pronunciations == {"quinoa": "kwin oh ah"}


@pytest.mark.usefixtures("phonemic")
def test_the_preview_shows_what_is_spoken(workshop: WorkerContext) -> None:
    shown = preview(PreviewRequest(text="A gif of quinoa.", voice="alice"), workshop.layout)
    (piece,) = shown.pieces
    assert piece.text == "A gif of quinoa." and piece.said == "A {JH IH1 F} of keen wah."
    assert shown.speakable


def test_the_preview_names_phonemes_that_cannot_be_read(workshop: WorkerContext) -> None:
    shown = preview(PreviewRequest(text="Say {HH AH0}.", voice="alice"), workshop.layout)
    assert not shown.speakable
    told = " ".join([*shown.problems, *(piece.problem for piece in shown.pieces)])
    assert "phonemes in braces" in told


def test_a_damaged_list_is_refused_and_a_wrong_one_not_saved(layout: ProjectPaths) -> None:
    assert read_pronunciations(layout) == {}
    write_pronunciations(layout, LIST)
    with pytest.raises(AppError, match="Line 1"):
        write_pronunciations(layout, "nonsense\n")
    assert set(read_pronunciations(layout)) == {"quinoa", "gif"}
    layout.pronunciations.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AppError, match="Cannot read"):
        read_pronunciations(layout)


def test_the_command_line_changes_the_list(
    testudo: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    assert testudo("pronounce")[1].strip() == "No pronunciation is listed."
    assert testudo("pronounce", "Quinoa", "keen wah")[1].strip() == "quinoa = keen wah"
    (tmp_path / "list.txt").write_text(LIST)
    assert testudo("pronounce", "--import", str(tmp_path / "list.txt"))[1].count("=") == 2
    assert testudo("pronounce", "gif")[1].strip() == "gif = {JH IH1 F}"
    assert testudo("pronounce", "gif", "--remove")[1].strip() == "quinoa = keen wah"
    assert testudo("pronounce", "gif", "--remove")[0] == 2
    assert testudo("pronounce", "gif", "{QQ IH1}")[0] == 2
