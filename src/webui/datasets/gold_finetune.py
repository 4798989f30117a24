"""The finetuning of Gold Dataset: a synthesizer on one speaker, and its clips before and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from core.errors import AppError
from core.paths import ProjectPaths
from studio.app.studio import Studio
from studio.datasets.gold_finetune import (
    GoldFinetuneRequest,
    GoldFinetuneResult,
    list_finetunable_models,
)
from studio.datasets.gold_project import GoldView
from webui.components.file_links import get_file_url
from webui.components.live_panel import Updates, create_live_html
from webui.components.templates import render
from webui.datasets.gold_view import ORIGIN

# Any: values of Gradio's components.

DEFAULT_MINUTES = 30


class GoldFinetune:
    """The form, and the comparisons of the models that were finetuned on the project."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        with gr.Accordion("Finetune SV2TTS", open=False, elem_id="training-gold-finetune-fold"):
            with gr.Row():
                self.model = gr.Dropdown(
                    [],
                    label="Model",
                    info="An SV2TTS model to start from.",
                    elem_id="training-gold-model",
                )
                self.speaker = gr.Dropdown(
                    [],
                    label="Speaker",
                    info="Whose utterances are used.",
                    elem_id="training-gold-finetune-speaker",
                )
            self.minutes = gr.Number(
                label="Minutes of training",
                value=DEFAULT_MINUTES,
                elem_id="training-gold-minutes",
            )
            self.run = gr.Button("Finetune", elem_id="training-gold-finetune")
        self.view = create_live_html("training-gold-comparisons")
        self.inputs = [self.model, self.speaker, self.minutes]
        self.outputs = [self.model, self.speaker, self.view]

    def submit(
        self, project: str | None, model: str | None, speaker: str | None, minutes: Any
    ) -> None:
        """Queue a finetuning."""
        if not project:
            raise AppError("Choose a project, or create one.")
        if not model:
            raise AppError("There is no SV2TTS model. Import or train one first.")
        request = GoldFinetuneRequest(
            name=project, model=model, speaker=speaker or "", minutes=float(minutes or 0)
        )
        title = f"Finetune {model} on {speaker or project}"
        self.studio.submit(request, title=title, origin=ORIGIN)

    def render(
        self, view: GoldView | None, models: Sequence[str], results: Sequence[GoldFinetuneResult]
    ) -> Updates:
        """Return the updates for a project."""
        names = list(view.speakers) if view is not None else []
        return {
            self.model: gr.update(choices=list(models), value=next(iter(models), None)),
            self.speaker: gr.update(choices=names, value=next(iter(names), None)),
            self.view: comparisons_html(results, self.studio.layout),
        }

    def list_models(self) -> tuple[str, ...]:
        """List the models to start from."""
        return tuple(list_finetunable_models(self.studio.layout))


def comparisons_html(results: Sequence[GoldFinetuneResult], layout: ProjectPaths) -> Markup:
    """Render each text spoken before and after, beside the recording."""
    return render(
        "datasets/gold_comparisons.html",
        results=results,
        url=lambda result, name: get_file_url(layout, Path(result.folder) / name),
    )
