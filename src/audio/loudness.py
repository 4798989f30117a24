"""Measure and normalize loudness (EBU R 128)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyloudnorm

from audio.clip import Clip

SPEECH_LUFS = -20.0  # a comfortable level for speech that is listened to alone
BLOCK_S = 0.4  # what the standard measures at a time
MAX_PEAK = 0.97  # highest peak after a gain


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
