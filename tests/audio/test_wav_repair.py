"""WAV files of recorders that crashed, and files that were copied in part."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio.io import read_clip
from audio.long_audio import decode_recording, estimate_duration_s
from audio.wav_repair import describe_wav_damage

RATE, SECONDS = 24_000, 2.0


def wav(folder: Path, subtype: str = "PCM_16", channels: int = 1) -> tuple[bytes, int]:
    """A good file, and where the chunk with its samples begins."""
    times = np.arange(round(RATE * SECONDS)) / RATE
    wave = np.stack([0.4 * np.sin(2 * np.pi * 220 * times)] * channels, axis=1)
    path = folder / "good.wav"
    soundfile.write(path, wave, RATE, subtype=subtype)
    data = path.read_bytes()
    return data, data.index(b"data")


def stated(data: bytes, at: int, size: int) -> bytes:
    return data[: at + 4] + struct.pack("<I", size) + data[at + 8 :]


def write(folder: Path, data: bytes) -> Path:
    path = folder / "talk.wav"
    path.write_bytes(data)
    return path


def check_both_readers(path: Path, seconds: float) -> None:
    assert read_clip(path).duration_s == pytest.approx(seconds, abs=0.01)
    work = path.with_name("work.raw")
    assert decode_recording(path, work, RATE, lambda _: None).duration_s == pytest.approx(
        seconds, abs=0.01
    )


@pytest.mark.parametrize(("subtype", "channels"), [("PCM_16", 1), ("PCM_24", 2), ("FLOAT", 1)])
@pytest.mark.parametrize("size", [0, 4800])
def test_an_unfinished_file_is_read_to_its_end(
    subtype: str, channels: int, size: int, tmp_path: Path
) -> None:
    path = write(tmp_path, stated(*wav(tmp_path, subtype, channels), size))
    check_both_readers(path, SECONDS)
    assert describe_wav_damage(path) == (
        "talk.wav was not finished when it was recorded: 2.0 s could be saved."
    )
    assert estimate_duration_s(path) == pytest.approx(SECONDS, abs=0.01)


def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    data, at = wav(tmp_path)
    path = write(tmp_path, data[: at + 8 + (len(data) - at) // 4 * 3 + 1])
    check_both_readers(path, SECONDS * 0.75)
    assert describe_wav_damage(path) == "talk.wav is cut off: 1.5 s of 2.0 s could be saved."


def test_a_file_without_any_size_is_read(tmp_path: Path) -> None:
    data, at = wav(tmp_path)
    empty = data[:4] + bytes(4) + data[8:at] + b"LIST" + struct.pack("<I", 4) + b"INFO" + data[at:]
    check_both_readers(write(tmp_path, stated(empty, at + 12, 0)), SECONDS)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF])
def test_the_size_of_a_stream_is_no_damage(size: int, tmp_path: Path) -> None:
    path = write(tmp_path, stated(*wav(tmp_path), size))
    check_both_readers(path, SECONDS)
    assert describe_wav_damage(path) == ""


def test_chunks_behind_the_samples_are_not_read_as_sound(tmp_path: Path) -> None:
    data, _ = wav(tmp_path)
    path = write(tmp_path, data + b"id3 " + struct.pack("<I", 6) + b"tagged" + b"LIST" + bytes(4))
    check_both_readers(path, SECONDS)
    assert describe_wav_damage(path) == ""


def test_other_files_are_not_measured(tmp_path: Path) -> None:
    data, at = wav(tmp_path)
    for content in (b"", b"RIFF", b"RIFF\x00\x00\x00\x00WAVE", data[:at], b"fLaC" + data):
        assert describe_wav_damage(write(tmp_path, content)) == ""
    assert describe_wav_damage(tmp_path / "missing.wav") == ""
