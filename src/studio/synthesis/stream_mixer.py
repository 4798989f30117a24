"""Concatenate takes into one encoded audio stream, each as soon as it is finished.

The takes on disk are not changed. Light: no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from audio.encoders import (
    Int16Samples,
    StreamEncoder,
    StreamError,
    create_encoder,
    encode_complete,
    find_audible_span,
    make_silence,
    read_int16_samples,
)
from audio.formats import STREAM_SAMPLE_RATE
from core.errors import reraise_as_app_error
from studio.synthesis.output_paths import LINES_DIR_SUFFIX


def check_stream_format(format: str, rate: int = STREAM_SAMPLE_RATE) -> None:
    """Raise AppError early for a format that cannot be streamed at this rate."""
    with reraise_as_app_error(StreamError):
        create_encoder(format, rate)


class StreamMixer:
    """Joins takes of one rate as they come, with the pause and the fades of the combined clip.

    volume: of the combined clip. Takes of lines are as the engine spoke them and get it here.
    """

    def __init__(self, format: str, *, pause_s: float, fade_ms: int, volume: float = 1.0) -> None:
        self._format = format
        self._volume = volume
        self._usual_pause_s = pause_s
        self._pause_s = 0.0  # behind the take before
        self._fade_ms = fade_ms
        self._rate = 0  # of the takes, once there is one
        self._is_asked = False  # whether the last take had a pause of its own
        self._encoder: StreamEncoder | None = None

    def add_take(self, take: Mapping[str, Any]) -> bytes:  # Any: plain values
        """Return what can be sent once this take, the data of a "take" event, is spoken."""
        return self.add(
            Path(str(take["path"])),
            pause_s=take.get("pause_s"),
            lead_s=take.get("lead_s", 0.0),
            is_last=take.get("is_last", False),
        )

    def add(
        self,
        take: Path,
        *,
        pause_s: float | None = None,
        lead_s: float = 0.0,
        is_last: bool = False,
    ) -> bytes:
        """Return what can be sent once this take is spoken.

        pause_s: seconds of silence behind it, None for the usual; lead_s: before it.
        """
        steps = self._read(take)
        audible = find_audible_span(steps, self._rate)
        start = audible.start if self._encoder is not None or lead_s else 0
        stop = len(steps) if is_last and not pause_s else audible.stop
        silence = make_silence(self._pause_s + lead_s, self._rate)
        steps = np.concatenate([silence, self._fade_edges(steps[start:stop])])
        self._pause_s = self._usual_pause_s if pause_s is None else pause_s
        self._is_asked = pause_s is not None
        with reraise_as_app_error(StreamError):
            if self._encoder is None:
                self._encoder = create_encoder(self._format, self._rate)
                return self._encoder.begin() + self._encoder.add(steps)
            return self._encoder.add(steps)

    def end(self) -> bytes:
        """Return the rest of the stream, with the silence that was asked for at its end."""
        if self._encoder is None:
            return b""
        silence = make_silence(self._pause_s if self._is_asked else 0.0, self._rate)
        return self._encoder.add(silence) + self._encoder.end()

    def encode_clip(self, clip: Path) -> bytes:
        """Return one clip encoded as a complete file, with its length in the header."""
        with reraise_as_app_error(StreamError):
            steps = self._fade_edges(self._read(clip))
            return encode_complete(steps, self._format, self._rate)

    def _fade_edges(self, steps: Int16Samples) -> Int16Samples:
        fade = round(self._fade_ms * self._rate / 1000)
        return _fade_edges(steps, min(fade, len(steps) // 2))

    def _read(self, take: Path) -> Int16Samples:
        with reraise_as_app_error(StreamError):
            steps, rate = read_int16_samples(take)
        assert self._rate in (0, rate), "all takes of a request have one rate"
        self._rate = rate
        if take.parent.name.endswith(LINES_DIR_SUFFIX) and self._volume != 1.0:
            return _apply_volume(steps, self._volume)
        return steps


def _apply_volume(steps: Int16Samples, volume: float) -> Int16Samples:
    """Apply a volume; where that would clip, the loudest that does not."""
    wave = steps.astype(np.float64) * volume
    peak = float(np.abs(wave).max(initial=1.0))
    scaled: Int16Samples = (wave * min(1.0, 32_767 / peak)).round().astype(np.int16)
    return scaled


def _fade_edges(steps: Int16Samples, n: int) -> Int16Samples:
    if n == 0:
        return steps
    ramp = np.linspace(0.0, 1.0, n, endpoint=False)
    faded = steps.astype(np.float64)
    faded[:n] *= ramp
    faded[-n:] *= ramp[::-1]
    rounded: Int16Samples = faded.round().astype(np.int16)
    return rounded
