"""Loudness follows the standard, and a gain never clips."""

from __future__ import annotations

import pytest
import torch

from audio.clip import Clip
from audio.loudness import (
    MAX_PEAK,
    MAX_TRUE_PEAK_DB,
    limit_true_peaks,
    master_loudness,
    measure_loudness,
    measure_true_peak,
    normalize_loudness,
)


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


def speech_like(seed: int = 0, rate: int = 24_000) -> Clip:
    """Noise in syllables of different level, whose peaks are far above its mean."""
    draw = torch.Generator().manual_seed(seed)
    level = torch.rand(40, generator=draw).repeat_interleave(rate // 8) ** 2
    noise = torch.randn(len(level), generator=draw)
    return Clip(wave=0.05 * level * noise, sample_rate=rate)


def test_a_true_peak_lies_between_the_samples() -> None:
    quarter = torch.sin(2 * torch.pi * (torch.arange(4_800) / 4 + 1 / 8))  # samples at 0.707
    assert measure_true_peak(Clip(wave=quarter, sample_rate=48_000)) == pytest.approx(0.0, abs=0.2)
    assert measure_true_peak(Clip(wave=torch.zeros(9), sample_rate=48_000)) == float("-inf")


@pytest.mark.parametrize("lufs", [-16.0, -18.0, -20.0])
@pytest.mark.parametrize("rate", [24_000, 44_100])
def test_a_target_is_met_with_true_peaks_below_the_limit(lufs: float, rate: int) -> None:
    clip = speech_like(rate=rate)
    before = clip.wave.clone()
    mastered = master_loudness(clip, lufs)
    assert measure_loudness(mastered) == pytest.approx(lufs, abs=0.3)
    assert measure_true_peak(mastered) <= MAX_TRUE_PEAK_DB + 0.01
    assert torch.equal(clip.wave, before) and mastered.wave.shape == before.shape
    assert torch.equal(mastered.wave, master_loudness(clip, lufs).wave)


def test_only_what_is_near_a_peak_becomes_quieter() -> None:
    wave = 0.1 * torch.sin(torch.arange(48_000) * 0.05)
    wave[24_000] = 2.0
    limited = limit_true_peaks(Clip(wave=wave, sample_rate=48_000)).wave
    assert torch.allclose(limited[:23_000], wave[:23_000], atol=1e-4)
    assert float(limited.abs().max()) <= 10 ** (MAX_TRUE_PEAK_DB / 20) + 1e-4
    quiet = Clip(wave=0.1 * wave.clamp(-1, 1), sample_rate=48_000)
    assert limit_true_peaks(quiet) is quiet


def test_true_peaks_are_the_same_where_blocks_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = limit_true_peaks(speech_like(), -30.0).wave
    monkeypatch.setattr("audio.loudness._BLOCK", 1_000)
    assert torch.allclose(limit_true_peaks(speech_like(), -30.0).wave, whole, atol=1e-3)


def test_silence_has_no_loudness_to_reach() -> None:
    silence = Clip(wave=torch.zeros(24_000), sample_rate=24_000)
    assert master_loudness(silence, -16.0) is silence
