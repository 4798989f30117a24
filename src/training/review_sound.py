"""The sound of clips joined and cut by a person, without loading anything heavy."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.manifest import CLIP_RATE, ManifestError

Steps = npt.NDArray[np.int16]  # (n,)

FADE = round(0.005 * CLIP_RATE)
EDGE = round(0.04 * CLIP_RATE)  # at the end of a clip, where only the room is heard
LOOK = round(0.02 * CLIP_RATE)  # over which quiet is looked for


def read_steps(path: Path) -> Steps:
    """Read a clip of a dataset.  Raises ManifestError where it is missing or no such clip."""
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, CLIP_RATE):
                raise ManifestError(
                    f"{path.name} is not {CLIP_RATE:,} Hz mono with 16 bits. Prepare the dataset "
                    "again."
                )
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    except (OSError, EOFError, wave.Error) as error:
        raise ManifestError(
            f"The sound {path.name} cannot be read ({error}). Prepare the dataset again."
        ) from error


def write_steps(path: Path, steps: Steps) -> None:
    """Write a clip, whole or not at all."""
    beside = path.with_name(f"{path.name}.part")
    try:
        with wave.open(str(beside), "wb") as file:
            file.setparams((1, 2, CLIP_RATE, len(steps), "NONE", ""))
            file.writeframes(steps.astype("<i2").tobytes())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def joined(first: Steps, second: Steps, pause_s: float) -> Steps:
    """Return one clip after another, with a pause that sounds like the room of the first."""
    pause = _room(first, round(max(0.0, pause_s) * CLIP_RATE))
    return np.concatenate([_faded_out(first), pause, _faded_in(second)])


def cut(steps: Steps, at_s: float) -> tuple[Steps, Steps]:
    """Return a clip as two."""
    at = round(at_s * CLIP_RATE)
    return _faded_out(steps[:at]), _faded_in(steps[at:])


def quietest(steps: Steps, first_s: float, last_s: float) -> float:
    """Return the quietest moment between two seconds of a clip."""
    start, stop = (min(len(steps), max(0, round(at * CLIP_RATE))) for at in (first_s, last_s))
    power = np.square(steps[start:stop].astype(np.float64))
    if len(power) <= LOOK:
        return (first_s + last_s) / 2
    smooth = np.convolve(power, np.ones(LOOK) / LOOK, "valid")
    return float((start + int(smooth.argmin()) + LOOK / 2) / CLIP_RATE)


def _room(steps: Steps, length: int) -> Steps:
    """Return noise as loud as the quiet end of a clip: (length,)."""
    edge = steps[-EDGE:].astype(np.float64)
    power = float(np.sqrt(np.square(edge).mean())) if len(edge) else 0.0
    noise = np.random.default_rng(0).normal(0.0, min(power, 60.0), length)
    sound: Steps = noise.round().astype(np.int16)
    return sound


def _faded_out(steps: Steps) -> Steps:
    return _faded(steps[::-1])[::-1]


def _faded_in(steps: Steps) -> Steps:
    return _faded(steps)


def _faded(steps: Sequence[int] | Steps) -> Steps:
    ramp = np.linspace(0.0, 1.0, min(FADE, len(steps)))
    faded = np.array(steps, np.float64)
    faded[: len(ramp)] *= ramp
    return faded.round().astype(np.int16)
