"""Voices designed by sliders: draws are measured once, and the nearest to the traits offered."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from audio.clip import Clip
from audio.io import read_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.schemas.settings import Settings
from studio.schemas.voices import SaveRandomVoiceRequest
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.voices.design import (
    DRAWS,
    DesignVoiceRequest,
    MeasuredVoice,
    get_speed,
    read_measured_voices,
    select_nearest_voices,
)
from studio.workers.context import WorkerContext
from studio.workers.design_voice import design_voice_task
from studio.workers.save_voice import save_random_voice_task
from studio.workers.voice_traits import (
    VoicedSpeech,
    estimate_age,
    estimate_woman,
    measure_voiced_speech,
)
from support.fake_engine import FakeEngine

READERS = Path(__file__).parents[1] / "assets" / "reader_traits.csv"


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
        MeasuredVoice(
            seed=n, pitch=100.0 + n, brightness=2000.0 - n, pace=float(n % 3), woman=0.0, age=0.0
        )
        for n in range(10)
    ]
    low = select_nearest_voices(draws, DesignVoiceRequest(pitch=0.0, brightness=1.0, pace=0.0))
    assert low[0].seed == 0 and len(low) == 3 and all(draw.seed < 5 for draw in low)
    high = select_nearest_voices(draws, DesignVoiceRequest(pitch=1.0, brightness=0.0, pace=0.0))
    assert high[0].seed == 9
    assert select_nearest_voices(draws[:1], DesignVoiceRequest()) == draws[:1]
    same = [
        MeasuredVoice(seed=n, pitch=100.0 + n, brightness=1.0, pace=9.0, woman=0.0, age=0.0)
        for n in range(9)
    ]
    for pace in (0.0, 1.0):  # a model whose voices have one pace
        middle = select_nearest_voices(same, DesignVoiceRequest(pace=pace), 1)
        assert middle[0].seed == 4
    with pytest.raises(ValueError, match="pitch is 2"):
        DesignVoiceRequest(pitch=2.0)


def test_women_and_old_voices_are_chosen_by_their_sliders() -> None:
    draws = [
        MeasuredVoice(
            seed=n, pitch=100.0, brightness=1.0, pace=9.0, woman=float(n % 8), age=float(n // 8)
        )
        for n in range(64)
    ]
    for woman, age, seed in ((1.0, 0.0, 7), (0.0, 1.0, 56), (1.0, 1.0, 63)):
        (found,) = select_nearest_voices(draws, DesignVoiceRequest(woman=woman, age=age), 1)
        assert found.seed == seed


def test_the_sex_of_readers_that_were_not_fitted_is_told() -> None:
    """The features of real readers of LibriSpeech, as this module measured them."""
    with READERS.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    told = [
        estimate_woman(
            VoicedSpeech(
                pitch_hz=float(row["pitch_hz"]),
                centroid_hz=1000.0,
                resonance_hz=float(row["resonance_hz"]),
            )
        )
        for row in rows
    ]
    right = sum((woman > 0) == (row["sex"] == "F") for woman, row in zip(told, rows, strict=True))
    assert len(rows) == 78 and right / len(rows) >= 0.9


@pytest.mark.parametrize("resonance", [480.0, 545.0, 640.0])
def test_the_resonance_of_a_tube_is_measured_within_four_percent(resonance: float) -> None:
    rate = 16_000
    wave = np.zeros(rate)
    wave[:: rate // 110] = 1.0  # pulses, as of vocal folds
    for number in range(1, 5):
        hertz = resonance * (2 * number - 1)
        radius = np.exp(-np.pi * 80 / rate)
        wave = lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * hertz / rate), radius**2], wave)
    clip = Clip(wave=torch.from_numpy(0.3 * wave / np.abs(wave).max()).float(), sample_rate=rate)
    found = measure_voiced_speech(clip)
    assert found is not None and found.resonance_hz == pytest.approx(resonance, rel=0.04)


def test_a_voice_sounds_older_when_lower_or_less_steady_and_younger_when_higher() -> None:
    usual = VoicedSpeech(pitch_hz=190.0, centroid_hz=1000.0, resonance_hz=585.0, unsteadiness=0.02)
    age = estimate_age(usual)
    assert estimate_age(usual._replace(unsteadiness=0.06)) > age
    assert estimate_age(usual._replace(pitch_hz=300.0, resonance_hz=680.0)) < age
    assert estimate_woman(usual) > estimate_woman(usual._replace(pitch_hz=110.0))
    assert estimate_woman(usual) > estimate_woman(usual._replace(resonance_hz=510.0))


def test_the_pace_is_a_speed_that_is_heard_and_kept_with_the_voice(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = ("support.fake_engine:PacedOptions", "support.fake_engine:PacedEngine")
    monkeypatch.setattr("engines.registry.ENGINES", {"tortoise": entry})
    context = WorkerContext(layout, Settings(voice="alice"))
    slow = design_voice_task(context, DesignVoiceRequest(pace=0.0), ProgressReporter())
    fast = design_voice_task(context, DesignVoiceRequest(pace=1.0), ProgressReporter())
    assert (slow.speed, fast.speed) == (0.71, 1.41) == (get_speed(0.0), get_speed(1.0))
    lengths = [read_clip(Path(made.voices[0].path)).duration_s for made in (slow, fast)]
    assert lengths[0] / lengths[1] == pytest.approx(1.41 / 0.71, rel=0.01)
    assert [one.voice for one in slow.voices] == [one.voice for one in fast.voices]
    request = SaveRandomVoiceRequest(name="mia", seed=fast.voices[0].voice.seed, speed=fast.speed)
    save_random_voice_task(context, request, ProgressReporter())
    wish = SpeechRequestInput(text="One.", voice="mia")
    assert build_request(Settings(), wish, layout).options["speed"] == 1.41
    stated = SpeechRequestInput(text="One.", voice="mia", options={"speed": 0.9})
    assert build_request(Settings(), stated, layout).options["speed"] == 0.9


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
