"""Sound encoded while it is still being made: bytes that can be sent on at once. Light: no torch.

encoder = encoder_for("mp3", 24_000)
send(encoder.begin() + encoder.add(samples)); ...; send(encoder.end())
"""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import wave
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile

from core.errors import CodedError

if TYPE_CHECKING:
    from typing_extensions import Buffer

Int16Samples: TypeAlias = npt.NDArray[np.int16]  # (n,): one channel, 16 bits
CONTAINER_FORMATS = MappingProxyType(  # as libsndfile calls them
    {"mp3": ("MP3", "MPEG_LAYER_III"), "opus": ("OGG", "OPUS"), "flac": ("FLAC", "PCM_16")}
)
STREAM_FORMATS = ("wav", "mp3", "opus", "flac", "aac", "pcm")
UNKNOWN_SIZE = 0xFFFFFFFF  # of a wav whose end is not known yet
BLOCK_SAMPLES = 1 << 16
AAC_TIMEOUT_S = 120.0


class StreamError(CodedError, ValueError):
    """Sound cannot be sent in this format; the message says what to do."""


class StreamEncoder(Protocol):
    """Turns samples into bytes of one stream."""

    def begin(self) -> bytes:
        """Return what stands before the first sample."""
        ...

    def add(self, steps: Int16Samples) -> bytes:
        """Take samples; return the bytes that are ready by now."""
        ...

    def end(self) -> bytes:
        """Return what is left."""
        ...


def create_encoder(format: str, rate: int) -> StreamEncoder:
    """Return an encoder of one channel.

    rate: Hz.  Raises StreamError for an unknown format, or for aac where there is no ffmpeg.
    """
    if format == "pcm":
        return _PcmEncoder()
    if format == "wav":
        return _WavEncoder(rate)
    if format == "aac":
        return _AacEncoder(rate, _find_ffmpeg())
    if format in CONTAINER_FORMATS:
        return _SoundFileEncoder(format, rate)
    raise StreamError(f"There is no format {format!r}. Choose one of: {', '.join(STREAM_FORMATS)}.")


def encode_complete(steps: Int16Samples, format: str, rate: int) -> bytes:
    """Encode sound that is all there: headers tell its true length."""
    if format == "wav":
        sink = io.BytesIO()
        with wave.open(sink, "wb") as file:
            file.setparams((1, 2, rate, len(steps), "NONE", ""))
            file.writeframes(steps.astype("<i2").tobytes())
        return sink.getvalue()
    if format in CONTAINER_FORMATS:
        whole = _SoundFileEncoder(format, rate)
        whole.add(steps)
        whole.end()
        return whole.sink.getvalue()
    encoder = create_encoder(format, rate)
    return encoder.begin() + encoder.add(steps) + encoder.end()


def read_int16_samples(path: Path) -> tuple[Int16Samples, int]:
    """Read a sound file as 16-bit samples of one channel, and its rate in Hz."""
    try:
        samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise StreamError(
            f"{path.name} cannot be read as sound. Speak it again.", code="bad_clip"
        ) from error
    return np.ascontiguousarray(samples[:, 0]), int(rate)


def make_silence(seconds: float, rate: int) -> Int16Samples:
    """Return that much silence."""
    return np.zeros(round(seconds * rate), np.int16)


class _PcmEncoder:
    """Bare samples, little end first."""

    def begin(self) -> bytes:
        return b""

    def add(self, steps: Int16Samples) -> bytes:
        return steps.astype("<i2").tobytes()

    def end(self) -> bytes:
        return b""


class _WavEncoder(_PcmEncoder):
    """A wav whose header says that its length is unknown, as players of streams expect."""

    def __init__(self, rate: int) -> None:
        self._rate = rate

    def begin(self) -> bytes:
        form = struct.pack("<HHIIHH", 1, 1, self._rate, self._rate * 2, 2, 16)
        riff = b"RIFF" + struct.pack("<I", UNKNOWN_SIZE) + b"WAVE"
        return riff + b"fmt " + struct.pack("<I", 16) + form + b"data" + riff[4:8]


class _RecordingSink(io.BytesIO):
    """Keeps what is written, and how much of it came first."""

    first_write_size = 0

    def write(self, data: Buffer, /) -> int:
        written = super().write(data)
        self.first_write_size = self.first_write_size or written
        return written


class _SoundFileEncoder:
    """What libsndfile writes, taken from its hands as it comes."""

    def __init__(self, format: str, rate: int) -> None:
        container, encoding = CONTAINER_FORMATS[format]
        self.sink = _RecordingSink()
        self._sent = 0
        self._skips_first = format == "mp3"  # a frame that tells the length, wrongly until the end
        self._file = soundfile.SoundFile(
            self.sink, "w", rate, channels=1, format=container, subtype=encoding
        )

    def begin(self) -> bytes:
        return b""

    def add(self, steps: Int16Samples) -> bytes:
        for start in range(
            0, len(steps), BLOCK_SAMPLES
        ):  # libsndfile overruns its stack on long vorbis
            self._file.write(steps[start : start + BLOCK_SAMPLES])
        return self._take_new_bytes()

    def end(self) -> bytes:
        self._file.close()
        return self._take_new_bytes()

    def _take_new_bytes(self) -> bytes:
        """Return what was appended; corrections of the header come too late for a stream."""
        if self._skips_first and self.sink.first_write_size:
            self._sent, self._skips_first = self.sink.first_write_size, False
        with self.sink.getbuffer() as written:
            ready = bytes(written[self._sent :])
        self._sent += len(ready)
        return ready


class _AacEncoder:
    """AAC in ADTS frames, which need no header: each part is encoded by ffmpeg as it comes."""

    def __init__(self, rate: int, program: str) -> None:
        self._rate = rate
        self._program = program

    def begin(self) -> bytes:
        return b""

    def add(self, steps: Int16Samples) -> bytes:
        if not len(steps):
            return b""
        command = [self._program, "-nostdin", "-v", "error", "-f", "s16le", "-ar", f"{self._rate}"]
        command += ["-ac", "1", "-i", "pipe:0", "-c:a", "aac", "-f", "adts", "pipe:1"]
        data = steps.astype("<i2").tobytes()
        done = subprocess.run(command, input=data, capture_output=True, timeout=AAC_TIMEOUT_S)
        if done.returncode != 0:
            raise StreamError("ffmpeg could not encode aac. Choose mp3 or opus.")
        return done.stdout

    def end(self) -> bytes:
        return b""


def _find_ffmpeg() -> str:
    program = shutil.which("ffmpeg")
    if program is None:
        raise StreamError(
            "aac needs the program ffmpeg, which is not installed. Install it, or choose mp3, "
            "opus, flac, wav or pcm.",
            code="missing_ffmpeg",
        )
    return program
