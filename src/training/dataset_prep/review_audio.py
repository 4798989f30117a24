"""Merge and split the audio of clips. Light."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.files import atomic_path
from training.dataset_prep.manifest import CLIP_SAMPLE_RATE, ManifestError

PcmSamples = npt.NDArray[np.int16]  # (n,)

FADE_SAMPLES = round(0.005 * CLIP_SAMPLE_RATE)
EDGE_SAMPLES = round(0.04 * CLIP_SAMPLE_RATE)  # at the end of a clip, of room tone
SMOOTHING_SAMPLES = round(0.02 * CLIP_SAMPLE_RATE)  # over which quiet is looked for


def read_samples(path: Path) -> PcmSamples:
    """Read a clip of a dataset.  Raises ManifestError where it is missing or of another format."""
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (
                1,
                2,
                CLIP_SAMPLE_RATE,
            ):
                raise ManifestError(
                    f"{path.name} is not {CLIP_SAMPLE_RATE:,} Hz mono with 16 bits. Prepare the "
                    f"dataset "
                    "again."
                )
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    except (OSError, EOFError, wave.Error) as error:
        raise ManifestError(
            f"The audio file {path.name} cannot be read ({error}). Prepare the dataset again."
        ) from error


def write_samples(path: Path, steps: PcmSamples) -> None:
    """Write a clip atomically."""
    with atomic_path(path) as part, wave.open(str(part), "wb") as file:
        file.setparams((1, 2, CLIP_SAMPLE_RATE, len(steps), "NONE", ""))
        file.writeframes(steps.astype("<i2").tobytes())


def concatenate_with_pause(first: PcmSamples, second: PcmSamples, pause_s: float) -> PcmSamples:
    """Join two clips, with a pause of the background noise of the first."""
    pause = _make_room_noise(first, round(max(0.0, pause_s) * CLIP_SAMPLE_RATE))
    return np.concatenate([_fade_out(first), pause, _fade_in(second)])


def split_samples(steps: PcmSamples, at_s: float) -> tuple[PcmSamples, PcmSamples]:
    """Split a clip in two."""
    at = round(at_s * CLIP_SAMPLE_RATE)
    return _fade_out(steps[:at]), _fade_in(steps[at:])


def find_quietest_moment(steps: PcmSamples, first_s: float, last_s: float) -> float:
    """Return the quietest time between two times of a clip."""
    start, stop = (
        min(len(steps), max(0, round(at * CLIP_SAMPLE_RATE))) for at in (first_s, last_s)
    )
    power = np.square(steps[start:stop].astype(np.float64))
    if len(power) <= SMOOTHING_SAMPLES:
        return (first_s + last_s) / 2
    smooth = np.convolve(power, np.ones(SMOOTHING_SAMPLES) / SMOOTHING_SAMPLES, "valid")
    return float((start + int(smooth.argmin()) + SMOOTHING_SAMPLES / 2) / CLIP_SAMPLE_RATE)


def _make_room_noise(steps: PcmSamples, length: int) -> PcmSamples:
    """Return noise as loud as the quietest parts of a clip: (length,)."""
    edge = steps[-EDGE_SAMPLES:].astype(np.float64)
    power = float(np.sqrt(np.square(edge).mean())) if len(edge) else 0.0
    noise = np.random.default_rng(0).normal(0.0, min(power, 60.0), length)
    sound: PcmSamples = noise.round().astype(np.int16)
    return sound


def _fade_out(steps: PcmSamples) -> PcmSamples:
    return _apply_fade_in(steps[::-1])[::-1]


def _fade_in(steps: PcmSamples) -> PcmSamples:
    return _apply_fade_in(steps)


def _apply_fade_in(steps: Sequence[int] | PcmSamples) -> PcmSamples:
    ramp = np.linspace(0.0, 1.0, min(FADE_SAMPLES, len(steps)))
    faded = np.array(steps, np.float64)
    faded[: len(ramp)] *= ramp
    return faded.round().astype(np.int16)
