"""Voices of the teacher: what `quick.teacher` speaks, WORLD (pyworld) gives to other voices.

Shapes: n samples at 24 kHz, p phonemes, t WORLD frames of 5 ms, k spectrum bins.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quick.teacher import DURATION_UNIT, LOWEST_F0, SAMPLE_RATE, TeacherUtterance

F0_HOP = 300  # samples, 12.5 ms, the first value in the middle of its frame
WORLD_HOP_S = 0.005
LOW_FORMANTS_HZ, HIGH_FORMANTS_HZ = 500.0, 3_000.0  # between them the two factors are mixed
HIGHEST_F0 = 520.0  # Hz
LEAD_UNITS, TAIL_UNITS = 3, 8  # silence that `trim_silence` leaves before and after an utterance
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherSpeaker:
    """One voice of the teacher: what WORLD changes in hibari's own voice."""

    name: str
    pitch: float = 1.0  # mean F0 relative to hibari's
    low: float = 1.0  # factor of the formants below 500 Hz
    high: float = 1.0  # factor of the formants above 3 kHz
    intonation: float = 1.0  # excursions of log F0 around its mean
    tilt_db: float = 0.0  # gain at 8 kHz relative to 250 Hz
    breath: float = 1.0  # exponent of the aperiodicity; below 1 is breathier

    def __post_init__(self) -> None:
        for field in ("pitch", "low", "high", "intonation", "breath"):
            if not 0.4 <= getattr(self, field) <= 2.5:
                raise ValueError(f"{field} of {self.name} is {getattr(self, field)}, not 0.4..2.5")


TEACHER_SPEAKERS = (
    TeacherSpeaker(name="heart"),
    TeacherSpeaker(name="bass", pitch=0.55, low=0.84, high=0.84),
    TeacherSpeaker(name="tenor", pitch=0.62, low=0.88, high=0.88),
    TeacherSpeaker(name="alto", pitch=0.8, low=0.95, high=0.95),
    TeacherSpeaker(name="girl", pitch=1.25, low=1.12, high=1.12),
    TeacherSpeaker(name="baritone", pitch=0.5, low=0.9, high=0.83, intonation=0.8, tilt_db=-2),
    TeacherSpeaker(name="mezzo", pitch=0.9, low=1.06, high=0.98, tilt_db=2, breath=0.9),
    TeacherSpeaker(name="boy", pitch=1.08, low=1.15, high=1.18, intonation=1.2),
)
"""Named voices; the first is hibari's own, unchanged."""


def trim_silence(said: TeacherUtterance) -> TeacherUtterance:
    """Shorten the silence of the first pad and of the last pad and mark."""
    durations = list(said.durations)
    lead = max(0, durations[0] - LEAD_UNITS)
    durations[0] -= lead
    tail = max(0, sum(durations[-2:]) - TAIL_UNITS) if len(durations) > 3 else 0
    end = sum(durations) - tail + lead  # in units of the untrimmed utterance
    for place in (-1, -2):
        cut = min(tail, durations[place])
        durations[place], tail = durations[place] - cut, tail - cut
    per_frame = DURATION_UNIT // F0_HOP
    return TeacherUtterance(
        wave=said.wave[lead * DURATION_UNIT : end * DURATION_UNIT],
        f0=said.f0[lead * per_frame : end * per_frame],
        phonemes=said.phonemes,
        durations=tuple(durations),
    )


class WorldAnalysis:
    """The envelope and aperiodicity of an utterance, to be synthesized with other voices."""

    def __init__(self, utterance: TeacherUtterance) -> None:
        import pyworld

        self._world = pyworld
        self._samples = len(utterance.wave)
        wave = utterance.wave.astype(np.float64)
        times = np.arange(self._samples // round(SAMPLE_RATE * WORLD_HOP_S) + 1) * WORLD_HOP_S
        self._f0 = _sample_f0(utterance.f0, times)
        self._envelope = pyworld.cheaptrick(wave, self._f0, times, SAMPLE_RATE)  # (t, k)
        self._aperiodicity = pyworld.d4c(wave, self._f0, times, SAMPLE_RATE)

    def synthesize(self, speaker: TeacherSpeaker) -> npt.NDArray[np.float32]:
        """Return the utterance in this voice: (n,), as long as the original."""
        envelope = _warp_envelope(self._envelope, speaker)
        aperiodicity = np.clip(self._aperiodicity, 1e-6, 1.0) ** speaker.breath
        f0 = shift_f0(self._f0, speaker)
        wave = self._world.synthesize(f0, envelope, aperiodicity, SAMPLE_RATE, WORLD_HOP_S * 1000)
        spoken = np.zeros(self._samples, np.float32)
        length = min(self._samples, len(wave))
        spoken[:length] = wave[:length]
        return spoken


def shift_f0(f0: npt.NDArray[np.floating], speaker: TeacherSpeaker) -> Doubles:
    """Return F0 (t,) in Hz as this voice has it; 0 stays 0."""
    voiced = f0 > 0
    if not voiced.any():
        return np.zeros(len(f0))
    mean = np.log(f0[voiced]).mean()
    shifted = np.zeros(len(f0))
    shifted[voiced] = speaker.pitch * np.exp(
        mean + speaker.intonation * (np.log(f0[voiced]) - mean)
    )
    return np.where(voiced, np.clip(shifted, LOWEST_F0, HIGHEST_F0), 0.0)


def draw_speaker(name: str) -> TeacherSpeaker:
    """Draw a random voice, which follows from its name."""
    draw = random.Random(name)
    tract = draw.uniform(0.82, 1.18)
    return TeacherSpeaker(
        name=name,
        pitch=float(np.clip(tract**2.4 * draw.uniform(0.75, 1.25), 0.45, 1.6)),
        low=tract * draw.uniform(0.94, 1.06),
        high=tract * draw.uniform(0.95, 1.05),
        intonation=draw.uniform(0.65, 1.3),
        tilt_db=draw.uniform(-5.0, 4.0),
        breath=draw.uniform(0.75, 1.15),
    )


def draw_speakers(draw: random.Random, count: int, pool: int) -> Sequence[TeacherSpeaker]:
    """Draw different voices for one sentence: hibari's own, then half named, half random ones."""
    others = TEACHER_SPEAKERS[1:]
    named = draw.sample(others, min(count // 2, len(others)))
    numbers = draw.sample(range(pool), count - 1 - len(named))
    return [TEACHER_SPEAKERS[0], *named, *(draw_speaker(f"w{number:03d}") for number in numbers)]


def _sample_f0(f0: npt.NDArray[np.float32], times: npt.NDArray[np.floating]) -> Doubles:
    """Read hibari's F0 at these seconds; without mixing voiced and unvoiced frames."""
    places = times * SAMPLE_RATE / F0_HOP - 0.5
    nearest = np.clip(np.round(places).astype(int), 0, len(f0) - 1)
    voiced = f0[nearest] > 0
    if not voiced.any():
        return np.zeros(len(times))
    known = np.flatnonzero(f0 > 0)
    return np.where(voiced, np.interp(places, known, f0[known]), 0.0)


def _warp_envelope(envelope: Doubles, speaker: TeacherSpeaker) -> Doubles:
    """Move the formants and tilt the power spectrum (t, k)."""
    bins = envelope.shape[1]
    hz = np.linspace(0.0, SAMPLE_RATE / 2, bins)
    mix = np.clip((hz - LOW_FORMANTS_HZ) / (HIGH_FORMANTS_HZ - LOW_FORMANTS_HZ), 0.0, 1.0)
    source = hz / (speaker.low + mix * (speaker.high - speaker.low))
    places = np.clip(source / hz[1], 0, bins - 1)
    left = np.minimum(places.astype(int), bins - 2)
    part = places - left
    logs = np.log(envelope)
    warped = logs[:, left] * (1 - part) + logs[:, left + 1] * part
    octaves = np.log2(np.clip(hz, 250.0, 8_000.0) / 250.0) / 5.0
    tilted = warped + octaves * speaker.tilt_db * np.log(10) / 10
    return np.ascontiguousarray(np.exp(tilted))
