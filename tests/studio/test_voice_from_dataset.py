"""Somebody has to speak with the finetune of a plain folder: a voice is made of its clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audio.io import write_clip
from core.errors import AppError
from core.paths import ProjectPaths
from studio.datasets.voice_from_dataset import MAX_VOICE_CLIPS, ensure_voice
from studio.voices.catalog import find_voice
from support.api_helpers import tone
from training.dataset_prep.manifest import ClipRow, Dataset, write_dataset


def make(layout: ProjectPaths, name: str, clips: int = 3, **facts: Any) -> Path:
    """Write a dataset whose later clips are the clearer ones; the last is dropped."""
    folder = layout.dataset(name)
    (folder / "audio").mkdir(parents=True)
    rows = [
        ClipRow(id=f"c{number:02d}", source="a.wav", start_s=number, stop_s=number + 1.0,
                text=f"Line {number}.", snr_db=float(number), kept=number < clips,
                part="train" if number < clips else "")
        for number in range(clips + 1)
    ]  # fmt: skip
    for row in rows:
        write_clip(folder / row.file, tone())
    write_dataset(folder, Dataset(name=name, clips=tuple(rows), **facts))
    return folder


def names(layout: ProjectPaths, voice: str) -> list[str]:
    return [clip.name for clip in find_voice(layout, voice).clips]


def test_the_clearest_clips_that_are_learned_from_become_a_voice(layout: ProjectPaths) -> None:
    make(layout, "Reader", clips=MAX_VOICE_CLIPS + 2)
    assert ensure_voice(layout, "Reader") == "Reader"
    assert names(layout, "Reader") == [f"c{number:02d}.wav" for number in range(2, 12)]


def test_a_dataset_of_a_voice_and_a_voice_that_is_there_are_left_alone(
    layout: ProjectPaths,
) -> None:
    make(layout, "of alice", voice="alice")
    assert ensure_voice(layout, "of alice") == "alice"
    make(layout, "bob")
    assert ensure_voice(layout, "bob") == "bob"
    assert names(layout, "alice") == names(layout, "bob") == ["one.wav", "two.wav"]
    assert not layout.voice("of alice").exists()


def test_a_dataset_made_by_hand_gives_a_voice_too(layout: ProjectPaths) -> None:
    folder = make(layout, "hand")
    (folder / "dataset.json").unlink()
    (folder / "train.txt").write_text("audio/c01.wav|One.\nnowhere.wav|Two.\nc00|Three.\n")
    ensure_voice(layout, "hand")
    assert names(layout, "hand") == ["c00.wav", "c01.wav"]


@pytest.mark.parametrize("lines", [b"", b"\xff\x00", b"../../secret.wav|Leads out.\n"])
def test_a_dataset_without_usable_clips_gives_none(layout: ProjectPaths, lines: bytes) -> None:
    folder = make(layout, "empty")
    (folder / "dataset.json").write_bytes(b"junk")
    (folder / "train.txt").write_bytes(lines)
    assert ensure_voice(layout, "empty") == "empty"
    with pytest.raises(AppError, match="no voice 'empty'"):
        find_voice(layout, "empty")
