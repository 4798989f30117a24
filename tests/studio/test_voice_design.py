"""Voices designed by sliders: draws are measured once, and the nearest to the traits offered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from audio.io import read_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.schemas.settings import Settings
from studio.voices.design import (
    DRAWS,
    DesignVoiceRequest,
    MeasuredVoice,
    read_measured_voices,
    select_nearest_voices,
)
from studio.workers.context import WorkerContext
from studio.workers.design_voice import design_voice_task
from studio.workers.voice_traits import measure_voiced_speech
from support.fake_engine import FakeEngine


def tone(hz: float, overtones: int = 1, rate: int = 24_000) -> Clip:
    at = torch.arange(rate) / rate
    wave = sum(torch.sin(2 * torch.pi * hz * n * at) / n for n in range(1, overtones + 1))
    return Clip(wave=0.3 * torch.as_tensor(wave), sample_rate=rate)


@pytest.mark.parametrize("hz", [80.0, 123.0, 220.0, 370.0])
@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_the_pitch_of_a_tone_is_measured_within_two_percent(hz: float, rate: int) -> None:
    found = measure_voiced_speech(tone(hz, 8, rate))
    assert found is not None and found.pitch_hz == pytest.approx(hz, rel=0.02)


def test_overtones_are_brighter_and_noise_and_silence_are_not_voiced() -> None:
    dark, bright = (measure_voiced_speech(tone(150.0, count)) for count in (2, 20))
    assert dark is not None and bright is not None and bright.centroid_hz > 2 * dark.centroid_hz
    noise = torch.randn(24_000, generator=torch.Generator().manual_seed(0))
    for wave in (noise, torch.zeros(24_000), torch.zeros(10)):
        assert measure_voiced_speech(Clip(wave=wave, sample_rate=24_000)) is None


def test_the_draws_nearest_in_rank_are_chosen() -> None:
    draws = [
        MeasuredVoice(seed=n, pitch=100.0 + n, brightness=2000.0 - n, pace=float(n % 3))
        for n in range(10)
    ]
    low = select_nearest_voices(draws, DesignVoiceRequest(pitch=0.0, brightness=1.0, pace=0.0))
    assert low[0].seed == 0 and len(low) == 3 and all(draw.seed < 5 for draw in low)
    high = select_nearest_voices(draws, DesignVoiceRequest(pitch=1.0, brightness=0.0, pace=0.0))
    assert high[0].seed == 9
    assert select_nearest_voices(draws[:1], DesignVoiceRequest()) == draws[:1]
    same = [MeasuredVoice(seed=n, pitch=100.0 + n, brightness=1.0, pace=9.0) for n in range(9)]
    for pace in (0.0, 1.0):  # a model whose voices have one pace
        middle = select_nearest_voices(same, DesignVoiceRequest(pace=pace), 1)
        assert middle[0].seed == 4
    with pytest.raises(ValueError, match="pitch is 2"):
        DesignVoiceRequest(pitch=2.0)


def test_draws_are_measured_once_for_each_model(layout: ProjectPaths) -> None:
    context = WorkerContext(layout, Settings(voice="alice"))
    low = design_voice_task(context, DesignVoiceRequest(pitch=0.0), ProgressReporter())
    assert len(FakeEngine.heard) == DRAWS + 3 and low.measured > DRAWS // 2
    high = design_voice_task(context, DesignVoiceRequest(pitch=1.0), ProgressReporter())
    assert len(FakeEngine.heard) == DRAWS + 6  # only what is offered was spoken again
    assert low.voices[0].voice.pitch < high.voices[0].voice.pitch
    heard = measure_voiced_speech(read_clip(Path(high.voices[0].path)))
    assert heard is not None
    assert heard.pitch_hz == pytest.approx(high.voices[0].voice.pitch, rel=0.02)
    (file,) = (layout.state / "voice_design").iterdir()
    assert len(json.loads(file.read_text())) == DRAWS
    file.write_text("{")
    assert read_measured_voices(layout, file.stem) == []
    (layout.models / "starter" / "weights").write_bytes(b"other numbers")
    design_voice_task(context, DesignVoiceRequest(), ProgressReporter())
    assert len(FakeEngine.heard) == 2 * DRAWS + 9


def test_a_model_without_random_voices_is_refused(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: FakeEngine, seed: int, report: ProgressReporter) -> None:
        raise ValueError("This model has no random voices.")

    monkeypatch.setattr(FakeEngine, "sample_random_speaker", refuse)
    context = WorkerContext(layout, Settings(voice="alice"))
    with pytest.raises(AppError, match="no random voices"):
        design_voice_task(context, DesignVoiceRequest(), ProgressReporter())
