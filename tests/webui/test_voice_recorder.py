from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from audio.io import write_clip
from core.errors import AppError
from studio.app.studio import Studio
from studio.voices.catalog import find_voice
from webui.generate.voice_recorder import import_recording, is_unsaved_voice, save_form_voice


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "upload.wav"
    wave = 0.3 * torch.sin(2 * torch.pi * 180 * torch.arange(24_000 * 4) / 24_000)
    write_clip(path, Clip(wave=wave, sample_rate=24_000))
    return path


def finish(studio: Studio) -> None:
    job = studio.wait(studio.jobs()[0].id, 30)
    assert job.state == "done", job.failure


def test_a_recording_is_the_voice_of_the_microphone_once_and_not_at_every_run(
    studio: Studio, recording: Path
) -> None:
    brought = import_recording(studio, str(recording), "")
    finish(studio)
    assert brought == str(recording) and find_voice(studio.layout, "microphone").clips
    assert import_recording(studio, brought, brought) == brought and len(studio.jobs()) == 1
    assert import_recording(studio, None, "") == ""  # what was recorded before still speaks


def test_without_a_recording_the_microphone_cannot_speak(studio: Studio) -> None:
    with pytest.raises(AppError, match="Nothing recorded yet"):
        import_recording(studio, None, "")
    with pytest.raises(AppError, match="Nothing recorded yet"):
        save_form_voice(studio, {"voice": "microphone", "microphone": None}, "Carl")


def test_a_recording_is_kept_under_a_name(studio: Studio, recording: Path) -> None:
    values = {"voice": "microphone", "microphone": str(recording)}
    assert "Carl" in save_form_voice(studio, values, " Carl ")
    finish(studio)
    assert len(find_voice(studio.layout, "Carl").clips) == 1


@pytest.mark.parametrize(("voice", "seed"), [("random", "7"), ("random#7", "")])
def test_a_made_up_voice_is_kept_by_its_seed(studio: Studio, voice: str, seed: str) -> None:
    save_form_voice(studio, {"voice": voice, "seed": seed, "bundle": "starter"}, "Nobody")
    finish(studio)
    assert find_voice(studio.layout, "Nobody").latents_path is not None


@pytest.mark.parametrize(
    ("voice", "seed", "name", "told"),
    [
        ("random", "", "Nobody", "made from the seed"),
        ("Anna", "7", "Nobody", "is saved already"),
        ("random", "7", "vera", "vera"),
        ("random", "7", "../vera", "is not a valid voice name"),
        ("random", "7", "", "is not a valid voice name"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    studio: Studio, voice: str, seed: str, name: str, told: str
) -> None:
    with pytest.raises(AppError, match=told):
        save_form_voice(studio, {"voice": voice, "seed": seed, "bundle": "starter"}, name)
    assert studio.jobs() == []


def test_only_voices_that_have_no_name_are_made_here() -> None:
    made = [name for name in ("random", "random#3", "microphone", "Anna") if is_unsaved_voice(name)]
    assert made == ["random", "random#3", "microphone"]
