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

from studio.errors import StudioError, writing_to
from studio.takes import LONGEST_RECORD, TakeRecord, from_json, to_json

TAGGED = (".wav", ".mp3", ".flac", ".ogg", ".opus")
LARGEST_ID3 = 4 * LONGEST_RECORD  # bytes; UTF-8 needs at most four for a character
MOST_CHUNKS = 10_000  # of a RIFF file; real ones have a handful
# What mutagen is known to raise on files that were made to break it, beside its own errors.
BROKEN = (
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


def can_embed(path: Path) -> bool:
    """Say whether the settings can lie inside this kind of file on this machine."""
    return path.suffix.lower() in TAGGED and find_spec("mutagen") is not None


def embed(path: Path, record: TakeRecord) -> None:
    """Put the record into the lyrics tag of a finished audio file.

    Raises StudioError when the file cannot be written.
    """
    from mutagen import MutagenError

    with writing_to(path):
        try:
            _put_lyrics(path, to_json(record))
        except MutagenError as cause:
            raise StudioError(f"Cannot write the settings into {path}: {cause}") from cause


def write_sidecar(path: Path, record: TakeRecord) -> Path:
    """Write the record beside the clip that will lie, or lies, at `path`."""
    beside = sidecar_of(path)
    part = beside.with_name(f".{beside.name}.part")
    with writing_to(beside):
        part.write_text(to_json(record) + "\n", encoding="utf-8")
        part.replace(beside)
    return beside


def sidecar_of(path: Path) -> Path:
    """Name the file with the settings of a clip: hello.wav.json."""
    return path.with_name(path.name + ".json")


def read_record(path: Path) -> TakeRecord:
    """Read how a clip was spoken, from inside it or from the file beside it.

    Raises StudioError, and nothing else, whatever the file holds.
    """
    if not path.is_file():
        raise StudioError(f"There is no file {path}. Give a clip that Testudo spoke.")
    inside = _lyrics(path) if can_embed(path) else None
    if inside is not None:
        return from_json(inside, path.name)
    beside = sidecar_of(path)
    if beside.is_file():
        return from_json(_short_text(beside), beside.name)
    raise StudioError(
        f"{path} carries no settings, and there is no {beside.name} beside it. "
        "Only clips that Testudo spoke can be read."
    )


def _short_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_ID3 + 1)
        return raw.decode("utf-8")
    except (OSError, ValueError) as cause:
        raise StudioError(f"Cannot read {path}: {cause}") from cause


def _lyrics(path: Path) -> str | None:
    from mutagen import MutagenError

    try:
        _refuse_squeezed_frames(path)
        return _get_lyrics(path)
    except (MutagenError, *BROKEN) as cause:
        raise StudioError(
            f"{path} is damaged or not what its name says: its tag cannot be read."
        ) from cause


def _get_lyrics(path: Path) -> str | None:
    opened = _open(path)
    if path.suffix.lower() in (".wav", ".mp3"):
        frames = opened.tags.getall("USLT") if opened.tags is not None else []
        return str(frames[0].text) if frames else None
    values = (opened.tags or {}).get("LYRICS", [])
    return str(values[0]) if values else None


def _put_lyrics(path: Path, text: str) -> None:
    opened = _open(path)
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


def _open(path: Path) -> Any:  # Any: mutagen has no types
    from mutagen.flac import FLAC
    from mutagen.mp3 import MP3
    from mutagen.oggopus import OggOpus
    from mutagen.oggvorbis import OggVorbis
    from mutagen.wave import WAVE

    kinds: dict[str, Any] = {".wav": WAVE, ".mp3": MP3, ".flac": FLAC}
    kinds |= {".ogg": OggVorbis, ".opus": OggOpus}
    return kinds[path.suffix.lower()](path)


def _refuse_squeezed_frames(path: Path) -> None:
    """Refuse an ID3 tag that could unpack to more than memory holds.

    mutagen unpacks compressed frames without a limit; ours are never compressed.
    """
    with path.open("rb") as file:
        start = _id3_offset(file) if path.suffix.lower() == ".wav" else 0
        file.seek(start)
        head = file.read(10)
        if head[:3] != b"ID3" or len(head) < 10:
            return
        size = _syncsafe(head[6:10])
        if size > LARGEST_ID3:
            raise ValueError(f"its tag says that it takes {size:,} bytes")
        version, body = head[3], file.read(size)
    at = 0
    while at + 10 <= len(body) and body[at : at + 1] != b"\x00":
        flags = body[at + 9]
        if flags & (0x08 if version == 4 else 0x80):
            raise ValueError("its tag holds a compressed frame")
        length = body[at + 4 : at + 8]
        at += 10 + (_syncsafe(length) if version == 4 else int.from_bytes(length, "big"))


def _id3_offset(file: Any) -> int:  # Any: a binary file
    """Find the ID3 chunk of a RIFF file; return the place after its end when it has none."""
    at = 12
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or head[:4].upper() == b"ID3 ":
            return at + 8
        length = int.from_bytes(head[4:8], "little")
        at += 8 + length + length % 2
    raise ValueError(f"it has more than {MOST_CHUNKS:,} chunks")


def _syncsafe(raw: bytes) -> int:
    """Read an integer of seven-bit bytes, as ID3 writes sizes."""
    value = 0
    for byte in raw:
        value = value << 7 | byte & 0x7F
    return value
