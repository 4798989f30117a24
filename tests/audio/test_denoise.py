"""Cleaning lowers the background and leaves the speech where and as loud as it was."""

from __future__ import annotations

import pytest
import torch

from audio.clip import Clip, ClipError
from audio.denoise import ClipDenoiseOptions, denoise_clip
from audio.loudness import measure_loudness
from audio.noise_estimation import compute_power_spectrum, estimate_snr_db
from support.audio_helpers import (
    VOICES,
    frame_power,
    shipped,
    spoken_frames,
    spoken_power,
    with_noise,
)

NAMES = sorted(path.name for path in VOICES.iterdir() if path.is_dir())


@pytest.mark.parametrize("below_db", [5.0, 10.0, 20.0])
@pytest.mark.parametrize("voice", NAMES)
def test_speech_is_found_above_known_noise(voice: str, below_db: float) -> None:
    noisy = with_noise(shipped(voice), below_db)
    assert estimate_snr_db(compute_power_spectrum(noisy)) == pytest.approx(below_db, abs=2.0)


@pytest.mark.parametrize("voice", NAMES)
def test_the_background_falls_and_the_speech_stays(voice: str) -> None:
    pure, noisy = shipped(voice), with_noise(shipped(voice), 10.0)
    cleaned = denoise_clip(noisy, ClipDenoiseOptions())
    risen = estimate_snr_db(compute_power_spectrum(cleaned)) - estimate_snr_db(
        compute_power_spectrum(noisy)
    )
    assert risen >= 14.0
    assert likeness_db(cleaned, pure) >= likeness_db(noisy, pure) + 4.0
    spoken = spoken_frames(pure)
    level = frame_power(cleaned)[spoken].mean() / spoken_power(pure).mean()
    assert abs(10 * float(level.log10())) < 0.5


def likeness_db(clip: Clip, pure: Clip) -> float:
    """How far the speech of `pure` stands above everything else in the clip (SI-SDR)."""
    share = (clip.wave @ pure.wave) / (pure.wave @ pure.wave)
    rest = clip.wave - share * pure.wave
    return float(10 * ((share * pure.wave).square().sum() / rest.square().sum()).log10())


def test_there_is_no_click_and_nothing_moves() -> None:
    noisy = with_noise(shipped(), 10.0)
    cleaned = denoise_clip(noisy, ClipDenoiseOptions(lower_db=40.0))
    assert cleaned.wave.shape == noisy.wave.shape and cleaned.sample_rate == noisy.sample_rate
    steepest = torch.diff(noisy.wave).abs().max()
    assert torch.diff(cleaned.wave).abs().max() <= steepest
    assert abs(lag(cleaned.wave, shipped().wave)) <= 1


def lag(one: torch.Tensor, other: torch.Tensor) -> int:
    samples = 2 * one.shape[0]
    match = torch.fft.irfft(torch.fft.rfft(one, samples) * torch.fft.rfft(other, samples).conj())
    best = int(match.argmax())
    return best if best < samples // 2 else best - samples


def test_rumble_goes_and_the_lowest_voice_stays() -> None:
    time = torch.arange(48_000) / 24_000
    for hz, kept in ((20, False), (100, True)):
        tone = Clip(wave=0.3 * torch.sin(2 * torch.pi * hz * time), sample_rate=24_000)
        cleaned = denoise_clip(tone, ClipDenoiseOptions(lower_db=0.0))
        left = float(cleaned.wave.square().mean() / tone.wave.square().mean())
        assert (left > 0.9) if kept else (left < 1e-3)


def test_long_recordings_are_cleaned_in_parts_that_join_without_a_seam(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noisy = with_noise(shipped(), 15.0)
    whole = denoise_clip(noisy, ClipDenoiseOptions())
    monkeypatch.setattr("audio.denoise.BLOCK_S", 1.5)
    parts = denoise_clip(noisy, ClipDenoiseOptions())
    assert parts.wave.shape == whole.wave.shape
    assert likeness_db(parts, whole) > 15.0
    assert torch.diff(parts.wave).abs().max() <= torch.diff(noisy.wave).abs().max()


def test_loudness_is_set_only_where_it_is_asked_for() -> None:
    quiet = Clip(wave=shipped().wave * 0.05, sample_rate=shipped().sample_rate)
    assert measure_loudness(denoise_clip(quiet, ClipDenoiseOptions())) == pytest.approx(
        measure_loudness(quiet), abs=0.5
    )
    assert measure_loudness(denoise_clip(quiet, ClipDenoiseOptions(lufs=-23.0))) == pytest.approx(
        -23.0, abs=0.3
    )


def test_nothing_is_done_where_nothing_is_asked_for() -> None:
    untouched = denoise_clip(shipped(), ClipDenoiseOptions(lower_db=0.0, cut_hz=0.0))
    assert torch.equal(untouched.wave, shipped().wave)


def test_what_cannot_be_cleaned_is_refused() -> None:
    with pytest.raises(ClipError, match="is silent; there is nothing to clean"):
        denoise_clip(
            Clip(wave=torch.zeros(9_000), sample_rate=24_000, name="a.wav"), ClipDenoiseOptions()
        )
    with pytest.raises(ValueError, match="lower_db is 99; it must be from 0 to 60"):
        ClipDenoiseOptions(lower_db=99)
    with pytest.raises(ValueError, match="cut_hz is -1; it must be from 0 to 300"):
        ClipDenoiseOptions(cut_hz=-1)
