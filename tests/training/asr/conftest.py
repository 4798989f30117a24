"""Tests of transcribers run without the bundled Whisper model, unless they ask for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.asr import availability, selection
from training.asr.availability import BUNDLED_PACKAGE, find_bundled_model


@pytest.fixture
def bundled_model() -> Path:
    """Return the folder of Whisper tiny.en."""
    folder = find_bundled_model()
    if folder is None:
        pytest.skip(f"the extra {BUNDLED_PACKAGE} is not installed")
    return folder


@pytest.fixture(autouse=True)
def without_bundled_model(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "bundled_model" not in request.fixturenames:
        for module in (availability, selection):
            monkeypatch.setattr(module, "find_bundled_model", lambda: None)
