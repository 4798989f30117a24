"""Two models become one that lies between them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from engines.knobs import knobs_of
from studio.errors import StudioError, refusing
from studio.layout import plain_name
from studio.studio import Studio
from studio.utilities import MergeModels
from studio.weights import existing_bundle, list_bundles
from webui.controls import control, plain_value
from webui.messages import note, refusal
from webui.page import QUIET, Page

ABOUT = (
    "A mixture of two models that were fine-tuned from the same one lies between them: half of "
    "each sounds like neither quite. Models of another build are refused, with the first "
    "difference named. Both stay as they are."
)


def draw_merge(page: Page) -> dict[str, gr.HTML]:
    """Draw the part and wire it. Returns where the jobs of the task are shown."""
    studio = page.studio
    gr.Markdown(ABOUT)
    with gr.Row():
        first = _draw_model(studio, "First model", 0)
        second = _draw_model(studio, "Second model", 1)
    with gr.Row():
        (field,) = knobs_of(MergeModels)
        share = control(field, "utilities", field.default)
        name = gr.Textbox(
            label="Name",
            info="The new model is called finetunes/NAME.",
            max_lines=1,
            elem_id="utilities-merge-name",
        )
    run = gr.Button("Merge", elem_id="utilities-merge")
    shown = gr.HTML("", elem_id="utilities-merged")
    run.click(lambda *given: _ask(studio, *given), [first, second, share, name], shown, **QUIET)
    for chooser in (first, second):
        chooser.focus(lambda: gr.update(choices=_names(studio)), None, chooser, **QUIET)
    return {"merge_models": shown}


def _draw_model(studio: Studio, label: str, place: int) -> gr.Dropdown:
    names = _names(studio)
    return gr.Dropdown(
        choices=names,
        value=names[place] if place < len(names) else None,
        label=label,
        allow_custom_value=True,
        elem_id=f"utilities-merge-{('first', 'second')[place]}",
    )


def _names(studio: Studio) -> list[str]:
    return [bundle.name for bundle in list_bundles(studio.layout) if bundle.speaks]


def _ask(studio: Studio, first: Any, second: Any, share: Any, name: Any) -> str:
    """Refuse at once what can be seen at once; the worker checks the rest."""
    try:
        for model in (first, second):
            existing_bundle(studio.layout, str(model or ""))
        if first == second:
            raise StudioError("A model merged with itself stays what it is. Choose two.")
        wished = plain_name(str(name or "").strip(), "model")
        with refusing(ValueError):
            meant = plain_value(knobs_of(MergeModels)[0], share)
            wish = MergeModels(first=first, second=second, name=wished, share=meant)
        job = studio.submit(wish, title=f"Merge of {first} and {second}")
        return note(f"{job.title} begins.")
    except StudioError as cause:
        return refusal(cause)
