"""Sound files that lie, are cut, or hold no sound: each is a clean clip or a refusal."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

from audio.clip import ClipError
from audio.io import read_clip
from campaigns.figures import Figures, peak_mb
from campaigns.processes import call

RATE = 24_000
MAX_MB = 300
SECONDS = 0.4
Make = Callable[[random.Random], bytes]
ENCODED = {
    **{f"wav {name}": ("WAV", name) for name in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT")},
    **{f"wav {name}": ("WAV", name) for name in ("DOUBLE", "ULAW", "ALAW", "IMA_ADPCM")},
    **{"flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "mp3": ("MP3", "MPEG_LAYER_III")},
    **{"opus": ("OGG", "OPUS"), "aiff": ("AIFF", "PCM_16"), "au": ("AU", "PCM_16")},
    **{"w64": ("W64", "PCM_16"), "caf": ("CAF", "PCM_16"), "rf64": ("RF64", "PCM_16")},
}


def encode(samples: np.ndarray, format: str, subtype: str, rate: int = RATE) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=format, subtype=subtype)
    return stream.getvalue()


@lru_cache
def sound(kind: str) -> bytes:
    """A valid file of a kind."""
    format, subtype = ENCODED[kind]
    wave = 0.5 * np.sin(np.arange(int(SECONDS * RATE)) / 9)
    return encode(wave, format, subtype)


def cut(kind: str) -> Make:
    return lambda chance: sound(kind)[: chance.randrange(len(sound(kind)))]


def flipped(kind: str) -> Make:
    def make(chance: random.Random) -> bytes:
        data = bytearray(sound(kind))
        for _ in range(chance.randint(1, 30)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(data)

    return make


def floats(value: float, format: str = "FLOAT") -> Make:
    def make(chance: random.Random) -> bytes:
        wave = np.sin(np.arange(9_600) / 9)
        wave[chance.randrange(9_600) :: chance.randint(1, 900)] = value
        return encode(wave, "WAV", format)

    return make


def wav(chance: random.Random, **fields: int) -> bytes:
    """A WAV of 16 bits whose header says what it should not."""
    data = sound("wav PCM_16")[44:]
    told = {"size": len(data), "channels": 1, "rate": RATE, "bits": 16, "kind": 1, "align": 2}
    told |= fields
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", (told["size"] + 36) % 2**32, b"WAVE", b"fmt ", 16,
        told["kind"], told["channels"], told["rate"], told["rate"] * 2 % 2**32, told["align"],
        told["bits"], b"data", told["size"],
    )  # fmt: skip
    return head + data


def lying(**choices: tuple[int, ...]) -> Make:
    return lambda chance: wav(
        chance, **{name: chance.choice(values) for name, values in choices.items()}
    )


def constant(level: float) -> Make:
    return lambda chance: encode(np.full(9_600, level), "WAV", "FLOAT")


def many_channels(chance: random.Random) -> bytes:
    count = chance.choice((2, 3, 6, 8, 16, 64, 255))
    return encode(np.zeros((2_400, count), np.int16), "WAV", "PCM_16", chance.choice((1, 192_000)))


def playlist(chance: random.Random) -> bytes:
    return chance.choice(
        (
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
            b"ffconcat version 1.0\nfile /etc/passwd\n",
            b"concat:/etc/passwd|/etc/passwd",
            b"<?xml version='1.0'?><MPD><BaseURL>file:///etc/passwd</BaseURL></MPD>",
            b"[playlist]\nFile1=/etc/passwd\n",
        )
    )


def junk(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randint(0, 5_000))


def magic_and_junk(magic: bytes) -> Make:
    return lambda chance: magic + junk(chance)


def doubled(kind: str) -> Make:
    return lambda chance: sound(kind) * chance.randint(2, 4)


def behind_junk(kind: str) -> Make:
    return lambda chance: junk(chance)[: chance.randint(1, 300)] + sound(kind)


def one_in_another(chance: random.Random) -> bytes:
    one, other = (sound(chance.choice(list(ENCODED))) for _ in range(2))
    return one[: chance.randrange(len(one))] + other[chance.randrange(len(other)) :]


def short(chance: random.Random) -> bytes:
    count = chance.choice((0, 1, 2, 100))
    return encode(np.zeros(count, np.int16), chance.choice(("WAV", "FLAC")), "PCM_16")


def long_silence(chance: random.Random) -> bytes:
    """Two minutes of silence at a high rate, in a few kilobytes."""
    return encode(np.zeros((2_880_000, 1), np.int16), "FLAC", "PCM_16", 192_000)


KINDS: Mapping[str, Make] = {
    **{f"cut {kind}": cut(kind) for kind in ENCODED},
    **{f"flipped {kind}": flipped(kind) for kind in ENCODED},
    **{f"floats of {value:g}": floats(value) for value in (np.nan, np.inf, 1e30, 3.4e38, -1e19)},
    "doubles of 1e300": floats(1e300, "DOUBLE"),
    "no size": lying(size=(0, 1, 100, 2**31, 2**32 - 1)),
    "no rate": lying(rate=(0, 1, 7, 2**31, 2**32 - 1)),
    "odd channels": lying(channels=(0, 3, 255, 65_535), align=(0, 1, 65_535)),
    "odd bits": lying(bits=(0, 1, 7, 12, 64, 65_535)),
    "odd kind": lying(kind=(0, 2, 3, 0x55, 0xFFFE, 0xFFFF)),
    **{f"constant {level}": constant(level) for level in (0.0, 0.5, -1.0)},
    **{"many channels": many_channels, "playlist": playlist, "junk": junk, "short": short},
    **{
        f"only {magic!r}": magic_and_junk(magic)
        for magic in (b"RIFF", b"fLaC", b"OggS", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"\xff\xfb\x90d")
    },
    "only ftyp": magic_and_junk(b"\0\0\0\x20ftypM4A \0\0\0\0"),
    "only EBML": magic_and_junk(b"\x1aE\xdf\xa3"),
    **{f"doubled {kind}": doubled(kind) for kind in ("wav PCM_16", "flac", "ogg", "mp3")},
    **{f"behind junk {kind}": behind_junk(kind) for kind in ("wav PCM_16", "flac", "ogg", "mp3")},
    **{"one in another": one_in_another, "long silence": long_silence},
}


def read_all(folder: Path, each: int) -> Figures:
    """Read `each` files of every kind in one process, which must not die."""
    folder.mkdir(parents=True, exist_ok=True)
    return Figures(**call(_read_all, folder, each))


def _read_all(folder: Path, each: int) -> dict[str, int]:
    read_clip(_write(folder, "wav PCM_16", sound("wav PCM_16")))
    files, peak = 0, 0
    for kind, make in KINDS.items():
        for number in range(each):
            before = peak_mb()
            path = _write(folder, kind, make(random.Random(f"{kind} {number}")))
            _check(path, f"{kind} {number}")
            files, peak = files + 1, max(peak, peak_mb() - before)
    return {"files": files, "peak_mb": peak}


def _check(path: Path, what: str) -> None:
    try:
        clip = read_clip(path)
    except ClipError as refusal:
        assert str(refusal) and refusal.code, what
        assert b"root:" not in str(refusal).encode(), what
        return
    assert bool(clip.wave.isfinite().all()) and float(clip.wave.abs().max()) <= 1, what


def _write(folder: Path, kind: str, content: bytes) -> Path:
    path = folder / f"a.{kind.split()[-1].lower() if 'cut' in kind else 'wav'}"
    path.write_bytes(content)
    return path
