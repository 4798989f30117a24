"""Takes as one stream of sound, in the format that a client asked for, each as soon as it is there.

The takes on disk stay as they were spoken; nothing here imports a network.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from speech.stream import (
    STREAMED,
    Encoder,
    Steps,
    StreamError,
    encode_whole,
    encoder_for,
    read_steps,
    silence,
)
from studio.errors import refusing
from studio.results import LINES

__all__ = ["RATE", "STREAMED", "SoundStream", "check_format"]

RATE = 24_000  # Hz; every format knows it, and it is what clients expect of bare samples


def check_format(format: str) -> None:
    """Raise StudioError now for a format that could not be sent after minutes of speaking."""
    with refusing(StreamError):
        encoder_for(format, RATE)


class SoundStream:
    """Joins takes of one rate as they come, with the pause and the fades of the combined clip.

    volume: of the combined clip. Takes of lines are as the engine spoke them and get it here.
    """

    def __init__(self, format: str, *, pause_s: float, fade_ms: int, volume: float = 1.0) -> None:
        self._format = format
        self._volume = volume
        self._pause = silence(pause_s, RATE)
        self._fade = round(fade_ms * RATE / 1000)
        self._encoder: Encoder | None = None

    def add(self, take: Path) -> bytes:
        """Return what can be sent once this take is spoken."""
        steps = self._read(take)
        with refusing(StreamError):
            if self._encoder is None:
                self._encoder = encoder_for(self._format, RATE)
                return self._encoder.begin() + self._encoder.add(steps)
            return self._encoder.add(np.concatenate([self._pause, steps]))

    def end(self) -> bytes:
        """Return the rest of the stream."""
        return b"" if self._encoder is None else self._encoder.end()

    def whole(self, clip: Path) -> bytes:
        """Return one clip as a file of its own, whose header tells its length."""
        with refusing(StreamError):
            return encode_whole(self._read(clip), self._format, RATE)

    def _read(self, take: Path) -> Steps:
        with refusing(StreamError):
            steps, rate = read_steps(take)
        assert rate == RATE, "the request asked for takes of this rate"
        if take.parent.name.endswith(LINES) and self._volume != 1.0:
            steps = _louder(steps, self._volume)
        return _faded(steps, min(self._fade, len(steps) // 2))


def _louder(steps: Steps, volume: float) -> Steps:
    """Apply a volume; where that would clip, the loudest that does not."""
    wave = steps.astype(np.float64) * volume
    peak = float(np.abs(wave).max(initial=1.0))
    scaled: Steps = (wave * min(1.0, 32_767 / peak)).round().astype(np.int16)
    return scaled


def _faded(steps: Steps, n: int) -> Steps:
    """Let the sound come and go within n samples, so that joins do not click."""
    if n == 0:
        return steps
    ramp = np.linspace(0.0, 1.0, n, endpoint=False)
    faded = steps.astype(np.float64)
    faded[:n] *= ramp
    faded[-n:] *= ramp[::-1]
    rounded: Steps = faded.round().astype(np.int16)
    return rounded
