"""Planted overlaps of two voices are found, changes between them are not taken for overlaps."""

from __future__ import annotations

import numpy as np

from core.progress import ProgressReporter
from training.gold.diarization.clustering import Window
from training.gold.diarization.overlaps import (
    WINDOW_S,
    find_overlaps,
    join_windows,
    measure_harmonicity,
)
from training.gold.diary import Turn

RATE = 16_000
PITCH = {"Ann": 210.0, "Bob": 120.0, "Cy": 160.0}
SPOKEN = [("Ann", 0.0, 9.0), ("Bob", 9.0, 18.0), ("Ann", 17.0, 26.0), ("Cy", 26.0, 34.0)]
OVERLAP = (17.0, 18.0)


def make_voice(pitch: float, count: int) -> np.ndarray:
    times = np.arange(count) / RATE
    glide = pitch * (1 + 0.08 * np.sin(2 * np.pi * 0.7 * times))
    phase = 2 * np.pi * np.cumsum(glide) / RATE
    harmonics = sum(np.sin(n * phase) / n for n in range(1, 12))
    return np.asarray(0.1 * harmonics, dtype=np.float32)


def make_wave() -> np.ndarray:
    wave = np.zeros(34 * RATE, dtype=np.float32)
    for who, start, stop in SPOKEN:
        first, last = int(start * RATE), int(stop * RATE)
        wave[first:last] += make_voice(PITCH[who], last - first)
    return wave


def embed(samples: np.ndarray) -> np.ndarray:
    """Return the shares of power near the pitch of each voice: a toy encoder."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    shares = [power[np.abs(frequencies - pitch) < 0.1 * pitch].sum() for pitch in PITCH.values()]
    vector = np.sqrt(np.array([*shares, 1e-3]))
    return np.asarray(vector / np.linalg.norm(vector))


def test_a_planted_overlap_is_found_and_changes_are_not() -> None:
    wave = make_wave()

    def cut(start: float, stop: float) -> np.ndarray:
        return wave[max(0, int(start * RATE)) : int(stop * RATE)]

    turns = [Turn(start=start, stop=stop, speaker=who) for who, start, stop in SPOKEN]
    turns[2] = Turn(start=18.0, stop=26.0, speaker="Ann")
    centroids = np.stack([embed(make_voice(pitch, RATE)) for pitch in PITCH.values()])
    windows = [
        Window(at, at + WINDOW_S, 0, embed(cut(at, at + WINDOW_S)))
        for at in np.arange(0.0, 32.0, 0.4).tolist()
    ]
    found = find_overlaps(windows, turns, centroids, cut, embed, ProgressReporter())
    assert len(found) == 1
    start, stop = found[0]
    assert start < OVERLAP[1] and OVERLAP[0] < stop
    assert OVERLAP[0] - 1.0 < start and stop < OVERLAP[1] + 1.0


def test_a_recording_of_one_speaker_has_no_overlaps() -> None:
    turns = [Turn(start=0.0, stop=20.0, speaker="Ann")]
    nothing = np.zeros(0)
    centroids = np.ones((1, 4))
    found = find_overlaps([], turns, centroids, lambda a, b: nothing, embed, ProgressReporter())
    assert found == ()


def test_windows_are_joined() -> None:
    are_shared = np.array([True, True, False, True])
    found = join_windows([1.0, 1.4, 1.8, 2.6], are_shared)
    assert np.allclose(found, [(0.6, 1.8), (2.2, 3.0)])


def test_a_second_voice_lowers_the_harmonicity() -> None:
    one, two = make_voice(210.0, RATE), make_voice(127.0, RATE)
    assert measure_harmonicity(one)[1] > measure_harmonicity(one + two)[1]
    assert measure_harmonicity(np.zeros(RATE)) == [0.0, 0.0, 0.0, 0.0]
