"""The conversion part of Utilities submits what was dropped, and says what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from core.errors import AppError
from studio.app.studio import Studio
from support.inline_worker import InlineStudio
from webui import app
from webui.tools.conversion import NO_MODEL, ConversionTool


class Page:
    """What the tool needs of the page."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio


def build_tool(studio: Studio) -> ConversionTool:
    with gr.Blocks():
        return ConversionTool(Page(studio))  # type: ignore[arg-type]


def test_a_dropped_recording_becomes_a_job(studio: Studio) -> None:
    tool = build_tool(studio)
    recording = studio.layout.voices / "Anna" / "one.wav"
    tool.submit(str(recording), "vera", "griffin_lim", "Good evening.", False)
    (job,) = studio.jobs()
    assert job.task == "convert_clip" and job.title == "Conversion to vera: one.wav"
    assert job.request["voice"] == "vera" and job.request["vocoder"] == "griffin_lim"
    assert job.request["words"] == "Good evening." and job.request["transcribe"] is False
    stored = studio.layout.state / job.request["clip"]
    assert stored.read_bytes() == recording.read_bytes()


@pytest.mark.parametrize(
    ("recording", "voice", "told"),
    [(None, "vera", "Drop a recording first"), ("x", "nobody", "nobody")],
)
def test_what_is_missing_is_named(studio: Studio, recording: Any, voice: str, told: str) -> None:
    with pytest.raises(AppError, match=told):
        build_tool(studio).submit(recording, voice, "auto", "", True)
    assert studio.jobs() == []


def test_without_a_model_for_it_the_button_is_off_and_says_why(studio: Studio) -> None:
    tool = build_tool(studio)
    updates = tool._get_model_updates()
    assert updates[tool.convert]["interactive"] is False and NO_MODEL in updates[tool.no_model]
    model = studio.layout.models / "codec"
    model.mkdir()
    (model / "config.json").write_text('{"format": 1, "dvae": {"speaker_encoder": "ge2e"}}')
    (model / "dvae.safetensors").touch()
    updates = tool._get_model_updates()
    assert updates[tool.convert]["interactive"] is True and updates[tool.no_model] == ""


def test_the_page_can_be_built_for_an_engine_with_few_options(tmp_path: Path) -> None:
    studio = InlineStudio.open(tmp_path, given={"engine": "quick"})
    try:
        page = app.build_page(studio)
        ids = {component["props"].get("elem_id") for component in page.config["components"]}
        assert {"generate-speed", "generate-vocoder", "generate-seed"} <= ids
        assert "generate-samples" not in ids
    finally:
        studio.close()
