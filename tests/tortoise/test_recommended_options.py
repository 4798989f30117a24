"""What a bundle advises reaches the options, and stands behind everything that somebody chose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.paths import ProjectPaths
from studio.schemas.settings import Settings
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from tortoise.generation.options import TortoiseOptions


@pytest.fixture
def layout(tmp_path: Path) -> ProjectPaths:
    folder = tmp_path / "models" / "starter"
    folder.mkdir(parents=True)
    advice = {"temperature": 0.5, "repetition_penalty": 1.5, "samples": 3}
    (folder / "config.json").write_text(json.dumps({"format": 1, "advice": advice}), "utf-8")
    return ProjectPaths.from_root(tmp_path)


def test_advice_is_taken_where_nobody_says_otherwise(layout: ProjectPaths) -> None:
    request = build_request(Settings(), SpeechRequestInput(text="Hello.", voice="a"), layout)
    assert (request.options["temperature"], request.options["samples"]) == (0.5, 3)


def test_settings_presets_and_flags_win_over_advice(layout: ProjectPaths) -> None:
    wish = SpeechRequestInput(
        text="Hello.", voice="a", preset="ultra_fast", options={"repetition_penalty": 3.0}
    )
    options = build_request(Settings(options={"temperature": 0.9}), wish, layout).options
    chosen = [options[name] for name in ("temperature", "samples", "repetition_penalty")]
    assert chosen == [0.9, 16, 3.0]


def test_a_folder_that_is_no_bundle_advises_nothing(tmp_path: Path) -> None:
    assert TortoiseOptions.advised(tmp_path) == {}
