"""The shipped voices follow from the teacher and from recordings."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from audio.io import read_clip, write_clip
from recipes.corpus.sample_voices import (
    READERS,
    TEACHER_VOICES,
    cut_at_pauses,
    speak_as,
    write_readers,
)
from recipes.corpus.teacher import TEACHER_SPEAKERS

VOICES = Path(__file__).resolve().parents[2] / "voices"


def recording() -> Clip:
    generator = torch.Generator().manual_seed(0)
    wave = torch.randn(16_000 * 8, generator=generator) * 0.1
    for pause in (1.9, 4.0, 5.9):
        wave[round(16_000 * pause) : round(16_000 * (pause + 0.3))] = 0
    return Clip(wave=wave, sample_rate=16_000)


def test_a_recording_is_cut_in_its_pauses_and_nothing_is_lost() -> None:
    clip = recording()
    pieces = cut_at_pauses(clip)
    assert torch.equal(torch.cat([piece.wave for piece in pieces]), clip.wave)
    ends = torch.tensor([piece.duration_s for piece in pieces]).cumsum(0)
    for end, pause in zip(ends.tolist(), (1.9, 4.0, 5.9), strict=False):
        assert pause <= end <= pause + 0.3


def test_readers_are_written_once(tmp_path: Path) -> None:
    for stem in READERS.values():
        write_clip(tmp_path / f"{stem}.flac", recording())
    write_readers(tmp_path / "voices", tmp_path)
    first = tmp_path / "voices" / "vera" / "1.flac"
    before = first.stat().st_mtime_ns
    write_readers(tmp_path / "voices", tmp_path)
    assert first.stat().st_mtime_ns == before


def test_every_shipped_voice_has_a_source() -> None:
    shipped = {path.name for path in VOICES.iterdir() if path.is_dir()}
    assert shipped == {*TEACHER_VOICES, *READERS}
    assert set(TEACHER_VOICES.values()) <= {speaker.name for speaker in TEACHER_SPEAKERS}


def test_the_shipped_clips_are_what_the_recipe_makes() -> None:
    for package in ("hibari", "onnx", "pyworld"):
        pytest.importorskip(package)
    made = speak_as(TEACHER_VOICES["martin"], "The morning train was full of people, "
                    "reading their papers without a word.")  # fmt: skip
    shipped = read_clip(VOICES / "martin" / "1.flac")
    assert abs(made.duration_s - shipped.duration_s) < 0.01
