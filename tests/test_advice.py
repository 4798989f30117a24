"""What a bundle advises reaches the options, and stands behind everything that somebody chose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.layout import Layout
from studio.requests import Wish, request_of
from studio.settings import Settings
from tortoise.options import TortoiseOptions


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    folder = tmp_path / "models" / "starter"
    folder.mkdir(parents=True)
    advice = {"temperature": 0.5, "repetition_penalty": 1.5, "samples": 3}
    (folder / "config.json").write_text(json.dumps({"format": 1, "advice": advice}), "utf-8")
    return Layout.at(tmp_path)


def test_advice_is_taken_where_nobody_says_otherwise(layout: Layout) -> None:
    request = request_of(Settings(), Wish(text="Hello.", voice="a"), layout)
    assert (request.options["temperature"], request.options["samples"]) == (0.5, 3)


def test_settings_presets_and_flags_win_over_advice(layout: Layout) -> None:
    wish = Wish(text="Hello.", voice="a", preset="ultra_fast", options={"repetition_penalty": 3.0})
    options = request_of(Settings(options={"temperature": 0.9}), wish, layout).options
    chosen = [options[name] for name in ("temperature", "samples", "repetition_penalty")]
    assert chosen == [0.9, 16, 3.0]


def test_a_folder_that_is_no_bundle_advises_nothing(tmp_path: Path) -> None:
    assert TortoiseOptions.advised(tmp_path) == {}
