"""Features of the vocoder WORLD: pitch, spectral envelope and aperiodicity of each frame.

pyworld computes them; the reductions other than `world` use pysptk. Both are extras.
Shapes: n samples, f frames.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from core.errors import AppError
from speakers.modules.feature_config import FeatureConfig

Doubles: TypeAlias = npt.NDArray[np.float64]

FREQUENCY_WARPING = 0.45
DECIBELS = 10 / np.log(10)  # of one unit of natural log power
DECIBEL_REDUCTIONS = ("chandna", "db_mceps")
ITERATED = {"itype": 3, "threshold": 1e-4}  # of amplitudes
SINGLE_PASS = {"itype": 1, "etype": 1, "eps": 1e-12, "maxiter": 0, "min_det": 0.0}  # of decibels
A4_HZ, A4_MIDI = 440.0, 69.0

# Any: neither package has types.


def compute_world_features(wave: npt.NDArray[np.float32], config: FeatureConfig) -> Any:
    """Return WORLD's features: (n,) -> (f, harmonics + aperiodicities + 2) float32.

    The last two columns are the pitch as MIDI number and 1 where a frame is unvoiced.
    Raises AppError where pyworld or pysptk is not installed.
    """
    world = _import("pyworld")
    samples, rate = wave.astype(np.float64), config.sample_rate
    if config.pitch_method == "wav2world":
        f0, envelope, aperiodicity = world.wav2world(
            samples, rate, fft_size=config.fft_size, frame_period=config.frame_ms
        )
    else:
        f0, times = _find_pitch(samples, config, config.frame_ms)
        envelope = world.cheaptrick(samples, f0, times, rate, fft_size=config.fft_size)
        aperiodicity = world.d4c(samples, f0, times, rate, fft_size=config.fft_size)
    if config.reduction == "world":
        coded = [
            world.code_spectral_envelope(envelope, rate, config.harmonics),
            world.code_aperiodicity(aperiodicity, rate),
        ]
    else:
        if config.reduction in DECIBEL_REDUCTIONS:
            envelope, aperiodicity = 10 * np.log10(envelope), 20 * np.log10(aperiodicity)
        coded = [
            _reduce(envelope, config.reduction, config.harmonics),
            _reduce(aperiodicity, config.reduction, config.aperiodicities),
        ]
    midi, unvoiced = convert_to_midi(f0)
    columns = [*coded, midi[:, None], unvoiced[:, None]]
    return np.concatenate(columns, axis=1).astype(np.float32)


def compute_pitch(
    wave: npt.NDArray[np.float32], config: FeatureConfig, hop: int
) -> tuple[Doubles, Doubles]:
    """Return MIDI numbers and unvoiced flags, one for every `hop` samples: (f,), (f,)."""
    world = _import("pyworld")
    samples, frame_ms = wave.astype(np.float64), 1_000.0 * hop / config.sample_rate
    if config.pitch_method == "wav2world":
        f0 = world.wav2world(samples, config.sample_rate, frame_period=frame_ms)[0]
    else:
        f0 = _find_pitch(samples, config, frame_ms)[0]
    return convert_to_midi(f0)


def convert_to_midi(f0: Doubles) -> tuple[Doubles, Doubles]:
    """Return MIDI numbers and unvoiced flags of frequencies in Hz: (f,) -> (f,), (f,).

    Unvoiced stretches (0 Hz) are interpolated; without any voiced frame the numbers are 0.
    """
    voiced = np.flatnonzero(f0 > 0)
    unvoiced = (f0 <= 0).astype(np.float64)
    if not len(voiced):
        return np.zeros(len(f0)), unvoiced
    known = A4_MIDI + 12 * np.log2(f0[voiced] / A4_HZ)
    return np.interp(np.arange(len(f0)), voiced, known), unvoiced


def _find_pitch(samples: Doubles, config: FeatureConfig, frame_ms: float) -> tuple[Doubles, Any]:
    world = _import("pyworld")
    find = world.harvest if config.pitch_method == "harvest" else world.dio
    f0, times = find(
        samples,
        config.sample_rate,
        f0_floor=config.low_hz,
        f0_ceil=config.high_hz,
        frame_period=frame_ms,
    )
    return world.stonemask(samples, f0, times, config.sample_rate), times


def _reduce(spectrum: Doubles, reduction: str, count: int) -> Doubles:
    """Return `count` coefficients of each frame: (f, bins) -> (f, count).

    As the singer identity encoder does, which passes `mceps` the power itself as decibels.
    """
    options = ITERATED if reduction == "code-h" else SINGLE_PASS
    sptk = _import("pysptk")
    rows = np.ascontiguousarray(spectrum)
    cepstrum = np.stack(
        [sptk.mcep(row, order=count - 1, alpha=FREQUENCY_WARPING, **options) for row in rows]
    )
    if reduction == "code-h":
        return _warp_to_mfsc(cepstrum)
    return DECIBELS * _warp_to_mfsc(cepstrum) if reduction == "chandna" else cepstrum


def _warp_to_mfsc(cepstrum: Doubles) -> Doubles:
    """Return the mel-frequency spectral coefficients of a mel cepstrum: (f, count)."""
    doubled = cepstrum.copy()
    doubled[:, 0] *= 2
    doubled[:, -1] *= 2
    mirrored = np.hstack([doubled[:, :-1], doubled[:, -1:0:-1]])
    return np.ascontiguousarray(np.fft.rfft(mirrored).real)


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise AppError(
            f"These features need the package {name}. Install requirements-extra.txt."
        ) from error
