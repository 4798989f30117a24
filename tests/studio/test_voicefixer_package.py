"""The real package voicefixer runs in its subprocess, with networks of random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from core.progress import ProgressReporter
from studio.diagnostics.voicefixer import WEIGHT_FILES, get_weights_folder, missing_packages
from studio.workers.synthesis.voicefixer import run_voicefixer

pytestmark = pytest.mark.skipif(
    bool(missing_packages()), reason="needs requirements-extra-no-deps.txt"
)


def test_voicefixer_restores_a_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    # Both files are smaller than the networks, which keep their random start where a key is absent.
    for name, content in zip(WEIGHT_FILES, ({}, {"generator": {}}), strict=True):
        path = get_weights_folder() / name
        path.parent.mkdir(parents=True)
        torch.save(content, path)
    clip = Clip(wave=0.1 * torch.sin(torch.arange(11_025) * 0.05), sample_rate=22_050)
    restored = run_voicefixer(clip, "cpu", ProgressReporter())
    assert restored.sample_rate == 44_100
    assert restored.duration_s == pytest.approx(clip.duration_s, abs=0.05)
    assert torch.isfinite(restored.wave).all() and restored.wave.abs().max() > 0
