"""WAV files that were not finished or are cut off: what they hold is read in spite of the header.

A recorder writes the size of the data when it stops. Where it crashed, the header says 0 or a size
from the middle of the recording, and libsndfile reads no further.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path

MAX_HEADER_BYTES = 1 << 20
STREAM_SIZES = (0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF - 36, 0x80000000)
"""Sizes that programs write which do not know the length before the end."""
_HEADER = struct.Struct("<4sI4s")
_CHUNK = struct.Struct("<4sI")


@dataclass(frozen=True, slots=True, kw_only=True)
class WavSize:
    """Sizes of a WAV file in bytes.

    data_at: where the samples start. stated: by the header. present: in the file. frame_bytes: of
    one sample of all channels.
    """

    data_at: int
    stated: int
    present: int
    frame_bytes: int
    frames_per_s: int

    @property
    def is_unfinished(self) -> bool:
        """Whether there are more samples than the header says."""
        return self.stated < self.present

    @property
    def is_cut_off(self) -> bool:
        """Whether there are fewer samples than the header says."""
        return self.stated - self.present >= self.frame_bytes and self.stated not in STREAM_SIZES

    def get_duration_s(self, size: int) -> float:
        """Return the duration of so many bytes in seconds."""
        return size / self.frame_bytes / self.frames_per_s


def describe_wav_damage(path: Path) -> str:
    """Return what of a damaged WAV file can be read, as a sentence; "" for a good file."""
    size = measure_wav(path)
    if size is None or not (size.is_unfinished or size.is_cut_off):
        return ""
    found = f"{size.get_duration_s(size.present):.1f} s"
    if size.is_cut_off:
        whole = f"{size.get_duration_s(size.stated):.1f} s"
        return f"{path.name} is cut off: {found} of {whole} could be saved."
    return f"{path.name} was not finished when it was recorded: {found} could be saved."


def open_unfinished_wav(path: Path) -> io.BufferedIOBase | None:
    """Open an unfinished WAV file with a corrected header; None for any other file."""
    size = measure_wav(path)
    if size is None or not size.is_unfinished:
        return None
    with path.open("rb") as file:
        header = bytearray(file.read(size.data_at))
    kept = size.present - size.present % size.frame_bytes
    _CHUNK.pack_into(header, size.data_at - _CHUNK.size, b"data", min(kept, 0xFFFFFFFF))
    _HEADER.pack_into(header, 0, b"RIFF", min(size.data_at + kept - 8, 0xFFFFFFFF), b"WAVE")
    return io.BufferedReader(_PatchedFile(path, bytes(header)))


def measure_wav(path: Path) -> WavSize | None:
    """Return the sizes of a WAV file; None for another file and for one without samples."""
    try:
        whole = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(min(whole, MAX_HEADER_BYTES))
    except OSError:
        return None
    if len(head) < _HEADER.size or head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    at, frame_bytes, frames_per_s = _HEADER.size, 0, 0
    while at + _CHUNK.size <= len(head):
        name, stated = _CHUNK.unpack_from(head, at)
        at += _CHUNK.size
        if name == b"data":
            present = whole - at
            if not frame_bytes or not frames_per_s or not present:
                return None
            if stated < present and _has_chunks(path, at + stated + stated % 2, whole):
                present = stated  # other chunks follow the samples
            return WavSize(
                data_at=at,
                stated=stated,
                present=present,
                frame_bytes=frame_bytes,
                frames_per_s=frames_per_s,
            )
        if name == b"fmt " and at + 16 <= len(head):
            _, _, frames_per_s, _, frame_bytes, _ = struct.unpack_from("<HHIIHH", head, at)
        at += stated + stated % 2
    return None


def _has_chunks(path: Path, start: int, whole: int) -> bool:
    """Return whether the rest of a file is a chain of chunks, or padding."""
    at = start
    with path.open("rb") as file:
        while at + _CHUNK.size <= whole:
            file.seek(at)
            name, size = _CHUNK.unpack(file.read(_CHUNK.size))
            if not (name.isascii() and name.decode("ascii").isprintable() and name.strip()):
                return False
            at += _CHUNK.size + size + size % 2
    return start > 0 and at <= whole + 1 and whole - at < _CHUNK.size


class _PatchedFile(io.RawIOBase):
    """A file whose first bytes are replaced."""

    def __init__(self, path: Path, header: bytes) -> None:
        self._file = path.open("rb")
        self._header = header

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer
        at = self._file.tell()
        count = self._file.readinto(buffer)
        patch = self._header[at : at + count]
        buffer[: len(patch)] = patch
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
