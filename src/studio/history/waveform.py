"""The waveform of an audio file as a few hundred peaks, for drawing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

MAX_PEAKS = 800
CACHED_FILES = 500
BLOCK_FRAMES = 1 << 16
DIGITS = 3  # of a peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Waveform:
    """duration: seconds;  peaks: the largest absolute sample of equal parts of the file, 0 to 1."""

    duration: float = 0.0
    peaks: tuple[float, ...] = ()


def read_waveform(path: Path) -> Waveform:
    """Return the waveform of a file; an empty one where soundfile cannot read it."""
    try:
        changed = path.stat().st_mtime_ns
        return _read_waveform(path, changed)
    except (OSError, soundfile.LibsndfileError):
        return Waveform()


@lru_cache(maxsize=CACHED_FILES)
def _read_waveform(path: Path, changed_ns: int) -> Waveform:
    with soundfile.SoundFile(path) as file:
        frames, rate = file.frames, file.samplerate
        width = max(1, -(-frames // MAX_PEAKS))
        peaks: list[float] = []
        for block in file.blocks(blocksize=width * max(1, BLOCK_FRAMES // width), dtype="float32"):
            loudness = np.abs(block) if block.ndim == 1 else np.abs(block).max(axis=1)
            starts = np.arange(0, len(loudness), width)
            peaks += np.maximum.reduceat(loudness, starts).tolist() if len(loudness) else []
    return Waveform(
        duration=frames / rate, peaks=tuple(round(min(peak, 1.0), DIGITS) for peak in peaks)
    )
