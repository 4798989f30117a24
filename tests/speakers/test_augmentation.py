"""Augmented copies differ from the recording as asked, and are the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from pytest import approx

from core.errors import InvalidValueError
from speakers.data.augmentation import augment, simulate_room
from speakers.data.options import AugmentationOptions

RATE = 16_000
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)


def strongest_hz(wave: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(wave)).argmax() * RATE / len(wave))


def test_noise_has_the_level_that_was_asked_for() -> None:
    options = AugmentationOptions(augmented_copies=1, room=False, lowest_snr=20.0, highest_snr=20.0)
    noise = augment(TONE, RATE, options, "a") - TONE
    assert 10 * np.log10(np.mean(TONE**2) / np.mean(noise**2)) == approx(20.0, abs=0.3)


def test_the_pitch_moves_by_no_more_than_the_limit() -> None:
    options = AugmentationOptions(augmented_copies=1, room=False, noise=False, max_pitch_shift=2.0)
    found = {strongest_hz(augment(TONE, RATE, options, str(key))) for key in range(4)}
    assert len(found) > 1
    assert all(440 * 2 ** (-2 / 12) - 3 <= hz <= 440 * 2 ** (2 / 12) + 3 for hz in found)


def test_a_room_adds_an_echo_that_dies_away() -> None:
    pytest.importorskip("pyroomacoustics")
    response = simulate_room(RATE, np.random.default_rng(0))
    energy = np.square(response)
    assert response[0] == 1.0 and energy[RATE // 100 :].sum() > 0
    assert energy[len(energy) // 2 :].sum() < 0.1 * energy.sum()
    options = AugmentationOptions(augmented_copies=1, noise=False)
    assert augment(TONE, RATE, options, "a").shape == TONE.shape


def test_the_same_key_gives_the_same_copy_and_leaves_the_recording_alone() -> None:
    options, before = AugmentationOptions(augmented_copies=2, room=False), TONE.copy()
    first = augment(TONE, RATE, options, "a")
    assert np.array_equal(first, augment(TONE, RATE, options, "a"))
    assert not np.array_equal(first, augment(TONE, RATE, options, "b"))
    assert np.array_equal(TONE, before)


def test_nothing_to_augment_with_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="all three are off"):
        AugmentationOptions(augmented_copies=1, noise=False, room=False)
    with pytest.raises(InvalidValueError, match="at most highest_snr"):
        AugmentationOptions(lowest_snr=30.0, highest_snr=20.0)
    assert AugmentationOptions().augmented_copies == 0
