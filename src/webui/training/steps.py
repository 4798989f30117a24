"""The steps of a finetune above the parts of the Training tab, with the state of each."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from core.errors import AppError
from core.formatting import format_count
from studio.app.studio import Studio
from studio.datasets.service import DatasetInfo, Datasets
from studio.model_store.finetunes import FinetunedModel, list_finetunes
from studio.training_runs.run_status import RunSummary
from webui.components.live_panel import LivePanel, PanelAction, Updates
from webui.components.page_context import PageContext
from webui.components.templates import render
from webui.training.run_view import RUN_STATE_LABELS
from webui.training.train_tab import list_configured_datasets

POLL_INTERVAL_S = 3.0
USE, PARTS = "use", ("prepare", "review", "configure", "train")


@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """A step. part: of the Training tab, or USE;  state: in a few words."""

    name: str
    part: str
    state: str
    is_done: bool = False


class TrainingSteps:
    """The list of steps; a step leads to its part.  html, message: for the list and for errors."""

    def __init__(self, page: PageContext, html: gr.HTML, message: gr.HTML) -> None:
        self.page, self.studio = page, page.studio
        self.datasets = Datasets(page.studio.layout)
        self.panel = LivePanel(
            html,
            self.take_snapshot,
            lambda steps: render("training/steps.html", steps=steps),
            {"go": self.go},
            message=message,
            action_outputs=[page.training_tabs, page.tabs, *page.form.components],
        )
        self.panel.follow(page.changes, POLL_INTERVAL_S)

    def take_snapshot(self) -> tuple[TrainingStep, ...]:
        """Return the steps of the latest dataset."""
        infos = sorted(self.datasets.list(), key=lambda info: -info.created)
        return describe_steps(self.studio, self.datasets, infos)

    def go(self, action: PanelAction) -> Updates:
        """Show the part of a step; the last one is the form of Generate, with the latest model."""
        part = action.text("value")
        if part in PARTS:
            return {self.page.training_tabs: gr.Tabs(selected=part)}
        models = list_finetunes(self.studio.layout)
        if part != USE or not models:
            raise AppError("There is no finetuned model yet. Train one first.")
        voice = {"voice": models[0].metadata.voice} if models[0].metadata.voice else {}
        return {
            self.page.tabs: gr.Tabs(selected="generate"),
            **self.page.form.get_updates({"bundle": models[0].bundle, **voice}),
        }


def describe_steps(
    studio: Studio, datasets: Datasets, infos: list[DatasetInfo]
) -> tuple[TrainingStep, ...]:
    """Return the five steps.  infos: datasets, the latest first."""
    runs, models = studio.runs.list(), list_finetunes(studio.layout)
    return (
        _describe_recordings(infos),
        _describe_transcripts(datasets, infos),
        _describe_configuration(list_configured_datasets(studio)),
        _describe_run(runs),
        _describe_models(models),
    )


def _describe_recordings(infos: list[DatasetInfo]) -> TrainingStep:
    state = "No dataset yet"
    if infos:
        first = infos[0]
        state = f"{first.name}: {format_count(first.kept, 'clip')}, {first.kept_s / 60:.1f} min"
    return TrainingStep(name="Recordings", part="prepare", state=state, is_done=bool(infos))


def _describe_transcripts(datasets: Datasets, infos: list[DatasetInfo]) -> TrainingStep:
    state, is_done = "After the recordings", False
    if infos and infos[0].state != "damaged":
        doubtful = datasets.find(infos[0].name, show="doubtful", per_page=1).total
        is_done = doubtful == 0 and infos[0].kept > 0
        state = f"{format_count(doubtful, 'clip')} to check" if doubtful else "Nothing to check"
    return TrainingStep(name="Transcripts", part="review", state=state, is_done=is_done)


def _describe_configuration(configured: list[str]) -> TrainingStep:
    state = f"Saved for {configured[0]}" if configured else "Not saved yet"
    return TrainingStep(
        name="Configuration", part="configure", state=state, is_done=bool(configured)
    )


def _describe_run(runs: list[RunSummary]) -> TrainingStep:
    state = "No run yet"
    if runs:
        run = runs[0]
        state = f"{run.name}: {RUN_STATE_LABELS[run.state][0].lower()}"
        state += f", step {run.step:,} of {run.steps:,}" if run.steps else ""
    return TrainingStep(
        name="Train", part="train", state=state, is_done=bool(runs) and runs[0].state == "done"
    )


def _describe_models(models: list[FinetunedModel]) -> TrainingStep:
    state = f"{format_count(len(models), 'model')}, latest {models[0].voice}" if models else ""
    return TrainingStep(
        name="Use it", part=USE, state=state or "After the training", is_done=bool(models)
    )
