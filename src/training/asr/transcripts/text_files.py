"""Read text files of unknown encoding."""

from __future__ import annotations

import codecs
from pathlib import Path

from training.asr.base import TranscribeError

MAX_FILE_BYTES = 64_000_000  # bytes; a book of a hundred hours has five million letters
_BOM_ENCODINGS = (  # the longer mark first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CP1252_PUNCTUATION = frozenset(b"\x85\x91\x92\x93\x94\x96\x97\xa0")
"""… ‘ ’ “ ” – — and the no-break space: the same in every Windows encoding, never letters."""


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, or in another encoding that is certain.

    Line ends become "\\n". Raises TranscribeError naming the file and the wrong byte.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise TranscribeError(
                f"{path.name} has {size:,} bytes; at most {MAX_FILE_BYTES:,} are read as a "
                f"transcript. "
                "Split it, or move it out of the folder."
            )
        data = path.read_bytes()
    except OSError as error:
        raise TranscribeError(f"{path} cannot be read: {error.strerror}.") from error
    return _decode(path, data).replace("\r\n", "\n").replace("\r", "\n")


def _decode(path: Path, data: bytes) -> str:
    for mark, encoding in _BOM_ENCODINGS:
        if data.startswith(mark):
            return _decode_as(path, data, encoding)
    if b"\0" in data:
        raise TranscribeError(
            f"{path.name} is not a text file: byte {data.index(0):,} is zero. Save it as UTF-8, "
            "or move it out of the folder."
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if {byte for byte in data if byte > 0x7F} <= _CP1252_PUNCTUATION:
            return data.decode("cp1252")
        raise TranscribeError(
            f"{path.name} is not UTF-8: byte {error.start:,} is 0x{data[error.start]:02x}. "
            "Its encoding is unknown; save the file as UTF-8."
        ) from error


def _decode_as(path: Path, data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise TranscribeError(
            f"{path.name} starts like {encoding.removesuffix('-sig').upper()}, but byte "
            f"{error.start:,} is not. It is damaged; save it again as UTF-8."
        ) from error
