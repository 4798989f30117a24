"""A clip dropped on Generate fills the form; any other recording is offered as a voice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch

from audio.clip import Clip
from audio.io import write_clip
from core.errors import AppError
from jobs.models import Job
from studio.app.studio import Studio
from studio.voices.catalog import find_voice
from studio.voices.consent import ConsentNote, write_consent
from webui.generate.tab import GenerateTab


@pytest.fixture
def tab(studio: Studio) -> GenerateTab:
    with gr.Blocks():
        return GenerateTab(studio)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "private" / "gradio" / "Voice Memo 7.wav"
    path.parent.mkdir(parents=True)
    wave = 0.3 * torch.sin(2 * torch.pi * 180 * torch.arange(24_000 * 4) / 24_000)
    write_clip(path, Clip(wave=wave, sample_rate=24_000))
    return path


def load(tab: GenerateTab, path: Path) -> dict[Any, Any]:
    return dict(tab.drop.load_clip(str(path), tab.form, tab.message))


def test_a_recording_is_offered_as_a_voice_without_a_path(
    tab: GenerateTab, recording: Path
) -> None:
    shown = load(tab, recording)
    assert shown[tab.drop.offer]["visible"] is True and shown[tab.drop.file] is None
    assert shown[tab.drop.name] == "voice-memo-7"
    assert "Voice Memo 7.wav was not generated here" in shown[tab.message]
    assert "private" not in shown[tab.message]
    assert 'class="error' not in shown[tab.message]


def test_the_offer_makes_a_voice_and_awaits_it(
    tab: GenerateTab, studio: Studio, recording: Path
) -> None:
    path = load(tab, recording)[tab.drop.dropped]
    shown = tab.drop.use_as_voice(path, " Ida ", tab.message, {"basis": "own", "speaker": "Ida"})
    job = studio.wait(studio.jobs()[0].id, 30)
    assert job.state == "done", job.failure
    voice = find_voice(studio.layout, "Ida")
    assert len(voice.clips) == 1
    assert voice.consent is not None and voice.consent.speaker == "Ida"
    assert shown[tab.drop.awaited] == "Ida" and shown[tab.drop.offer]["visible"] is False


@pytest.mark.parametrize(("name", "reason"), [("Anna", "already a voice"), ("", "not a valid")])
def test_a_name_that_cannot_be_is_refused(
    name: str, reason: str, tab: GenerateTab, recording: Path
) -> None:
    with pytest.raises(AppError, match=reason):
        tab.drop.use_as_voice(str(recording), name, tab.message, {})
    with pytest.raises(AppError, match="Drop a recording first"):
        tab.drop.use_as_voice("", "Ida", tab.message, {})


@pytest.mark.parametrize("name", ["talk.mp4", "memo.m4a", "broken.wav", "cut.flac"])
def test_no_file_shows_a_path_of_the_server(name: str, tab: GenerateTab, recording: Path) -> None:
    path = recording.with_name(name)
    path.write_bytes(b"RIFF\x00\x00\x00\x00WAVEfmt ")
    shown = load(tab, path)
    assert shown[tab.drop.offer]["visible"] is True
    assert "private" not in shown[tab.message] and name in shown[tab.message]


def test_a_text_file_is_no_voice(tab: GenerateTab, recording: Path) -> None:
    path = recording.with_name("notes.txt")
    path.write_text("Hello.")
    shown = load(tab, path)
    assert shown[tab.drop.offer]["visible"] is False
    assert "It can be used as a voice" not in shown[tab.message]


def test_a_generated_clip_fills_the_form(tab: GenerateTab, spoken: Callable[..., Job]) -> None:
    job = spoken("Good evening.")
    assert job.result is not None
    shown = load(tab, Path(str(job.result["path"])))
    assert shown[tab.form.controls["text"]] == "Good evening."
    assert shown[tab.drop.offer]["visible"] is False


def test_the_form_shows_why_the_chosen_voice_may_be_cloned(
    tab: GenerateTab, studio: Studio
) -> None:
    html = tab.drop.consent
    assert "Anna has no consent note" in tab.drop.show_consent("Anna")[html]
    write_consent(find_voice(studio.layout, "Anna").folder, ConsentNote(basis="own"))
    assert "Anna: my own voice" in tab.drop.show_consent("Anna")[html]
    both = tab.drop.show_consent("Anna:1+vera:2")[html]
    assert "my own voice" in both and "vera has no consent note" in both
    for voice in ("random", "random#7", "", None, "nob", "+", "<b>"):
        assert tab.drop.show_consent(voice)[html] == "", voice


def test_subtitles_fill_the_text_and_split_it_at_lines(tab: GenerateTab, tmp_path: Path) -> None:
    path = tmp_path / "film.vtt"
    path.write_text("WEBVTT\n\n00:01.000 --> 00:02.500\n<v anna>Hello.</v>\n", encoding="utf-8")
    shown = load(tab, path)
    controls = tab.form.controls
    assert shown[controls["text"]] == '[pause:1.000s]\n[duration:1.5s] {"voice": "Anna"} Hello.'
    assert shown[controls["delimiter"]] == "\\n" and shown[tab.drop.file] is None
    path.write_text("WEBVTT\n", encoding="utf-8")
    assert "film.vtt has no cue" in load(tab, path)[tab.message]
