"""pyannote.audio diarizes where it is installed; a clear message tells what is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.errors import AppError
from core.progress import ProgressReporter
from training.gold.diarization.pyannote import diarize_with_pyannote

SPANS = [(0.0, 3.0, "SPEAKER_01"), (2.5, 5.0, "SPEAKER_00"), (5.5, 8.0, "SPEAKER_01")]


class FakeAnnotation:
    def itertracks(self, yield_label: bool) -> list[tuple[Any, str, str]]:
        assert yield_label
        return [(SimpleNamespace(start=a, end=b), "_", who) for a, b, who in SPANS]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    asked: list[Any] = []

    def pipeline(sound: dict[str, Any], **options: Any) -> Any:
        asked.append((tuple(sound["waveform"].shape), sound["sample_rate"], options))
        return SimpleNamespace(speaker_diarization=FakeAnnotation())

    loader = SimpleNamespace(from_pretrained=lambda path: pipeline)
    monkeypatch.setitem(sys.modules, "pyannote", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "pyannote.audio", SimpleNamespace(Pipeline=loader))
    return asked


def test_turns_and_overlaps_are_read(asked: list[Any], tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("pipeline: {}", "utf-8")
    wave = np.zeros(160, dtype=np.float32)
    found = diarize_with_pyannote(wave, tmp_path, 2, ProgressReporter())
    assert asked == [((1, 160), 16_000, {"num_speakers": 2})]
    assert [(turn.speaker, turn.start) for turn in found.turns] == [
        ("speaker 1", 0.0),
        ("speaker 2", 2.5),
        ("speaker 1", 5.5),
    ]
    assert found.overlaps == ((2.5, 3.0),)


def test_a_missing_pipeline_is_named(asked: list[Any], tmp_path: Path) -> None:
    with pytest.raises(AppError, match=r"needs a pipeline in .*config\.yaml"):
        diarize_with_pyannote(np.zeros(160), tmp_path, None, ProgressReporter())


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyannote.audio", None)
    with pytest.raises(AppError, match=r"needs the package pyannote\.audio"):
        diarize_with_pyannote(np.zeros(160), tmp_path, None, ProgressReporter())
