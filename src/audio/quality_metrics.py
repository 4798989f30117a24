"""Numeric quality metrics of a clip."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor

from audio.clip import Clip
from audio.energy_vad import HOP_S, compute_frame_levels_db, find_speech_spans
from audio.loudness import measure_loudness
from audio.noise_estimation import compute_power_spectrum, estimate_noise_spectrum, estimate_snr_db
from audio.speaker_similarity import compute_speaker_distance

CLIPPING_PEAK_RATIO = 0.99  # of the highest sample; a run of equal samples up there was cut off
MIN_CLIPPED_SAMPLES = 3  # samples
CLIPPING_TOLERANCE = 2e-4  # two samples of 16 bits that differ by less are equal
AUDIBLE_DB = -60.0  # below the strongest frequency, so much still counts as content
LOW_HZ = 200.0  # hum and rumble are below
MIN_DECAY_DB, MIN_DECAY_FRAMES = 8.0, 4  # of the word ends, to estimate the reverb
MIN_DECAYS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityMetrics:
    """Metrics of one clip.

    lufs: loudness. peak_db: of full scale. clipped_runs: runs of clipped peaks. snr_db: speech
    above background. low_frequency_share: of the background, below 200 Hz. highest_hz: upper end of
    the spectrum. speech_share: of the time. decay_db_s: how fast word endings decay, None where too
    few are clear. speaker_distance: see audio.speaker_similarity.
    """

    duration_s: float
    sample_rate: int
    lufs: float
    peak_db: float
    clipped_runs: int
    snr_db: float
    low_frequency_share: float
    highest_hz: float
    speech_share: float
    decay_db_s: float | None
    speaker_distance: float | None


def measure_quality(clip: Clip) -> QualityMetrics:
    """Measure a clip that is not silent."""
    level = replace(
        clip, wave=clip.wave - clip.wave.mean()
    )  # a DC offset is inaudible, so it is not noise
    power = compute_power_spectrum(level)  # (k, f)
    hz = torch.linspace(0, clip.sample_rate / 2, power.shape[0])
    noise = estimate_noise_spectrum(power)
    peak = float(clip.wave.abs().max())
    spoken = sum(span.stop - span.start for span in find_speech_spans(clip))
    return QualityMetrics(
        duration_s=clip.duration_s,
        sample_rate=clip.sample_rate,
        lufs=measure_loudness(clip),
        peak_db=20 * math.log10(max(peak, 1e-9)),
        clipped_runs=count_clipped_runs(clip.wave),
        snr_db=estimate_snr_db(power),
        low_frequency_share=float(noise[hz < LOW_HZ].sum() / noise.sum().clamp(min=1e-20)),
        highest_hz=_find_highest_frequency(power, hz),
        speech_share=spoken / max(1, clip.wave.shape[0]),
        decay_db_s=estimate_decay_rate(clip),
        speaker_distance=compute_speaker_distance([clip]),
    )


def count_clipped_runs(wave: Tensor) -> int:
    """Count the places where the wave stays at its peak: (n,)."""
    peak = float(wave.abs().max())
    high = wave.abs() >= CLIPPING_PEAK_RATIO * peak
    level = (torch.diff(wave).abs() < CLIPPING_TOLERANCE) & high[1:] & high[:-1]
    return sum(
        1
        for flat, run in groupby(level.tolist())
        if flat and len(list(run)) >= MIN_CLIPPED_SAMPLES - 1
    )


def estimate_decay_rate(clip: Clip) -> float | None:
    """Estimate how fast sound decays, in dB per second; None if unclear.

    The fastest quarter shows the room: a voice may fade slowly, but nothing decays faster than the
    room.
    """
    level = compute_frame_levels_db(clip)
    if len(level) < MIN_DECAY_FRAMES + 3:
        return None
    level = level.unfold(0, 3, 1).mean(-1)
    loud = float(level.quantile(0.95)) - 20
    falls = []
    start = 0
    for at in range(1, len(level) + 1):
        if at < len(level) and level[at] < level[at - 1] - 0.1:
            continue
        frames, drop = at - 1 - start, float(level[start] - level[at - 1])
        if frames >= MIN_DECAY_FRAMES and drop >= MIN_DECAY_DB and level[start] > loud:
            falls.append(drop / frames / HOP_S)
        start = at
    return float(torch.tensor(falls).quantile(0.75)) if len(falls) >= MIN_DECAYS else None


def _find_highest_frequency(power: Tensor, hz: Tensor) -> float:
    mean = power.mean(1)
    audible = mean > mean.max() * 10 ** (AUDIBLE_DB / 10)
    return float(hz[audible].max()) if bool(audible.any()) else 0.0
