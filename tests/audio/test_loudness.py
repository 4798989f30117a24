"""Loudness follows the standard, and a gain never clips."""

from __future__ import annotations

import pytest
import torch

from audio.clip import Clip
from audio.loudness import MAX_PEAK, measure_loudness, normalize_loudness


def sine(level_db: float, hertz: float = 997.0, seconds: float = 2.0) -> Clip:
    turns = torch.arange(int(seconds * 48_000)) * (hertz / 48_000)
    wave = 10 ** (level_db / 20) * torch.sin(2 * torch.pi * turns)
    return Clip(wave=wave, sample_rate=48_000)


def test_the_reference_tone_measures_as_the_standard_says() -> None:
    assert measure_loudness(sine(0.0)) == pytest.approx(-3.01, abs=0.1)  # ITU-R BS.1770, annex 1
    assert measure_loudness(sine(-20.0)) == pytest.approx(-23.01, abs=0.1)


def test_a_clip_shorter_than_the_standard_measures_is_measured_all_the_same() -> None:
    assert measure_loudness(sine(-20.0, seconds=0.2)) == pytest.approx(-23.0, abs=0.5)


def test_clips_become_equally_loud() -> None:
    for level in (-40.0, -12.0):
        assert measure_loudness(normalize_loudness(sine(level), -23.0)) == pytest.approx(
            -23.0, abs=0.1
        )


def test_a_gain_stops_where_the_peak_would_clip() -> None:
    click = sine(-40.0)
    click.wave[1_000] = 0.9
    raised = normalize_loudness(click, -10.0)
    assert raised.wave.abs().max() == pytest.approx(MAX_PEAK) and click.wave[1_000] == 0.9


@pytest.mark.parametrize("samples", [0, 10, 100_000])
def test_silence_stays_silence(samples: int) -> None:
    silence = Clip(wave=torch.zeros(samples), sample_rate=24_000)
    assert measure_loudness(silence) == float("-inf") and normalize_loudness(silence) is silence
