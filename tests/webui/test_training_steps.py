"""The steps above the parts of the Training tab: their state, and where they lead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from core.errors import AppError
from studio.app.studio import Studio
from studio.datasets.service import DatasetInfo
from training.finetuning.checkpoints.run_layout import (
    FINETUNE_FILE,
    FinetuneMetadata,
    write_info_file,
)
from training.finetuning.config.schema import CONFIG_FILE
from webui.components.live_panel import PanelAction, create_live_html
from webui.components.page_context import PageContext
from webui.components.templates import render
from webui.generate.tab import build_generate_tab
from webui.training.steps import TrainingSteps, describe_steps


@pytest.fixture
def steps(studio: Studio) -> TrainingSteps:
    with gr.Blocks() as blocks, gr.Tabs() as tabs:
        page = PageContext(studio=studio, blocks=blocks, tabs=tabs)
        with gr.Tab("Generate"):
            build_generate_tab(page)
        with gr.Tab("Training"):
            html = create_live_html("training-steps")
            with gr.Tabs() as page.training_tabs:
                pass
            return TrainingSteps(page, html, gr.HTML(""))


class FakeDatasets:
    """Datasets of which some clips are to be checked."""

    def __init__(self, doubtful: int) -> None:
        self.doubtful = doubtful

    def find(self, name: str, **_: Any) -> Any:
        return type("Page", (), {"total": self.doubtful})


def states(studio: Studio, doubtful: int = 0, *infos: DatasetInfo) -> list[tuple[str, bool]]:
    found = describe_steps(studio, FakeDatasets(doubtful), list(infos))  # type: ignore[arg-type]
    return [(step.state, step.is_done) for step in found]


def export_model(studio: Studio) -> None:
    folder = studio.layout.model("finetunes/vera")
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"about": "a finetune"}')
    learned = FinetuneMetadata(
        voice="vera", dataset="vera", base="starter", base_weights_id="b" * 16, run="1", step=4,
        loss=2.0, train_loss=2.0, clips=8, seconds=20.0, created=1.0,
    )  # fmt: skip
    write_info_file(folder / FINETUNE_FILE, learned)


def test_at_first_nothing_is_done(steps: TrainingSteps) -> None:
    shown = steps.take_snapshot()
    assert [step.name for step in shown] == [
        *("Recordings", "Transcripts", "Configuration", "Train", "Use it")
    ]
    assert not any(step.is_done for step in shown)
    assert "✓" not in render("training/steps.html", steps=shown)


def test_each_step_tells_what_is_there(studio: Studio) -> None:
    info = DatasetInfo(name="vera", clips=12, kept=10, kept_s=90.0)
    told = states(studio, 3, info)
    assert told[0] == ("vera: 10 clips, 1.5 min", True) and told[1] == ("3 clips to check", False)
    assert states(studio, 0, info)[1] == ("Nothing to check", True)
    folder = studio.layout.dataset("vera")
    folder.mkdir(parents=True)
    (folder / CONFIG_FILE).write_text("dataset: {name: vera}\n")
    export_model(studio)
    told = states(studio, 0, info)
    assert told[2] == ("Saved for vera", True) and told[4] == ("1 model, latest vera", True)


def test_a_damaged_dataset_breaks_nothing(studio: Studio, steps: TrainingSteps) -> None:
    folder = Path(studio.layout.dataset("broken"))
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text("{")
    assert steps.take_snapshot()[1].is_done is False


def test_a_step_leads_to_its_part_and_the_last_one_to_generate(
    studio: Studio, steps: TrainingSteps
) -> None:
    def go(part: str) -> dict[Any, Any]:
        return dict(steps.go(PanelAction(name="go", values={"value": part})))

    assert go("review")[steps.page.training_tabs].selected == "review"
    with pytest.raises(AppError, match="no finetuned model yet"):
        go("use")
    export_model(studio)
    updates = go("use")
    assert updates[steps.page.tabs].selected == "generate"
    assert updates[steps.page.form.controls["bundle"]] == "finetunes/vera"
    assert updates[steps.page.form.controls["voice"]] == "vera"
