"""Two models become one that lies between them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.errors import AppError, reraise_as_app_error
from core.options import list_option_fields
from core.paths import validate_name
from studio.app.studio import Studio
from studio.model_store.bundles import find_model_folder, list_models
from studio.schemas.clip_tools import MergeModelsRequest
from webui.components.live_html import EVENT_OPTIONS
from webui.components.messages import error_html, note_html
from webui.components.option_controls import build_control, from_control_value
from webui.components.page_context import PageContext

ABOUT = (
    "A mixture of two models that were fine-tuned from the same one lies between them: half of "
    "each sounds like neither quite. Models of another build are refused, with the first "
    "difference named. Both stay as they are."
)


def build_merge_tool(page: PageContext) -> dict[str, gr.HTML]:
    """Draw the part and wire it. Returns where the jobs of the task are shown."""
    studio = page.studio
    gr.Markdown(ABOUT)
    with gr.Row():
        first = _build_model_dropdown(studio, "First model", 0)
        second = _build_model_dropdown(studio, "Second model", 1)
    with gr.Row():
        (field,) = list_option_fields(MergeModelsRequest)
        share = build_control(field, "utilities", field.default)
        name = gr.Textbox(
            label="Name",
            info="The new model is called finetunes/NAME.",
            max_lines=1,
            elem_id="utilities-merge-name",
        )
    run = gr.Button("Merge", elem_id="utilities-merge")
    shown = gr.HTML("", elem_id="utilities-merged")
    run.click(
        lambda *given: _submit_merge(studio, *given),
        [first, second, share, name],
        shown,
        **EVENT_OPTIONS,
    )
    for chooser in (first, second):
        chooser.focus(
            lambda: gr.update(choices=_list_model_names(studio)), None, chooser, **EVENT_OPTIONS
        )
    return {"merge_models": shown}


def _build_model_dropdown(studio: Studio, label: str, place: int) -> gr.Dropdown:
    names = _list_model_names(studio)
    return gr.Dropdown(
        choices=names,
        value=names[place] if place < len(names) else None,
        label=label,
        allow_custom_value=True,
        elem_id=f"utilities-merge-{('first', 'second')[place]}",
    )


def _list_model_names(studio: Studio) -> list[str]:
    return [bundle.name for bundle in list_models(studio.layout) if bundle.speaks]


def _submit_merge(studio: Studio, first: Any, second: Any, share: Any, name: Any) -> str:
    """Refuse at once what can be seen at once; the worker checks the rest."""
    try:
        for model in (first, second):
            find_model_folder(studio.layout, str(model or ""))
        if first == second:
            raise AppError("A model merged with itself stays what it is. Choose two.")
        wished = validate_name(str(name or "").strip(), "model")
        with reraise_as_app_error(ValueError):
            meant = from_control_value(list_option_fields(MergeModelsRequest)[0], share)
            wish = MergeModelsRequest(first=first, second=second, name=wished, share=meant)
        job = studio.submit(wish, title=f"Merge of {first} and {second}")
        return note_html(f"{job.title} begins.")
    except AppError as cause:
        return error_html(cause)
