"""Measure and normalize loudness (EBU R 128), and limit true peaks (ITU-R BS.1770)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyloudnorm
import torch
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from scipy.signal import resample_poly

from audio.clip import Clip

SPEECH_LUFS = -20.0  # a comfortable level for speech that is listened to alone
BLOCK_S = 0.4  # what the standard measures at a time
MAX_PEAK = 0.97  # highest peak after a gain
MAX_TRUE_PEAK_DB = -1.0  # of full scale, as EBU R 128 asks for
OVERSAMPLING = 4  # of the measurement of true peaks, ITU-R BS.1770 annex 2
LIMITER_S = 0.005  # over which the gain falls before a peak, and rises after it
LOUDNESS_PASSES = 4  # the limiter takes some loudness, which the next pass adds
LOUDNESS_TOLERANCE = 0.05  # LU
_BLOCK, _OVERLAP = 1 << 18, 64  # samples whose true peaks are measured at a time


def measure_loudness(clip: Clip) -> float:
    """Return the integrated loudness in LUFS; -inf for silence.

    A clip shorter than the standard's 0.4 s is repeated.
    """
    wave = clip.wave.detach().cpu().double().numpy()
    needed = int(BLOCK_S * clip.sample_rate) + 1
    if 0 < len(wave) < needed:
        wave = np.resize(wave, needed)
    if not wave.any():
        return float("-inf")
    return float(pyloudnorm.Meter(clip.sample_rate, block_size=BLOCK_S).integrated_loudness(wave))


def normalize_loudness(clip: Clip, lufs: float = SPEECH_LUFS) -> Clip:
    """Normalize the loudness of a clip, limited by its peaks; silent clips are not changed."""
    current = measure_loudness(clip)
    if not np.isfinite(current):
        return clip
    peak = float(clip.wave.abs().max())
    gain = min(10 ** ((lufs - current) / 20), MAX_PEAK / peak)
    return replace(clip, wave=clip.wave * gain)


def measure_true_peak(clip: Clip) -> float:
    """Return the peak of the wave between its samples, in dB of full scale; -inf for silence."""
    peak = max((float(block.max()) for block in _iter_true_peaks(clip)), default=0.0)
    return float(20 * np.log10(peak)) if peak > 0 else float("-inf")


def master_loudness(clip: Clip, lufs: float, max_peak_db: float = MAX_TRUE_PEAK_DB) -> Clip:
    """Give a clip a loudness, with a limiter that holds its true peaks below a level.

    lufs: the integrated loudness;  max_peak_db: dB of full scale. Silent clips are not changed.
    """
    mastered, gain_db = clip, 0.0
    for _ in range(LOUDNESS_PASSES):
        missing = lufs - measure_loudness(mastered)
        if not np.isfinite(missing) or (gain_db and abs(missing) < LOUDNESS_TOLERANCE):
            break
        gain_db += missing
        louder = replace(clip, wave=clip.wave * 10 ** (gain_db / 20))
        mastered = limit_true_peaks(louder, max_peak_db)
    return mastered


def limit_true_peaks(clip: Clip, max_peak_db: float = MAX_TRUE_PEAK_DB) -> Clip:
    """Lower the gain around true peaks above a level in dB of full scale; the rest is unchanged."""
    ceiling = 10 ** (max_peak_db / 20)
    peaks = np.concatenate([np.zeros(0), *_iter_true_peaks(clip)])  # (n,)
    if peaks.max(initial=0.0) <= ceiling:
        return clip
    window = 2 * round(LIMITER_S * clip.sample_rate / 2) + 1
    gain = ceiling / np.maximum(peaks, ceiling)
    # the mean of minima that each contain a sample is at most what the sample needs
    gain = uniform_filter1d(minimum_filter1d(gain, window), window, mode="nearest")
    limited = replace(clip, wave=clip.wave * torch.from_numpy(gain.astype(np.float32)))
    excess_db = max(0.0, measure_true_peak(limited) - max_peak_db)
    return replace(limited, wave=limited.wave * 10 ** (-excess_db / 20))


def _iter_true_peaks(clip: Clip) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the true peak around each sample, block by block: (n,) together."""
    wave = clip.wave.detach().cpu().double().numpy()
    for start in range(0, len(wave), _BLOCK):
        stop = min(start + _BLOCK, len(wave))
        left, right = max(0, start - _OVERLAP), min(len(wave), stop + _OVERLAP)
        fine = np.abs(resample_poly(wave[left:right], OVERSAMPLING, 1))
        fine = fine[OVERSAMPLING * (start - left) : OVERSAMPLING * (stop - left)]
        yield fine.reshape(-1, OVERSAMPLING).max(axis=1)
