"""Train Encoder: recipes, the doctor's report, and a run in the view that finetunes have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from core.errors import AppError
from core.progress import ProgressReporter
from core.serialization import to_dict
from runs.event_log import EventLogger
from runs.events import BeginEvent, EndEvent, StepEvent
from speakers.training.config import EncoderTrainConfig, write_encoder_config
from studio.app.studio import Studio
from studio.encoders.service import RECIPES
from support.inline_worker import InlineStudio
from support.speaker_datasets import write_tone_dataset
from webui.components.page_context import PageContext
from webui.generate.tab import build_generate_tab
from webui.training.encoder_tab import EncoderTab, get_recipe_values


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """A studio with a speaker dataset."""
    opened = InlineStudio.open(tmp_path)
    write_tone_dataset(opened.layout.encoder_dataset("tones"))
    yield opened
    opened.close()


@pytest.fixture
def tab(studio: Studio) -> EncoderTab:
    """The part, built."""
    with gr.Blocks() as blocks, gr.Tabs() as tabs:
        page = PageContext(studio=studio, blocks=blocks, tabs=tabs)
        with gr.Tab("Generate"):
            build_generate_tab(page)
        with gr.Tab("Train Encoder"):
            return EncoderTab(page)


def values_of(tab: EncoderTab, **changes: Any) -> list[Any]:
    """The values of all controls, some changed by the name of their option."""
    return [
        changes.get(key.rpartition(".")[2], control.value) for key, control in tab.controls.items()
    ]


def look(tab: EncoderTab) -> dict[Any, Any]:
    return dict(tab.panel.refresh(tab.panel.sent.value, ""))


def test_a_recipe_sets_every_control_and_the_controls_make_its_options(tab: EncoderTab) -> None:
    for name, recipe in RECIPES.items():
        values = get_recipe_values(name, tab.controls)
        options = tab._read_options(tuple(values.values()))
        assert EncoderTrainConfig(**options["config"]) == recipe.config
        assert to_dict(recipe.features) == options["features"]


def test_before_the_first_run_the_page_says_what_to_do(tab: EncoderTab) -> None:
    updates = look(tab)
    assert "No encoder was trained yet" in str(updates[tab.panel.html])
    assert updates[tab.dataset]["value"] == "tones"
    with pytest.raises(AppError, match="Press Preprocess first"):
        tab.start_run(None, "")
    with pytest.raises(AppError, match="Steps is empty"):
        tab.start_run("tones", "", *values_of(tab, steps=None))


def test_a_run_is_shown_with_progress_and_curves_as_a_finetune(
    tab: EncoderTab, studio: Studio
) -> None:
    folder = studio.layout.encoder_run("mine")
    folder.mkdir(parents=True)
    write_encoder_config(folder / "encoder.yaml", EncoderTrainConfig())
    (folder / "dataset_path.json").write_text('{"dataset": "/x/tones"}')
    log = EventLogger(run=folder, is_main_process=True, report=ProgressReporter())
    log.log(BeginEvent(steps=4, speakers=8, device="cpu"))
    for log.step in range(1, 4):
        log.log(StepEvent(stage="encoder", loss=3.0 / log.step, ge2e=3.0 / log.step, eer=0.2))
    log.log(EndEvent(state="stopped", message="Progress is saved."))
    updates = look(tab)
    html = str(updates[tab.panel.html])
    assert "tones / mine" in html and "3 of 4 steps" in html and "Stopped" in html
    assert updates[tab.plots["loss"]]["visible"] and updates[tab.plots["eer"]]["visible"]
    assert not updates[tab.plots["accuracy"]]["visible"]
    assert updates[tab.resume]["interactive"] and not updates[tab.stop]["interactive"]
    assert "Show" in str(updates[tab.list_view]) and "Delete" not in str(updates[tab.list_view])
    with pytest.raises(AppError, match="already a run mine"):
        tab.start_run("tones", "mine", *values_of(tab))


def test_an_encoder_is_started_with_the_options_of_the_page_and_resumed(
    tab: EncoderTab, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, str, EncoderTrainConfig]] = []

    def start(run: Path, dataset: Path, config: EncoderTrainConfig, **rest: object) -> None:
        run.mkdir(parents=True, exist_ok=True)
        write_encoder_config(run / "encoder.yaml", config)
        started.append((run.name, dataset.name, config))

    monkeypatch.setattr("studio.encoders.service.start_training", start)
    selected = tab.start_run("tones", "", *values_of(tab, steps=2, hidden=8))[tab.selected]
    assert selected == "tones / tones"
    tab.resume_run(selected)
    assert [(run, dataset) for run, dataset, _ in started] == [("tones", "tones")] * 2
    assert started[1][2] == started[0][2]
    assert (started[0][2].steps, started[0][2].hidden) == (2, 8)
