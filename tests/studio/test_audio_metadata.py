"""The settings inside a clip: written into every format, read back, safe to read from anyone."""

from __future__ import annotations

import json
import struct
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audio.clip import Clip
from audio.io import read_clip, write_clip
from core.errors import AppError
from studio.schemas.take_metadata import MAX_METADATA_CHARS, TakeMetadata, from_json, to_json
from studio.synthesis import audio_metadata as tags

RECORD = TakeMetadata(
    text='[I am really sad,] "Süß", said 猫.\nNext line',
    voice="alice:0.7+bob:0.3",
    engine="tortoise",
    bundle="starter",
    weights_id="0123456789abcdef",
    seed=2**62,
    options={"temperature": 0.8, "half": False, "seed": 2**62},
    delivery={"pause_s": 0.3},
    score=0.123456789,
    took={"draft": 1.5},
    warnings=("It rattles.",),
)
SUFFIXES = (".wav", ".mp3", ".flac", ".ogg", ".opus")


def clip_at(path: Path) -> Path:
    wave = 0.3 * torch.sin(torch.arange(24_000) * 0.05)
    write_clip(path, Clip(wave=wave, sample_rate=24_000))
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_carries_the_record_and_keeps_its_sound(suffix: str, tmp_path: Path) -> None:
    path = clip_at(tmp_path / f"a{suffix}")
    before = read_clip(path).wave
    tags.write_metadata(path, RECORD)
    assert tags.read_metadata(path) == RECORD
    assert torch.equal(read_clip(path).wave, before)


def test_wav_and_mp3_hold_it_in_an_id3_lyrics_frame(tmp_path: Path) -> None:
    for suffix in (".wav", ".mp3"):
        path = clip_at(tmp_path / f"a{suffix}")
        tags.write_metadata(path, RECORD)
        raw = path.read_bytes()
        assert b"USLT" in raw and b'"weights_id": "0123456789abcdef"' in raw


def test_flac_and_ogg_hold_it_in_a_lyrics_comment(tmp_path: Path) -> None:
    for suffix in (".flac", ".ogg", ".opus"):
        path = clip_at(tmp_path / f"a{suffix}")
        tags.write_metadata(path, RECORD)
        assert b"LYRICS={" in path.read_bytes()


def test_embedding_again_replaces_the_record(tmp_path: Path) -> None:
    path = clip_at(tmp_path / "a.wav")
    tags.write_metadata(path, RECORD)
    tags.write_metadata(path, replace(RECORD, seed=1))
    assert tags.read_metadata(path).seed == 1


def test_without_mutagen_the_record_lies_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clip_at(tmp_path / "a.wav")
    monkeypatch.setattr(tags, "find_spec", lambda name: None)
    assert not tags.can_embed_metadata(path)
    assert tags.write_sidecar(path, RECORD).name == "a.wav.json"
    assert tags.read_metadata(path) == RECORD


def test_latents_travel_only_where_asked_for() -> None:
    assert "latents" not in json.loads(to_json(RECORD))
    assert "latents" in json.loads(to_json(replace(RECORD, latents="AAAA")))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_clip_without_settings_is_refused(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(AppError, match="contains no settings"):
        tags.read_metadata(clip_at(tmp_path / f"a{suffix}"))


BAD_JSON = {
    "no JSON": "hello",
    "a list": "[]",
    "another program's lyrics": '{"verse": "la la"}',
    "an unknown key": to_json(RECORD)[:-1] + ', "run": "rm -rf"}',
    "a wrong type": to_json(RECORD).replace('"starter"', "7"),
    "a later schema": to_json(RECORD).replace('"schema": 1', '"schema": 99'),
    "not a number": to_json(RECORD).replace("0.123456789", "NaN"),
    "infinite": to_json(RECORD).replace("0.123456789", "1e999"),
    "deep": "[" * 100_000,
    "a giant number": to_json(RECORD).replace("0.123456789", "1" * 5_000),
    "too long": " " * (MAX_METADATA_CHARS + 1),
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_settings_that_are_not_ours_are_refused(case: str) -> None:
    with pytest.raises(AppError):
        from_json(BAD_JSON[case], "a.wav")


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(AppError, match="'run'"):
        from_json(BAD_JSON["an unknown key"], "a.wav")


def test_a_tag_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    squeezed = zlib.compress(bytes(50_000_000))
    frame = b"USLT" + syncsafe(len(squeezed) + 4) + b"\x00\x09" + syncsafe(50_000_000)
    body = frame + squeezed
    tag = b"ID3\x04\x00\x00" + syncsafe(len(body)) + body
    path = clip_at(tmp_path / "a.wav")
    chunk = b"ID3 " + struct.pack("<I", len(tag)) + tag + b"\0" * (len(tag) % 2)
    path.write_bytes(path.read_bytes() + chunk)
    with pytest.raises(AppError, match="tag cannot be read"):
        tags.read_metadata(path)


def syncsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(data=st.data())
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_damaged_files_raise_nothing_but_a_refusal(
    suffix: str, data: st.DataObject, tmp_path: Path
) -> None:
    path = tmp_path / f"tagged{suffix}"
    if not path.exists():
        tags.write_metadata(clip_at(path), RECORD)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        # mostly where the tag and the headers are: both ends
        place = data.draw(st.integers(0, min(2_000, len(raw) - 1)))
        raw[place if data.draw(st.booleans()) else -1 - place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw))) if data.draw(st.booleans()) else len(raw)
    damaged = tmp_path / f"damaged{suffix}"
    damaged.write_bytes(bytes(raw[:cut]))
    with suppress(AppError):
        assert isinstance(tags.read_metadata(damaged), TakeMetadata)


def test_a_sound_written_by_another_program_can_be_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, [0.1] * 100, 24_000, subtype="FLOAT")
    with pytest.raises(AppError, match="contains no settings"):
        tags.read_metadata(path)


def test_a_clip_that_records_no_text_cleaning_was_made_with_the_published_one(
    monkeypatch: pytest.MonkeyPatch, real_engines: object
) -> None:
    monkeypatch.setattr("engines.registry.ENGINES", real_engines)
    old = from_json(to_json(RECORD), "old.wav").options
    assert old == {**RECORD.options, "text_cleaning": "published"}
    new = replace(RECORD, options={"text_cleaning": "full"})
    assert from_json(to_json(new), "new.wav") == new
    strange = replace(RECORD, engine="another")
    assert from_json(to_json(strange), "a.wav") == strange
