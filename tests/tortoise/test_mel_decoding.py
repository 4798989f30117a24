"""Faster speech: a compressed mel has the length asked for, and keeps what changes quickly."""

from __future__ import annotations

import pytest
import torch

from tortoise.generation.mel_decoding import ClipPace, compress_mel

FRAMES, EVENT = 400, slice(195, 205)


@pytest.fixture
def mel() -> torch.Tensor:
    """A steady sound with a short one in the middle."""
    steady = torch.randn(1, 100, 1, generator=torch.Generator().manual_seed(1)) - 4
    mel = steady + torch.linspace(0, 1, FRAMES)
    mel[..., EVENT] += 3
    return mel


@pytest.mark.parametrize("speed", [1.0, 1.01, 1.5, 1.97, 2.0])
def test_the_length_is_that_of_the_speed(mel: torch.Tensor, speed: float) -> None:
    faster, starts = compress_mel(mel, speed)
    assert faster.shape == (1, 100, round(FRAMES / speed))
    assert starts.shape == (FRAMES + 1,) and starts[0] == 0
    assert starts[-1] == pytest.approx(faster.shape[-1], abs=0.01)
    assert (starts.diff() > 0).all() and starts.diff().max() < 1.05
    assert faster.min() >= mel.min() and faster.max() <= mel.max()


def test_short_sounds_are_shortened_less_than_steady_ones(mel: torch.Tensor) -> None:
    faster, starts = compress_mel(mel, 1.5)
    begin, end = starts[EVENT.start], starts[EVENT.stop]
    assert end - begin > 0.85 * (EVENT.stop - EVENT.start)  # of 0.67 on average
    middle = round(float(begin + end) / 2)
    torch.testing.assert_close(faster[..., middle], mel[..., 200], atol=0.1, rtol=0)


def test_a_mel_without_changes_and_one_frame_are_compressed_too() -> None:
    assert compress_mel(torch.full((1, 100, 30), -5.0), 2.0)[0].eq(-5.0).all()
    assert compress_mel(torch.zeros(1, 100, 1), 2.0)[0].shape == (1, 100, 1)


def test_times_follow_the_pace_of_the_clip(mel: torch.Tensor) -> None:
    assert ClipPace().find_time(2.0) == 2.0
    assert ClipPace(speed=1.25).find_time(2.0) == pytest.approx(1.6)
    _, starts = compress_mel(mel, 1.5)
    pace, frame_s = ClipPace(starts=starts), 256 / 24_000
    assert pace.find_time(200 * frame_s) == pytest.approx(float(starts[200]) * frame_s, abs=1e-4)
    assert pace.find_time(99.0) == pytest.approx(float(starts[-1]) * frame_s, abs=1e-4)
