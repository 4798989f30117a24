"""A voice designed by sliders: three random voices that fit are heard, and one is kept."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.errors import AppError, reraise_as_app_error
from core.options import list_option_fields
from studio.schemas.voices import SaveRandomVoiceRequest
from studio.voices.design import DRAWS, DesignVoiceRequest
from studio.voices.trash import get_new_voice_folder
from webui.components.live_panel import LivePanel, PanelAction, Updates, create_live_html
from webui.components.messages import note_html, show_errors
from webui.components.option_controls import build_control, clamp_inputs_js, from_control_value
from webui.components.page_context import PageContext
from webui.tools.results import ORIGIN

# Any: what Gradio's controls give and take.

ABOUT = (
    f"Find a voice of no person: {DRAWS} random voices are measured once for each model, in about "
    "two minutes, and the three that fit best are offered. Man or woman and age are estimates of "
    "how a voice sounds, by its pitch, resonance and steadiness. The pace is kept with the voice, "
    "as its default preset."
)


class DesignTool:
    """The sliders.  view: where the offered voices are shown;  message: what was kept."""

    def __init__(self, page: PageContext) -> None:
        self.studio = page.studio
        gr.Markdown(f"### Design\n{ABOUT}")
        self.fields = list_option_fields(DesignVoiceRequest)
        with gr.Column(elem_classes="utility"):
            with gr.Row():
                self.controls: list[Any] = [
                    build_control(field, "utilities-design", field.default) for field in self.fields
                ]
            self.find = gr.Button("Find voices", elem_id="utilities-design-find")
        self.message = gr.HTML("", elem_id="utilities-design-message")
        self.view = create_live_html("utilities-designed")

    def bind(self, panel: LivePanel) -> None:
        """Connect the events to their handlers; the panel shows the jobs."""
        clamp = clamp_inputs_js([*panel.inputs, *self.controls])
        find = show_errors(self.view, self.submit)
        panel.bind(self.find.click, find, self.controls, js=clamp)
        panel.listen(self.view)

    def submit(self, *values: Any) -> Updates:
        """Submit a search for voices with these traits."""
        pairs = zip(self.fields, values, strict=True)
        with reraise_as_app_error(ValueError):
            request = DesignVoiceRequest(
                **{field.name: from_control_value(field, value) for field, value in pairs}
            )
        self.studio.submit(request, title="Design of a voice", origin=ORIGIN)
        return {}

    def keep(self, action: PanelAction) -> Updates:
        """Submit an offered voice to be kept under a name."""
        job = self.studio.job(action.text("job"))
        result = job.result or {}
        seeds = [offered["voice"]["seed"] for offered in result.get("voices", ())]
        if job.task != "design_voice" or action.text("value") not in map(str, seeds):
            raise AppError("There is no such voice. Find voices again.")
        name, seed = action.text("name").strip(), int(action.text("value"))
        if not name:
            raise AppError("Type a name for the voice first.")
        get_new_voice_folder(self.studio.layout, name)
        speed = float(result.get("speed", 1.0))
        request = SaveRandomVoiceRequest(
            name=name, seed=seed, bundle=str(result["bundle"]), speed=speed
        )
        self.studio.submit(request, title=f"Save the random voice as {name}", origin=ORIGIN)
        return {self.message: note_html(f"Saving {name}; it will appear in the gallery.")}
