"""Features that the encoders read: volume normalization, mel spectra, pitch as one-hot vectors.

Arrays are NumPy's. Shapes: n samples, f frames, c bins.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy.signal import butter, filtfilt

from audio.mel import MelSpec, mel_spectrum
from core.errors import InvalidValueError
from speakers.modules.feature_config import PITCH_CLASSES, FeatureConfig

Array: TypeAlias = npt.NDArray[np.float32]

SAMPLE_RATE = 16_000  # Hz
TARGET_DBFS = -30.0
GE2E_MEL = MelSpec(
    sample_rate=SAMPLE_RATE, n_fft=400, hop=160, bands=40, high_hz=8_000.0, scale="slaney",
    power=2.0,
)  # fmt: skip
PEEWEE_MEL = MelSpec(
    sample_rate=SAMPLE_RATE, n_fft=512, hop=160, bands=80, high_hz=8_000.0, scale="slaney",
    power=2.0, window=400,
)  # fmt: skip
SINGER_MEL = MelSpec(
    sample_rate=SAMPLE_RATE, bands=80, low_hz=90.0, high_hz=7_600.0, scale="slaney", power=1.0
)
HIGH_PASS_HZ, HIGH_PASS_ORDER = 30.0, 5
SINGER_GAIN, SINGER_NOISE = 0.96, 1e-6  # before the mel; the noise avoids the log of nothing
AMPLITUDE_FLOOR, REFERENCE_DB, RANGE_DB = 1e-5, 16.0, 100.0
LOWEST_MIDI = 36  # the first of the voiced pitch classes
MIDI_CLASSES = PITCH_CLASSES - 1


def normalize_volume(wave: Array, target_dbfs: float = TARGET_DBFS) -> Array:
    """Raise a quiet wave to a level; return a louder or silent one unchanged: (n,)."""
    power = float(np.mean(np.square(wave))) if len(wave) else 0.0
    if power <= 0.0:
        return wave
    gain_db = target_dbfs - 10 * np.log10(power)
    return wave if gain_db <= 0 else (wave * np.float32(10 ** (gain_db / 20))).astype(np.float32)


def compute_mel(wave: Array, spec: MelSpec = GE2E_MEL) -> Array:
    """Return the power mel spectrum without logarithm, with zeros beyond both ends.

    wave: (n,) at 16 kHz.  Returns (f, c) with f = 1 + n // hop.
    """
    mel = mel_spectrum(torch.from_numpy(np.ascontiguousarray(wave)), spec, "constant")[0]
    return np.ascontiguousarray(mel.numpy().T)


def compute_singer_mel(wave: Array, seed: int = 1) -> Array:
    """Return AutoVC's mel in [0, 1]: 0 at -100 dB.

    wave: (n,) at 16 kHz.  Returns (f, 80) with f = 1 + n // 256.
    """
    if len(wave) <= SINGER_MEL.n_fft // 2:
        wave = np.pad(wave, (0, SINGER_MEL.n_fft // 2 + 1 - len(wave)))
    b, a = butter(HIGH_PASS_ORDER, HIGH_PASS_HZ / (SAMPLE_RATE / 2), btype="high")
    filtered = filtfilt(b, a, wave.astype(np.float64))
    noise = (np.random.RandomState(seed).rand(len(filtered)) - 0.5) * SINGER_NOISE
    loud = torch.from_numpy((filtered * SINGER_GAIN + noise).astype(np.float32))
    mel = mel_spectrum(loud, SINGER_MEL, "reflect")[0].clamp(min=AMPLITUDE_FLOOR)
    level = 20 * mel.log10() - REFERENCE_DB
    return np.ascontiguousarray(((level + RANGE_DB) / RANGE_DB).clamp(0.0, 1.0).numpy().T)


def encode_pitch(midi: npt.NDArray[np.floating], unvoiced: npt.NDArray[np.floating]) -> Array:
    """Return the pitch as one-hot vectors: (f,) MIDI numbers and flags -> (f, 47).

    Class 0 is unvoiced or below MIDI 36; pitches above 81 count as 81.
    """
    classes = np.clip(midi.astype(np.int64) - LOWEST_MIDI + 1, 0, MIDI_CLASSES)
    classes[unvoiced > 0.5] = 0
    return np.eye(PITCH_CLASSES, dtype=np.float32)[classes]


def normalize_features(
    features: npt.NDArray[np.floating],
    method: str,
    mean: npt.NDArray[np.floating] | None = None,
    std: npt.NDArray[np.floating] | None = None,
) -> npt.NDArray[np.floating]:
    """Normalize (f, c) features: by their own range or variance, or by a dataset's mean and std.

    mean, std: (c,), for `schluter` (each bin) and `global_unit_var` (all bins together).
    """
    if method == "none":
        return features
    if method == "zero_one":
        low, high = features.min(), features.max()
        return (features - low) / max(high - low, np.finfo(features.dtype).tiny)
    if method == "unit_var":
        return (features - features.mean()) / max(features.std(), np.finfo(features.dtype).tiny)
    if mean is None or std is None:
        raise InvalidValueError(
            f"The normalization {method} needs the mean and deviation of a dataset."
        )
    if method == "schluter":
        return (features - mean) / np.maximum(std, np.finfo(features.dtype).tiny)
    return (features - mean.mean()) / np.sqrt(np.square(std).mean())


class RunningStatistics:
    """Mean and population standard deviation of each bin, over arrays that come one by one."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = np.zeros(1)
        self._squares = np.zeros(1)

    def add(self, features: npt.NDArray[np.floating]) -> None:
        """Add the frames of one array: (f, c)."""
        count, mean = len(features), features.mean(0, dtype=np.float64)
        if not count:
            return
        squares = np.square(features - mean).sum(0, dtype=np.float64)
        total, delta = self._count + count, mean - self._mean
        self._squares = self._squares + squares + delta**2 * self._count * count / total
        self._mean = self._mean + delta * count / total
        self._count = total

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """(c,)."""
        return self._mean

    @property
    def std(self) -> npt.NDArray[np.float64]:
        """(c,)."""
        return np.sqrt(self._squares / max(self._count, 1))


def extract_features(wave: Array, config: FeatureConfig) -> Array:
    """Return the features of a wave that is ready for it: (n,) at config.sample_rate -> (f, c).

    Silence is not trimmed and nothing is normalized here: see `speakers.embedding.prepare_wave`.
    """
    if config.kind == "world" or config.pitch_condition:
        from speakers.modules.world import compute_pitch, compute_world_features

        if config.kind == "world":
            features = compute_world_features(wave, config)
            midi, unvoiced = features[:, -2], features[:, -1]
        else:
            features = _compute_mel_of_kind(wave, config.kind)
            midi, unvoiced = compute_pitch(wave, config, config.hop)
        if not config.pitch_condition:
            return features
        frames = min(len(features), len(midi))
        pitch = encode_pitch(midi[:frames], unvoiced[:frames])
        return np.concatenate([features[:frames], pitch], axis=1)
    return _compute_mel_of_kind(wave, config.kind)


def _compute_mel_of_kind(wave: Array, kind: str) -> Array:
    if kind == "singer_mel":
        return compute_singer_mel(wave)
    return compute_mel(wave, PEEWEE_MEL if kind == "peewee_mel" else GE2E_MEL)
