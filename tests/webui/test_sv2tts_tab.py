"""Train SV2TTS: datasets, refusals, and a run with curves and pictures in the shared view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from core.errors import AppError
from core.progress import ProgressReporter
from runs.event_log import EventLogger
from runs.events import BeginEvent, EndEvent, StepEvent, ValidationEvent
from studio.app.studio import Studio
from studio.detached_runs import RunView
from studio.sv2tts.service import SYNTHESIZER, VOCODER, Sv2ttsService, get_datasets_folder
from support.inline_worker import InlineStudio
from sv2tts.training.config import SYNTHESIZER_FILE, SynthesizerTrainConfig, write_config
from webui.components.page_context import PageContext
from webui.generate.tab import build_generate_tab
from webui.training.sv2tts_tab import Sv2ttsTab

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """A studio with a preprocessed dataset."""
    opened = InlineStudio.open(tmp_path)
    folder = get_datasets_folder(opened.layout) / "small"
    folder.mkdir(parents=True)
    (folder / "train.txt").write_text("a.npy|m.npy|e.npy|16000|80|hello\n", "utf-8")
    yield opened
    opened.close()


@pytest.fixture
def tab(studio: Studio) -> Sv2ttsTab:
    """The part, built."""
    with gr.Blocks() as blocks, gr.Tabs() as tabs:
        page = PageContext(studio=studio, blocks=blocks, tabs=tabs)
        with gr.Tab("Generate"):
            build_generate_tab(page)
        with gr.Tab("Train SV2TTS"):
            return Sv2ttsTab(page)


def look(tab: Sv2ttsTab) -> dict[Any, Any]:
    return dict(tab.panel.refresh(tab.panel.sent.value, ""))


def test_before_the_first_run_the_page_says_what_to_do(tab: Sv2ttsTab) -> None:
    updates = look(tab)
    assert "No synthesizer or vocoder was trained yet" in str(updates[tab.panel.html])
    assert updates[tab.dataset]["choices"] == ["small"]
    with pytest.raises(AppError, match="Press Preprocess first"):
        tab.start_run(SYNTHESIZER, None, "", "")
    with pytest.raises(AppError, match="Name the folder"):
        tab.submit_dataset(" ", "auto", "", "")
    with pytest.raises(AppError, match="There is no option 'speed'"):
        tab.start_run(VOCODER, "small", "", "speed=1")


def test_a_training_starts_with_the_options_of_the_page(
    tab: Sv2ttsTab, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[Any, ...]] = []

    def start(service: Sv2ttsService, name: str, dataset: str, config: Any) -> RunView:
        started.append((name, dataset, config.guided_attention))
        folder = service.folder / name
        folder.mkdir(parents=True)
        write_config(folder / SYNTHESIZER_FILE, config)
        return service.view(name)

    monkeypatch.setattr(Sv2ttsService, "start", start)
    tab.start_run(SYNTHESIZER, "small", "", "guided_attention=1")
    assert started == [("small-synthesizer", "small", 1)]
    with pytest.raises(AppError, match="already a run small-synthesizer"):
        tab.start_run(SYNTHESIZER, "small", "", "")
    assert studio.sv2tts.get_kind("small-synthesizer") == SYNTHESIZER


def test_a_run_is_shown_with_curves_and_pictures(tab: Sv2ttsTab, studio: Studio) -> None:
    folder = studio.layout.training / "sv2tts" / "runs" / "mine"
    (folder / "plots").mkdir(parents=True)
    (folder / "plots" / "attention_step_4.png").write_bytes(PNG)
    write_config(folder / SYNTHESIZER_FILE, SynthesizerTrainConfig())
    (folder / "dataset_path.json").write_text('{"dataset": "/x/small"}')
    log = EventLogger(run=folder, is_main_process=True, report=ProgressReporter())
    log.log(BeginEvent(steps=4, clips=8, device="cpu"))
    for log.step in range(1, 4):
        log.log(StepEvent(stage="synthesizer", loss=3.0 / log.step, mel=0.5, attention=0.1))
    log.log(ValidationEvent(stage="synthesizer", loss=1.0, mel=0.6, attention=0.2))
    log.log(EndEvent(state="stopped", message="Progress is saved."))
    updates = look(tab)
    html = str(updates[tab.panel.html])
    assert "small / mine" in html and "3 of 4 steps" in html and "Stopped" in html
    for name in ("loss", "mel", "attention"):
        assert updates[tab.plots[name]]["visible"]
    assert "data:image/png;base64," in str(updates[tab.pictures])
    assert updates[tab.resume]["interactive"] and not updates[tab.stop]["interactive"]
