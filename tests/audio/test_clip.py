"""A clip knows its length and changes its rate without harm."""

from __future__ import annotations

import pytest
import torch

from audio.clip import Clip


def tone(hertz: float, sample_rate: int, seconds: float = 0.5) -> Clip:
    turns = torch.arange(int(seconds * sample_rate)) * (hertz / sample_rate)
    return Clip(wave=torch.sin(2 * torch.pi * turns), sample_rate=sample_rate, name="tone")


def rms(clip: Clip) -> float:
    inner = clip.wave[500:-500]  # the filter rings at a hard start and end
    return float(inner.square().mean().sqrt())


def test_resampling_keeps_a_tone_and_removes_its_alias() -> None:
    kept, gone = tone(1_000, 48_000).resample(16_000), tone(9_000, 48_000).resample(16_000)
    assert rms(kept) == pytest.approx(2**-0.5, rel=1e-2) and rms(gone) < 1e-3


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 96_000])
def test_resampling_keeps_length_name_and_type(rate: int) -> None:
    clip = tone(440, 44_100).resample(rate)
    assert clip.duration_s == pytest.approx(0.5, abs=1.5 / rate)
    assert (clip.name, clip.sample_rate, clip.wave.dtype) == ("tone", rate, torch.float32)


def test_a_clip_already_at_the_rate_is_itself() -> None:
    clip = tone(440, 24_000)
    assert clip.resample(24_000) is clip


def test_a_clip_is_mono_and_has_a_rate() -> None:
    with pytest.raises(ValueError, match=r"\(n,\), not \(2, 10\)"):
        Clip(wave=torch.zeros(2, 10), sample_rate=24_000)
    with pytest.raises(ValueError, match="positive, not 0"):
        Clip(wave=torch.zeros(10), sample_rate=0)
