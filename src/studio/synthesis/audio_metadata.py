"""The settings inside an audio file: JSON in its lyrics tag, or beside it.

The only module that imports mutagen, which is GPL and therefore optional: without it the settings
go to a JSON file beside the clip.
"""

from __future__ import annotations

import struct
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.errors import AppError, translate_write_errors
from studio.schemas.take_metadata import MAX_METADATA_CHARS, TakeMetadata, from_json, to_json

EMBEDDABLE_SUFFIXES = (".wav", ".mp3", ".flac", ".ogg", ".opus")
MAX_ID3_BYTES = 4 * MAX_METADATA_CHARS  # bytes; UTF-8 needs at most four for a character
MAX_RIFF_CHUNKS = 10_000  # of a RIFF file; real ones have a handful
# What mutagen is known to raise on files that were made to break it, beside its own errors.
MALFORMED_FILE_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def can_embed_metadata(path: Path) -> bool:
    """Say whether the settings can lie inside this kind of file on this machine."""
    return path.suffix.lower() in EMBEDDABLE_SUFFIXES and find_spec("mutagen") is not None


def write_metadata(path: Path, record: TakeMetadata) -> None:
    """Put the record into the lyrics tag of a finished audio file.

    Raises StudioError when the file cannot be written.
    """
    from mutagen import MutagenError

    with translate_write_errors(path):
        try:
            _set_lyrics(path, to_json(record))
        except MutagenError as cause:
            raise AppError(f"Cannot write the settings into {path}: {cause}") from cause


def write_sidecar(path: Path, record: TakeMetadata) -> Path:
    """Write the record beside the clip that will lie, or lies, at `path`."""
    beside = get_sidecar_path(path)
    part = beside.with_name(f".{beside.name}.part")
    with translate_write_errors(beside):
        part.write_text(to_json(record) + "\n", encoding="utf-8")
        part.replace(beside)
    return beside


def get_sidecar_path(path: Path) -> Path:
    """Name the file with the settings of a clip: hello.wav.json."""
    return path.with_name(path.name + ".json")


def read_metadata(path: Path) -> TakeMetadata:
    """Read how a clip was spoken, from inside it or from the file beside it.

    Raises StudioError, and nothing else, whatever the file holds.
    """
    if not path.is_file():
        raise AppError(f"There is no file {path}. Give a clip that Testudo spoke.")
    inside = _read_lyrics(path) if can_embed_metadata(path) else None
    if inside is not None:
        return from_json(inside, path.name)
    beside = get_sidecar_path(path)
    if beside.is_file():
        return from_json(_read_limited_text(beside), beside.name)
    raise AppError(
        f"{path} carries no settings, and there is no {beside.name} beside it. "
        "Only clips that Testudo spoke can be read.",
        code="no_record",
    )


def _read_limited_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_ID3_BYTES + 1)
        return raw.decode("utf-8")
    except (OSError, ValueError) as cause:
        raise AppError(f"Cannot read {path}: {cause}") from cause


def _read_lyrics(path: Path) -> str | None:
    from mutagen import MutagenError

    try:
        _reject_compressed_frames(path)
        return _get_lyrics(path)
    except (MutagenError, *MALFORMED_FILE_ERRORS) as cause:
        raise AppError(
            f"{path} is damaged or not what its name says: its tag cannot be read."
        ) from cause


def _get_lyrics(path: Path) -> str | None:
    opened = _open_with_mutagen(path)
    if path.suffix.lower() in (".wav", ".mp3"):
        frames = opened.tags.getall("USLT") if opened.tags is not None else []
        return str(frames[0].text) if frames else None
    values = (opened.tags or {}).get("LYRICS", [])
    return str(values[0]) if values else None


def _set_lyrics(path: Path, text: str) -> None:
    opened = _open_with_mutagen(path)
    if opened.tags is None:
        opened.add_tags()
    if path.suffix.lower() in (".wav", ".mp3"):
        from mutagen.id3 import USLT

        lyrics: Any = USLT  # Any: mutagen has no types
        utf8 = 3  # as ID3 counts encodings
        opened.tags.setall("USLT", [lyrics(encoding=utf8, lang="eng", desc="", text=text)])
    else:
        opened.tags["LYRICS"] = [text]
    opened.save()


def _open_with_mutagen(path: Path) -> Any:  # Any: mutagen has no types
    from mutagen.flac import FLAC
    from mutagen.mp3 import MP3
    from mutagen.oggopus import OggOpus
    from mutagen.oggvorbis import OggVorbis
    from mutagen.wave import WAVE

    kinds: dict[str, Any] = {".wav": WAVE, ".mp3": MP3, ".flac": FLAC}
    kinds |= {".ogg": OggVorbis, ".opus": OggOpus}
    return kinds[path.suffix.lower()](path)


def _reject_compressed_frames(path: Path) -> None:
    """Refuse an ID3 tag that could unpack to more than memory holds.

    mutagen unpacks compressed frames without a limit; ours are never compressed.
    """
    with path.open("rb") as file:
        start = _find_id3_offset(file) if path.suffix.lower() == ".wav" else 0
        file.seek(start)
        head = file.read(10)
        if head[:3] != b"ID3" or len(head) < 10:
            return
        size = _decode_syncsafe(head[6:10])
        if size > MAX_ID3_BYTES:
            raise ValueError(f"its tag says that it takes {size:,} bytes")
        version, body = head[3], file.read(size)
    at = 0
    while at + 10 <= len(body) and body[at : at + 1] != b"\x00":
        flags = body[at + 9]
        if flags & (0x08 if version == 4 else 0x80):
            raise ValueError("its tag holds a compressed frame")
        length = body[at + 4 : at + 8]
        at += 10 + (_decode_syncsafe(length) if version == 4 else int.from_bytes(length, "big"))


def _find_id3_offset(file: Any) -> int:  # Any: a binary file
    """Find the ID3 chunk of a RIFF file; return the place after its end when it has none."""
    at = 12
    for _ in range(MAX_RIFF_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or head[:4].upper() == b"ID3 ":
            return at + 8
        length = int.from_bytes(head[4:8], "little")
        at += 8 + length + length % 2
    raise ValueError(f"it has more than {MAX_RIFF_CHUNKS:,} chunks")


def _decode_syncsafe(raw: bytes) -> int:
    """Read an integer of seven-bit bytes, as ID3 writes sizes."""
    value = 0
    for byte in raw:
        value = value << 7 | byte & 0x7F
    return value
