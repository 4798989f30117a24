"""Read text files of unknown encoding."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from core.errors import CodedError

MAX_FILE_BYTES = 64_000_000  # bytes; a book of a hundred hours has five million letters
_BOM_ENCODINGS = (  # the longer mark first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UTF16_SAMPLE_BYTES = 4096
_UTF8_LETTERS = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}")
_WORD = re.compile(r"[^\W\d_]+")
_SIGN_IN_WORD = re.compile(r"(?<=[^\W\d_])[^\w\s\x00-\x7f‘’–—…\xad\xa0·](?=[^\W\d_])")
_SIGN_AT_WORD = re.compile(r"[^\W\d_][¿¡‚„¶±¯¼¾¦¬¹‡†]|[²³¹±¶¼¾¯¦¬÷×][^\W\d_]")
_CAPITAL_AFTER_SMALL = re.compile(r"[a-zß-öø-ÿ][À-ÖØ-ÞŠŒŽŸ]")
_LETTERS_OF_OTHER_ENCODINGS = frozenset("ðþýÐÞÝ")  # ğ, ş and ı in Turkish, š and ž in Baltic ones


class TextFileError(CodedError, ValueError):
    """A file that cannot be read as text or as a table; the message says what to do."""

    code = "bad_request"


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, or in another encoding that is certain.

    Line ends become "\\n". Raises TextFileError naming the file and the wrong byte.
    """
    return decode_text(path.name, read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """Read a file.  Raises TextFileError for one that is missing, unreadable or too large."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise TextFileError(
                f"{path.name} has {size:,} bytes; at most {MAX_FILE_BYTES:,} are read as a text. "
                "Split it, or move it out of the folder."
            )
        return path.read_bytes()
    except OSError as error:
        raise TextFileError(f"{path} cannot be read: {error.strerror}.") from error


def decode_text(name: str, data: bytes) -> str:
    """Decode the bytes of a file.  name: of the file, for messages.  Raises TextFileError."""
    return _decode(name, data).replace("\r\n", "\n").replace("\r", "\n")


def _decode(name: str, data: bytes) -> str:
    for mark, encoding in _BOM_ENCODINGS:
        if data.startswith(mark):
            return _decode_as(name, data, encoding)
    unmarked = _find_unmarked_utf16(data)
    if unmarked:
        return _decode_as(name, data, unmarked)
    if b"\0" in data:
        raise TextFileError(
            f"{name} is not a text file: byte {data.index(0):,} is zero. Save it as UTF-8, "
            "or move it out of the folder."
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        western = _decode_western(data)
        if western is not None:
            return western
        raise TextFileError(
            f"{name} is not UTF-8: byte {error.start:,} is 0x{data[error.start]:02x}. "
            "Its encoding is unknown; save the file as UTF-8."
        ) from error


def _decode_as(name: str, data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise TextFileError(
            f"{name} starts like {encoding.removesuffix('-sig').upper()}, but byte "
            f"{error.start:,} is not. It is damaged; save it again as UTF-8."
        ) from error


def _find_unmarked_utf16(data: bytes) -> str:
    """Return the encoding of UTF-16 without a mark: nearly every second byte is zero."""
    sample = data[:_UTF16_SAMPLE_BYTES]
    if len(sample) < 8 or len(data) % 2:
        return ""
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        highs, lows = sample[start::2], sample[1 - start :: 2]
        if highs.count(0) > 0.8 * len(highs) and not lows.count(0):
            return encoding
    return ""


def _decode_western(data: bytes) -> str | None:
    """Decode Windows-1252, the encoding of Western Windows; None where it may be another one.

    Cyrillic and Greek give words without any ASCII letter, Central European ones signs such as ³
    inside words, those of the Mac capitals after small letters.
    """
    high = sum(byte > 0x7F for byte in data)
    if 2 * sum(map(len, _UTF8_LETTERS.findall(data))) > high:
        return None  # UTF-8 that is damaged in one place
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    words = [word for word in _WORD.findall(text) if word.isalpha() and not word.isascii()]
    if any(len(word) > 1 and not re.search("[A-Za-z]", word) for word in words):
        return None
    lone = sum(len(word) == 1 for word in words)
    if lone and 2 * lone > sum(map(str.isascii, _WORD.findall(text))):
        return None
    patterns = (_SIGN_IN_WORD, _SIGN_AT_WORD, _CAPITAL_AFTER_SMALL)
    wrong = any(pattern.search(text) for pattern in patterns)
    return None if wrong or _LETTERS_OF_OTHER_ENCODINGS & set(text) else text
