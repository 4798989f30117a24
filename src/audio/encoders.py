"""Encode audio as a stream, part by part. Light: no torch.

encoder = create_encoder("mp3", 24_000); send(encoder.begin() + encoder.add(samples)); ...;
send(encoder.end())
"""

from __future__ import annotations

import io
import struct
import wave
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import soundfile

from audio.ffmpeg import FfmpegError, encode_aac, find_ffmpeg
from audio.formats import ENCODINGS, SAMPLE_RATES, STREAM_FORMATS
from core.errors import CodedError

if TYPE_CHECKING:
    from typing_extensions import Buffer

Int16Samples: TypeAlias = npt.NDArray[np.int16]  # (n,): one channel, 16 bits
T = TypeVar("T")
UNKNOWN_SIZE = 0xFFFFFFFF  # of a wav whose end is not known yet
BLOCK_SAMPLES = 1 << 16
EDGE_FRAME_S = 0.005
EDGE_LEVEL = 10 ** (-50 / 20)  # of the peak


class StreamError(CodedError, ValueError):
    """Audio cannot be streamed in this format; the message says what to do."""


class StreamEncoder(Protocol):
    """Encodes 16-bit samples as the bytes of one stream."""

    def begin(self) -> bytes:
        """Return the header."""
        ...

    def add(self, steps: Int16Samples) -> bytes:
        """Encode samples; return the bytes that are ready."""
        ...

    def end(self) -> bytes:
        """Return the remaining bytes."""
        ...


def create_encoder(format: str, rate: int) -> StreamEncoder:
    """Return an encoder for one channel.

    rate: Hz. Raises StreamError for an unknown format, a rate that it does not support, or for aac
    without ffmpeg.
    """
    allowed = SAMPLE_RATES.get(format, (rate,))
    if rate not in allowed:
        rates = ", ".join(map(str, allowed))
        raise StreamError(f"{format} cannot have {rate} Hz. Choose one of: {rates}.")
    if format == "pcm":
        return _PcmEncoder()
    if format == "wav":
        return _WavEncoder(rate)
    if format == "aac":
        return _AacEncoder(rate)
    if format in ENCODINGS and format in STREAM_FORMATS:
        return _SoundFileEncoder(format, rate)
    raise StreamError(f"There is no format {format!r}. Choose one of: {', '.join(STREAM_FORMATS)}.")


def encode_complete(steps: Int16Samples, format: str, rate: int) -> bytes:
    """Encode a complete clip, with its true length in the header."""
    if format == "wav":
        sink = io.BytesIO()
        with wave.open(sink, "wb") as file:
            file.setparams((1, 2, rate, len(steps), "NONE", ""))
            file.writeframes(steps.astype("<i2").tobytes())
        return sink.getvalue()
    if format in ENCODINGS and format in STREAM_FORMATS:
        whole = _SoundFileEncoder(format, rate)
        whole.add(steps)
        whole.end()
        return whole.sink.getvalue()
    encoder = create_encoder(format, rate)
    return encoder.begin() + encoder.add(steps) + encoder.end()


def write_file(
    path: Path,
    blocks: Iterable[npt.NDArray[Any]],
    format: str,
    rate: int,
    comment: str = "",
    encoding: str = "",
) -> None:
    """Write one channel block by block.

    blocks: (n,) each, of int16 or int32 at full scale, or float32 (Any: one of them); format: a key
    of ENCODINGS; comment: for the comment tag, which each of the formats has; encoding: "" for that
    of the format. Blocks of vorbis must be short: long ones overrun the stack of libsndfile. Raises
    OSError where the disk refuses.
    """
    with path.open("w+b") as opened:
        sink = _ErrorKeepingFile(opened)
        try:
            _write_blocks(sink, blocks, encoding or ENCODINGS[format][1], format, rate, comment)
        finally:
            sink.flush()


def _write_blocks(
    sink: _ErrorKeepingFile,
    blocks: Iterable[npt.NDArray[Any]],
    encoding: str,
    format: str,
    rate: int,
    comment: str,
) -> None:
    container, _ = ENCODINGS[format]
    with soundfile.SoundFile(
        sink, "w", rate, channels=1, format=container, subtype=encoding
    ) as file:
        if comment:
            file.comment = comment
        for block in blocks:
            file.write(block)


def read_int16_samples(path: Path) -> tuple[Int16Samples, int]:
    """Return the 16-bit samples of the first channel of a file, and the sample rate."""
    try:
        samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise StreamError(
            f"{path.name} cannot be read as audio. Generate it again.", code="bad_clip"
        ) from error
    return np.ascontiguousarray(samples[:, 0]), int(rate)


def make_silence(seconds: float, rate: int) -> Int16Samples:
    """Return silence of a duration."""
    return np.zeros(round(seconds * rate), np.int16)


def find_audible_span(samples: npt.NDArray[Any], rate: int) -> slice:  # Any: float or integer
    """Return the samples (n,) between the silence at both ends; all of them in a silent clip.

    Silence are frames of 5 ms whose peak is 50 dB below the peak of the clip.
    """
    frame = max(1, round(EDGE_FRAME_S * rate))
    padded = np.abs(np.pad(samples.astype(np.float64), (0, -len(samples) % frame)))
    peaks = padded.reshape(-1, frame).max(axis=1, initial=0.0)  # (frames,)
    audible = np.flatnonzero(peaks > peaks.max(initial=0.0) * EDGE_LEVEL)
    if not audible.size:
        return slice(0, len(samples))
    return slice(int(audible[0]) * frame, min(len(samples), (int(audible[-1]) + 1) * frame))


class _PcmEncoder:
    def begin(self) -> bytes:
        return b""

    def add(self, steps: Int16Samples) -> bytes:
        return steps.astype("<i2").tobytes()

    def end(self) -> bytes:
        return b""


class _WavEncoder(_PcmEncoder):
    """A wav with unknown length in its header, which players of streams accept."""

    def __init__(self, rate: int) -> None:
        self._rate = rate

    def begin(self) -> bytes:
        form = struct.pack("<HHIIHH", 1, 1, self._rate, self._rate * 2, 2, 16)
        riff = b"RIFF" + struct.pack("<I", UNKNOWN_SIZE) + b"WAVE"
        return riff + b"fmt " + struct.pack("<I", 16) + form + b"data" + riff[4:8]


class _RecordingSink(io.BytesIO):
    """Remembers the size of the first write."""

    first_write_size = 0

    def write(self, data: Buffer, /) -> int:
        written = super().write(data)
        self.first_write_size = self.first_write_size or written
        return written


class _ErrorKeepingFile:
    """A file for libsndfile, which continues after an exception of the file and reports none."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        return self._keep_error(self._file.read, size) or b""

    def write(self, data: Buffer, /) -> int:
        return self._keep_error(self._file.write, data) or 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._keep_error(self._file.seek, offset, whence) or 0

    def tell(self) -> int:
        return self._keep_error(self._file.tell) or 0

    def flush(self) -> None:
        """Write what is buffered; raise the first error of all calls."""
        if self._error is not None:
            raise self._error
        self._file.flush()

    def _keep_error(self, call: Callable[..., T], *arguments: Any) -> T | None:
        try:
            return call(*arguments)
        except OSError as error:
            self._error = self._error or error
            return None


class _SoundFileEncoder:
    """Encodes with libsndfile."""

    def __init__(self, format: str, rate: int) -> None:
        container, encoding = ENCODINGS[format]
        self.sink = _RecordingSink()
        self._sent = 0
        self._skips_first = format == "mp3"  # a header frame with the length, wrong until the end
        self._file = soundfile.SoundFile(
            self.sink, "w", rate, channels=1, format=container, subtype=encoding
        )

    def begin(self) -> bytes:
        return b""

    def add(self, steps: Int16Samples) -> bytes:
        for start in range(0, len(steps), BLOCK_SAMPLES):  # long vorbis overruns libsndfile's stack
            self._file.write(steps[start : start + BLOCK_SAMPLES])
        return self._take_new_bytes()

    def end(self) -> bytes:
        self._file.close()
        return self._take_new_bytes()

    def _take_new_bytes(self) -> bytes:
        """Return the appended bytes; later corrections of the header are not streamed."""
        if self._skips_first and self.sink.first_write_size:
            self._sent, self._skips_first = self.sink.first_write_size, False
        with self.sink.getbuffer() as written:
            ready = bytes(written[self._sent :])
        self._sent += len(ready)
        return ready


class _AacEncoder:
    """AAC in ADTS frames, which need no header: ffmpeg encodes each part by itself."""

    def __init__(self, rate: int) -> None:
        if find_ffmpeg() is None:
            raise StreamError(
                "aac needs the program ffmpeg, which is not installed. Install it, or choose mp3, "
                "opus, flac, wav or pcm.",
                code="missing_ffmpeg",
            )
        self._rate = rate

    def begin(self) -> bytes:
        return b""

    def add(self, steps: Int16Samples) -> bytes:
        if not len(steps):
            return b""
        try:
            return encode_aac(steps.astype("<i2").tobytes(), self._rate)
        except (OSError, FfmpegError) as error:
            raise StreamError("ffmpeg could not encode aac. Choose mp3 or opus.") from error

    def end(self) -> bytes:
        return b""
