"""The SV2TTS toolbox: an utterance is embedded and spoken with, and the page shows every step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import soundfile

from core.errors import AppError
from studio.app.studio import Studio
from support.inline_worker import InlineStudio
from support.tiny_sv2tts import make_tiny_sv2tts
from webui.components.page_context import PageContext
from webui.generate.tab import build_generate_tab
from webui.tools.results import tool_job_html
from webui.tools.toolbox import Toolbox


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """A studio with a tiny model."""
    make_tiny_sv2tts(tmp_path / "models" / "tiny")
    opened = InlineStudio.open(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def toolbox(studio: Studio) -> Toolbox:
    """The panel, built."""
    with gr.Blocks() as blocks, gr.Tabs() as tabs:
        page = PageContext(studio=studio, blocks=blocks, tabs=tabs)
        with gr.Tab("Generate"):
            build_generate_tab(page)
        with gr.Tab("Utilities"):
            return Toolbox(page)


def test_an_utterance_is_embedded_and_spoken_with(
    toolbox: Toolbox, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sv2tts.generation.options.Sv2ttsOptions.advised",
        lambda weights: {"max_seconds": 1.0, "retakes": 0},
    )
    noise = np.random.default_rng(0).normal(size=32_000) * 0.1
    soundfile.write(tmp_path / "ann.wav", noise.clip(-1, 1), 16_000)
    clip = str(tmp_path / "ann.wav")
    toolbox.submit_embedding(clip, "tiny", "auto", 0)
    toolbox.submit_speech(clip, "tiny", "griffin_lim", 3, "Hello.")
    speech, embedding = (studio.wait(job.id) for job in studio.jobs()[:2])
    assert list(embedding.result["pictures"]) == ["Embedding"]
    html = str(tool_job_html(embedding, studio.layout))
    assert "is embedded" in html and html.count("data:image/png;base64,") == 1
    assert speech.result["seed"] == 3 and Path(speech.result["clip"]).is_file()
    html = str(tool_job_html(speech, studio.layout))
    assert "<audio" in html and html.count("data:image/png;base64,") == 3
    assert "Use another seed" in html  # an untrained network has no attention


def test_the_toolbox_says_what_is_missing(toolbox: Toolbox, tmp_path: Path) -> None:
    with pytest.raises(AppError, match="Load or record"):
        toolbox.submit_embedding(None, "tiny", "auto", 0)
    with pytest.raises(AppError, match="Write a text"):
        toolbox.submit_speech("clip.wav", "tiny", "auto", 0, " ")
