"""Labels of recordings: F0 at every mel frame, written once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audio.clip import Clip
from audio.io import write_clip
from core.progress import ProgressReporter
from recipes.data.f0_labels import read_f0_labels, write_f0_labels

pytest.importorskip("pyworld")


def test_a_tone_is_labelled_at_every_frame_and_silence_is_unvoiced(tmp_path: Path) -> None:
    turns = 180.0 * torch.arange(16_000) / 24_000
    tone = sum(0.2 / h * torch.sin(2 * np.pi * h * turns) for h in range(1, 8))
    wave = torch.cat([torch.zeros(12_000), tone])
    (tmp_path / "in").mkdir()
    write_clip(tmp_path / "in" / "a.wav", Clip(wave=wave, sample_rate=24_000))
    write_f0_labels(tmp_path / "out", [tmp_path / "in"], ProgressReporter())
    (samples,), (f0,) = read_f0_labels(tmp_path / "out")
    assert len(samples) == 28_000 and len(f0) == 1 + 28_000 // 256
    assert f0[5:40].max() == 0 and f0[55:100] == pytest.approx(180, rel=0.01)
    before = (tmp_path / "out" / "00000.npz").stat().st_mtime_ns
    write_f0_labels(tmp_path / "out", [tmp_path / "in"], ProgressReporter())
    assert (tmp_path / "out" / "00000.npz").stat().st_mtime_ns == before


def test_a_folder_without_labels_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"recipes\.data\.f0_labels"):
        read_f0_labels(tmp_path)
