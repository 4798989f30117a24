"""What can be measured of a recording before anybody judges it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor

from speech.background import background, power_of, speech_to_noise_db
from speech.clip import Clip
from speech.loudness import loudness_of
from speech.speakers import unlikeness
from speech.vad import HOP_S, frame_levels, speech_spans

AT_PEAK = 0.99  # of the highest sample; a run of equal samples up there was cut off
LEVEL_RUN = 3  # samples
SAME = 2e-4  # two samples of 16 bits that differ by less are equal
AUDIBLE_DB = -60.0  # below the strongest frequency, so much still counts as content
LOW_HZ = 200.0  # hum and rumble lie below
LEAST_FALL_DB, LEAST_FALL_FRAMES = 8.0, 4  # of the ends of words that tell of the room
LEAST_FALLS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """The measurements of one clip.

    lufs: loudness;  peak_db: of full scale;  cut_runs: places where the tops of the wave are flat;
    noise_db: speech above background;  low_share: of the background, what lies below 200 Hz;
    highest_hz: where the sound ends;  spoken_share: of the time;  fall_db_s: how fast the ends of
    words die away, None where too few are clear;  unlikeness: see speech.speakers.
    """

    duration_s: float
    sample_rate: int
    lufs: float
    peak_db: float
    cut_runs: int
    noise_db: float
    low_share: float
    highest_hz: float
    spoken_share: float
    fall_db_s: float | None
    unlikeness: float | None


def measure(clip: Clip) -> Traits:
    """Measure a clip that holds sound."""
    level = replace(clip, wave=clip.wave - clip.wave.mean())  # an offset is not heard, so no noise
    power = power_of(level)  # (k, f)
    hz = torch.linspace(0, clip.sample_rate / 2, power.shape[0])
    noise = background(power)
    peak = float(clip.wave.abs().max())
    spoken = sum(span.stop - span.start for span in speech_spans(clip))
    return Traits(
        duration_s=clip.duration_s,
        sample_rate=clip.sample_rate,
        lufs=loudness_of(clip),
        peak_db=20 * math.log10(max(peak, 1e-9)),
        cut_runs=count_cut_runs(clip.wave),
        noise_db=speech_to_noise_db(power),
        low_share=float(noise[hz < LOW_HZ].sum() / noise.sum().clamp(min=1e-20)),
        highest_hz=_highest(power, hz),
        spoken_share=spoken / max(1, clip.wave.shape[0]),
        fall_db_s=fall_rate(clip),
        unlikeness=unlikeness([clip]),
    )


def count_cut_runs(wave: Tensor) -> int:
    """Count the places where the wave stays at its peak, as it does when it was cut off: (n,)."""
    peak = float(wave.abs().max())
    high = wave.abs() >= AT_PEAK * peak
    level = (torch.diff(wave).abs() < SAME) & high[1:] & high[:-1]
    return sum(
        1 for flat, run in groupby(level.tolist()) if flat and len(list(run)) >= LEVEL_RUN - 1
    )


def fall_rate(clip: Clip) -> float | None:
    """Say how fast sound dies away where it falls steadily, in dB per second; None if unclear.

    The quarter that falls fastest is the room's: a voice may fade slowly, a room cannot be outrun.
    """
    level = frame_levels(clip)
    if len(level) < LEAST_FALL_FRAMES + 3:
        return None
    level = level.unfold(0, 3, 1).mean(-1)
    loud = float(level.quantile(0.95)) - 20
    falls = []
    start = 0
    for at in range(1, len(level) + 1):
        if at < len(level) and level[at] < level[at - 1] - 0.1:
            continue
        frames, drop = at - 1 - start, float(level[start] - level[at - 1])
        if frames >= LEAST_FALL_FRAMES and drop >= LEAST_FALL_DB and level[start] > loud:
            falls.append(drop / frames / HOP_S)
        start = at
    return float(torch.tensor(falls).quantile(0.75)) if len(falls) >= LEAST_FALLS else None


def _highest(power: Tensor, hz: Tensor) -> float:
    mean = power.mean(1)
    heard = mean > mean.max() * 10 ** (AUDIBLE_DB / 10)
    return float(hz[heard].max())
