"""Whatever bytes, names and numbers come: read, or refused with an error that has a code."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audio.clip import ClipError
from audio.io import read_clip
from campaigns.hostile_audio import wav
from core.errors import AppError
from core.paths import ProjectPaths, fold_name, shorten_name, slugify, validate_name
from studio.voices.catalog import parse_blend
from tests.test_mutations import PARSERS, check

ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
NAMES = st.text(max_size=120) | st.text("./\\~-a\u0301é\u202e\0 :", max_size=12)
PIECES = st.sampled_from(
    [b"{", b"}", b"[", b"]", b'"', b":", b",", b"\n", b"|", b";", b"\t", b"-->", b"00:00:01,000",
     b"WEBVTT\n\n", b"<v A>", b"</p>", b"<p>", b"null", b"NaN", b"1e999", b"-1", b"9" * 30, b"\xff",
     b"\xef\xbb\xbf", b"\xff\xfe", b"PK\x03\x04", b"\0", b"text", b"start", b"segments", b"&a *a"]
)  # fmt: skip
CONTENTS = st.binary(max_size=400) | st.lists(PIECES, max_size=60).map(b"".join)


@pytest.mark.parametrize(
    "parser", [name for name in PARSERS if not name.startswith(("sound", "tags"))]
)
@settings(ONE_FOLDER, max_examples=15)
@given(content=CONTENTS)
def test_any_bytes_are_read_or_refused(parser: str, tmp_path: Path, content: bytes) -> None:
    check(parser, content, tmp_path)


@ONE_FOLDER
@given(name=NAMES)
def test_any_name_is_refused_or_a_folder_of_its_own(tmp_path: Path, name: str) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    try:
        folder = layout.voice(name)
    except AppError as refusal:
        assert refusal.code == "bad_name"
        return
    assert folder.parent == layout.voices and folder.resolve().parent == layout.voices.resolve()
    assert fold_name(folder.name) == fold_name(name)
    folder.mkdir(parents=True, exist_ok=True)
    assert layout.voice(name) == folder, "it is found again"


@given(text=NAMES)
def test_any_text_makes_a_valid_file_name(text: str) -> None:
    stem = slugify(text)
    assert not stem or validate_name(stem, "clip") == stem
    if shortened := shorten_name(stem):
        validate_name(shortened, "clip")


@given(spoken_by=st.text("ab:+.0123456789-e#random", max_size=30))
def test_any_blend_has_weights_that_can_be_normalized(spoken_by: str) -> None:
    try:
        parts = parse_blend(spoken_by)
    except AppError:
        return
    assert parts and sum(part.weight for part in parts) > 0
    assert all(0 <= part.weight < float("inf") for part in parts)


@settings(ONE_FOLDER, max_examples=12)
@given(
    size=st.integers(0, 2**32 - 1), channels=st.integers(0, 65_535), rate=st.integers(0, 2**31),
    bits=st.integers(0, 65_535), kind=st.integers(0, 65_535), align=st.integers(0, 65_535),
)  # fmt: skip
def test_any_wav_header_is_read_or_refused(tmp_path: Path, **fields: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(random.Random(0), **fields))
    try:
        clip = read_clip(path)
    except ClipError as refusal:
        assert str(refusal) and refusal.code
        return
    assert bool(clip.wave.isfinite().all()) and float(clip.wave.abs().max()) <= 1
