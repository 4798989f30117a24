"""Clips of another person are found, named with their share and similarity, and marked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audio.io import read_clip, write_clip
from core.progress import ProgressReporter
from speakers import likeness
from training.dataset_prep.manifest import ClipRow
from training.dataset_prep.other_speakers import (
    OTHER_SPEAKER,
    compare_with_majority,
    find_other_speakers,
    mark_other_speakers,
)

VOICES = Path(__file__).resolve().parents[3] / "voices"


@pytest.fixture(autouse=True)
def built_in_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder that every installation has."""
    monkeypatch.setattr(likeness, "find_spec", lambda name: None)


def add_clips(folder: Path, source: str, voice: str, takes: range) -> list[ClipRow]:
    """Write clips of a voice as those of a recording."""
    rows = []
    for take in takes:
        clip = read_clip(VOICES / voice / f"{take}.flac")
        row = ClipRow(
            id=f"{source}-{voice}-{take}", source=f"{source}.wav", text="words",
            start_s=10.0 * take, stop_s=10.0 * take + clip.duration_s,
        )  # fmt: skip
        (folder / row.file).parent.mkdir(parents=True, exist_ok=True)
        write_clip(folder / row.file, clip)
        rows.append(row)
    return rows


def test_another_person_is_found_and_the_recording_named(tmp_path: Path) -> None:
    own = add_clips(tmp_path, "one", "iris", range(1, 5))
    mixed = add_clips(tmp_path, "two", "iris", range(1, 2))
    guest = add_clips(tmp_path, "two", "felix", range(1, 2))
    rows = [*own, *mixed, *guest]
    (found,) = find_other_speakers(rows, tmp_path, ProgressReporter())
    seconds = [sum(row.seconds for row in part) for part in (guest, mixed + guest)]
    assert (found.source, found.clips) == ("two.wav", (guest[0].id,))
    assert found.share == pytest.approx(seconds[0] / seconds[1])
    assert found.cosine < found.limit and f"{found.share:.0%} of it (1 clip)" in found.message
    assert f"similarity {found.cosine:.2f}" in found.message and "built-in" in found.message
    marked = mark_other_speakers(rows, [found])
    assert [row.id for row in marked if row.reason == OTHER_SPEAKER] == [guest[0].id]
    assert all(row.kept for row in marked)
    assert mark_other_speakers(marked, []) == rows


def test_one_voice_and_very_few_clips_are_left_alone(tmp_path: Path) -> None:
    rows = add_clips(tmp_path, "one", "martin", range(1, 5))
    assert find_other_speakers(rows, tmp_path, ProgressReporter()) == []
    assert find_other_speakers(rows[:2], tmp_path, ProgressReporter()) == []
    dropped = [replace(row, kept=False, reason="noisy") for row in rows]
    assert find_other_speakers(dropped, tmp_path, ProgressReporter()) == []


def test_the_majority_is_the_voice_of_the_dataset() -> None:
    own, other = np.array([1.0, 0.1, 0.0]), np.array([0.1, 1.0, 0.0])
    embeddings = np.stack([other, own, own, own, other])
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosines = compare_with_majority(embeddings.astype(np.float32), 0.5)
    assert (cosines[[1, 2, 3]] > 0.99).all() and (cosines[[0, 4]] < 0.3).all()
