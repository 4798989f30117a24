"""Recordings of any length and format become working copies, block by block."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio.clip import ClipError
from audio.io import AudioLimits
from audio.long_audio import (
    RECORDING_LIMITS,
    Recording,
    decode_recording,
    estimate_duration_s,
)

RATE = 22_050


def tone(seconds: float, rate: int, hz: float = 440.0, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def copied(path: Path, limits: AudioLimits | None = None) -> Recording:
    return decode_recording(
        path, path.parent / "copy.raw", RATE, lambda seconds: None, limits or RECORDING_LIMITS
    )


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_a_long_recording_is_the_same_in_blocks_as_at_once(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / name, tone(9.7, 48_000), 48_000)
    found = copied(tmp_path / name)
    assert found.duration_s == pytest.approx(9.7, abs=0.06)
    part = found.extract_clip(3.9, 4.1).wave.numpy()  # over the edge of a block
    rms = float(np.sqrt(np.square(part).mean()))
    assert rms == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert np.abs(np.diff(part)).max() < 0.07  # no click


def test_channels_that_cancel_each_other_are_heard_and_silent_ones_left_out(
    tmp_path: Path,
) -> None:
    wave = tone(2.0, RATE)
    for name, other in (("against.wav", -wave), ("silent.wav", np.zeros_like(wave))):
        soundfile.write(tmp_path / name, np.stack([wave, other], axis=1), RATE)
        heard = copied(tmp_path / name).extract_clip(0.5, 1.5).wave
        assert float(heard.abs().max()) == pytest.approx(0.5, abs=0.01)


def test_floats_beyond_full_scale_are_not_cut(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(2.0, RATE, level=3.0), RATE, subtype="FLOAT")
    found = copied(tmp_path / "a.wav")
    assert float(found.extract_clip(0, 2).wave.abs().max()) == pytest.approx(1.0, abs=0.01)
    assert found.get_clipped_fraction(0, 2) < 0.001


def test_cut_off_peaks_are_found_where_they_are_and_whole_ones_are_not(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    wave = chance.normal(0, 0.1, 4 * RATE) + tone(4.0, RATE, 120, 0.3)
    wave[2 * RATE :] = (wave[2 * RATE :] * 4).clip(-0.9, 0.9)
    soundfile.write(tmp_path / "a.wav", wave, RATE)
    found = copied(tmp_path / "a.wav")
    assert (
        found.get_clipped_fraction(0.0, 1.9) == 0.0 and found.get_clipped_fraction(2.1, 4.0) > 0.05
    )


@pytest.mark.parametrize(
    ("samples", "match"),
    [
        (np.zeros(RATE), "is silent"),
        (np.full(RATE, 0.5), "is silent"),
        (tone(0.1, RATE), "at least 0.25 s"),
        (np.full(RATE, np.nan), "NaN or infinite"),
    ],
)
def test_what_holds_no_sound_is_refused(tmp_path: Path, samples: np.ndarray, match: str) -> None:
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(ClipError, match=match):
        copied(tmp_path / "a.wav")


def test_a_recording_beyond_the_limit_is_refused_while_it_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(9.0, RATE), RATE)
    with pytest.raises(ClipError, match="lasts more than"):
        copied(tmp_path / "a.wav", replace(RECORDING_LIMITS, longest_s=5.0))
    soundfile.write(tmp_path / "b.wav", tone(1.0, 4_000), 4_000)
    with pytest.raises(ClipError, match="4,000 samples per second"):
        copied(tmp_path / "b.wav")


def test_a_long_recording_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "a.flac", tone(9.0, RATE), RATE)
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *a, **k: pytest.fail("decoded"))
    with pytest.raises(ClipError, match="lasts more than"):
        copied(tmp_path / "a.flac", replace(RECORDING_LIMITS, longest_s=5.0))


def test_junk_is_refused_with_and_without_ffmpeg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.wav").write_bytes(b"not a recording at all" * 99)
    if shutil.which("ffmpeg"):
        with pytest.raises(ClipError, match="cannot be read as audio"):
            copied(tmp_path / "a.wav")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ClipError, match="ffmpeg, which is not installed"):
        copied(tmp_path / "a.wav")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_what_libsndfile_does_not_know_comes_through_ffmpeg(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(3.0, 48_000), 48_000)
    command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "a.wav"), str(tmp_path / "a.m4a")]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    found = copied(tmp_path / "a.m4a")
    assert found.duration_s == pytest.approx(3.0, abs=0.1)
    assert {path.name for path in tmp_path.iterdir()} == {"a.wav", "a.m4a", "copy.raw"}


def test_whoever_counts_the_seconds_may_end_it(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(20.0, RATE), RATE)
    told: list[float] = []

    def stop(seconds: float) -> None:
        told.append(seconds)
        if seconds > 7:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        decode_recording(tmp_path / "a.wav", tmp_path / "copy.raw", RATE, stop)
    assert told == [4.0, 8.0]


def test_the_length_is_known_by_the_header_or_guessed(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(3.0, RATE), RATE)
    (tmp_path / "b.m4a").write_bytes(bytes(160_000))
    assert estimate_duration_s(tmp_path / "a.wav") == pytest.approx(3.0)
    assert estimate_duration_s(tmp_path / "b.m4a") == 10.0
    assert estimate_duration_s(tmp_path / "none.wav") == 0.0
