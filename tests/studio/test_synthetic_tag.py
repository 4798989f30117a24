"""Every generated clip says in its tags that it is synthetic."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from audio.formats import SYNTHETIC_COMMENT
from audio.io import WRITABLE_SUFFIXES, read_clip, write_clip
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import (
    can_embed_metadata,
    is_marked_synthetic,
    read_metadata,
    write_metadata,
)

TONE = Clip(wave=0.5 * torch.sin(torch.arange(24_000) / 9), sample_rate=24_000)
RECORD = TakeMetadata(text="Hi", voice="a", engine="tortoise", bundle="b", weights_id="0",
                      seed=1, options={}, delivery={})  # fmt: skip


@pytest.mark.parametrize("suffix", sorted(WRITABLE_SUFFIXES))
def test_the_tag_is_in_every_format_and_survives_the_settings(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_clip(path, TONE, SYNTHETIC_COMMENT)
    assert is_marked_synthetic(path)
    if can_embed_metadata(path):
        write_metadata(path, RECORD)
        assert is_marked_synthetic(path) and read_metadata(path).text == "Hi"
    assert read_clip(path).duration_s == pytest.approx(1.0, abs=0.1)


def test_other_files_have_no_tag(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.wav", TONE)
    (tmp_path / "b.wav").write_bytes(b"no sound")
    for name in ("a.wav", "b.wav", "missing.wav"):
        assert not is_marked_synthetic(tmp_path / name)
