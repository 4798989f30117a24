"""The pace of speech: exact length, the same pitch, a clear refusal without ffmpeg."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from audio import clip as clip_module
from audio import ffmpeg
from audio.clip import change_pace
from audio.io import read_clip
from core.errors import InvalidValueError
from support.audio_helpers import VOICES

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def estimate_pitch(wave: torch.Tensor, rate: int) -> float:
    spectrum = torch.fft.rfft(wave * torch.hann_window(len(wave)))
    return float(spectrum.abs().argmax()) * rate / len(wave)


@needs_ffmpeg
@pytest.mark.parametrize("speed", [0.5, 0.75, 1.5, 2.0])
def test_the_length_is_exact_and_the_pitch_stays(speed: float) -> None:
    rate = 24_000
    wave = torch.sin(2 * torch.pi * 220.0 * torch.arange(rate * 2) / rate)
    changed = change_pace(wave, rate, speed)
    assert len(changed) == round(len(wave) / speed)
    assert estimate_pitch(changed, rate) == pytest.approx(220.0, abs=2.0)


@needs_ffmpeg
def test_speech_keeps_its_loudness() -> None:
    clip = read_clip(VOICES / "iris" / "3.flac")
    changed = change_pace(clip.wave, clip.sample_rate, 1.25)
    assert changed.square().mean() == pytest.approx(float(clip.wave.square().mean()), rel=0.25)


def test_speed_1_changes_nothing() -> None:
    wave = torch.linspace(-1, 1, 99)
    assert change_pace(wave, 24_000, 1.0) is wave


def test_without_ffmpeg_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_module, "find_ffmpeg", lambda: None)
    with pytest.raises(InvalidValueError, match=r"speed is 1.5.*Install ffmpeg, or set speed to 1"):
        change_pace(torch.zeros(100), 24_000, 1.5)


def test_a_slow_program_gets_all_of_its_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nsleep 0.4\ncat\n")  # longer than the interval of polling
    program.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "find_ffmpeg", lambda: str(program))
    samples = bytes(300_000)  # more than a pipe holds
    assert ffmpeg.change_tempo(samples, 24_000, 1.5) == samples
