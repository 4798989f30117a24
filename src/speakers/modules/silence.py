"""Shorten long pauses: with WebRTC's voice activity detector as published, or with Silero's.

Shapes: n samples, w windows of 30 ms.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import binary_dilation

from speakers.modules.features import SAMPLE_RATE, Array

WINDOW_SAMPLES = 480  # 30 ms
AGGRESSIVENESS = 3
SMOOTHING_WINDOWS = 8
MAX_SILENCE_WINDOWS = 6
WEBRTC, SILERO = "webrtcvad", "silero_vad"
INT16_MAX = 32_767


def trim_silence(wave: Array) -> Array:
    """Shorten pauses of more than 180 ms, and drop the rest of the last window of 30 ms: (n,).

    wave: 16 kHz. As Real-Time Voice Cloning does where webrtcvad is installed.
    """
    mask = find_speech_windows(wave)
    return wave[: len(mask) * WINDOW_SAMPLES][np.repeat(mask, WINDOW_SAMPLES)]


def find_speech_windows(wave: Array) -> npt.NDArray[np.bool_]:
    """Return which windows of 30 ms stay where pauses are shortened: (n,) at 16 kHz -> (w,)."""
    wave = wave[: len(wave) - len(wave) % WINDOW_SAMPLES]
    return choose_windows(smooth_flags(detect_voice(wave)))


def detect_voice(wave: Array) -> npt.NDArray[np.bool_]:
    """Return which windows hold speech: (n,) -> (w,)."""
    if find_spec(WEBRTC) is None:
        return _detect_with_silero(wave)
    detector = import_module(WEBRTC).Vad(AGGRESSIVENESS)
    pcm = np.round(wave * np.float32(INT16_MAX)).astype(np.int64).astype(np.int16)
    windows = pcm.reshape(-1, WINDOW_SAMPLES)
    return np.array([detector.is_speech(row.tobytes(), SAMPLE_RATE) for row in windows], dtype=bool)


def smooth_flags(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the moving average over eight windows, zeros beyond the ends: (w,) -> (w,)."""
    if not len(flags):
        return np.zeros(0)
    before, after = (SMOOTHING_WINDOWS - 1) // 2, SMOOTHING_WINDOWS // 2
    padded = np.pad(flags.astype(np.float64), (before, after))
    return np.convolve(padded, np.ones(SMOOTHING_WINDOWS), "valid") / SMOOTHING_WINDOWS


def choose_windows(smoothed: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which windows to keep: (w,) -> (w,). An average of exactly one half is a pause."""
    voiced = np.round(smoothed).astype(bool)
    if not len(voiced):
        return voiced
    kept: npt.NDArray[np.bool_] = binary_dilation(voiced, np.ones(MAX_SILENCE_WINDOWS + 1))
    return kept


def _detect_with_silero(wave: Array) -> npt.NDArray[np.bool_]:
    package = import_module(SILERO)
    found = package.get_speech_timestamps(
        torch.from_numpy(np.ascontiguousarray(wave)), _load_silero(), sampling_rate=SAMPLE_RATE
    )
    spoken = np.zeros(len(wave), dtype=bool)
    for span in found:
        spoken[span["start"] : span["end"]] = True
    return spoken.reshape(-1, WINDOW_SAMPLES).mean(1) > 0.5


@cache
def _load_silero() -> torch.nn.Module:
    model: torch.nn.Module = import_module(SILERO).load_silero_vad()
    return model
