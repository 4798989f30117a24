"""A blend of two to four voices, set by sliders: heard by a sentence, and kept as a voice."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components import Component

from studio.schemas.voices import MICROPHONE_VOICE, SaveBlendRequest
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.voices.catalog import check_voices, format_blend, list_voices
from studio.voices.trash import get_new_voice_folder
from webui.components.live_panel import EVENT_OPTIONS, LivePanel, Updates, create_live_html
from webui.components.messages import show_errors
from webui.components.option_controls import clamp_inputs_js
from webui.components.page_context import PageContext
from webui.tools.results import ORIGIN

# Any: what Gradio's controls give and take.

ABOUT = (
    "Mix two to four voices. Only the ratio of the weights counts. A kept blend belongs to the "
    "model that it was made with."
)
MAX_VOICES = 4
SENTENCE = "The morning was quiet, and the river ran slowly past the old mill."


class BlendTool:
    """The controls.  view, kept_view: where the newest preview and the newest voice are shown."""

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio = page, page.studio
        gr.Markdown(f"### Blend\n{ABOUT}")
        names = self._list_voices()
        self.voices: list[Any] = []
        self.weights: list[Component] = []
        with gr.Column(elem_classes="utility"):
            for number in range(MAX_VOICES):
                self._build_row(number, names[number] if number < min(2, len(names)) else "")
            self.sentence = gr.Textbox(
                value=SENTENCE, label="Sentence", lines=2, elem_id="utilities-blend-sentence"
            )
            self.hear = gr.Button("Preview the blend", elem_id="utilities-blend-hear")
            with gr.Row():
                self.name = gr.Textbox(
                    label="Name",
                    info="Name of the new voice.",
                    max_lines=1,
                    elem_id="utilities-blend-name",
                )
                self.save = gr.Button("Save as a voice", elem_id="utilities-blend-save")
        self.view = create_live_html("utilities-blend-heard")
        self.kept_view = create_live_html("utilities-blend-kept")

    def _build_row(self, number: int, voice: str) -> None:
        with gr.Row():
            self.voices.append(
                gr.Dropdown(
                    choices=self._list_choices(),
                    value=voice,
                    label=f"Voice {number + 1}",
                    allow_custom_value=True,
                    elem_id=f"utilities-blend-voice-{number + 1}",
                )
            )
            self.weights.append(
                gr.Slider(
                    value=0.5,
                    minimum=0.0,
                    maximum=1.0,
                    step=0.05,
                    label=f"Weight {number + 1}",
                    elem_id=f"utilities-blend-weight-{number + 1}",
                )
            )

    def bind(self, panel: LivePanel) -> None:
        """Connect the events to their handlers; the panel shows the jobs."""
        parts = [*self.voices, *self.weights]
        for button, handler, field, view in (
            (self.hear, self.submit_preview, self.sentence, self.view),
            (self.save, self.submit_voice, self.name, self.kept_view),
        ):
            inputs = [field, *parts]
            clamp = clamp_inputs_js([*panel.inputs, *inputs])
            panel.bind(button.click, show_errors(view, handler), inputs, js=clamp)
        for trigger in (*(voice.focus for voice in self.voices), self.page.blocks.load):
            trigger(
                lambda: [gr.update(choices=self._list_choices())] * MAX_VOICES,
                None,
                self.voices,
                **EVENT_OPTIONS,
            )

    def submit_preview(self, sentence: str, *values: Any) -> Updates:
        """Submit the sentence in the blended voice."""
        blend = self._read_blend(values)
        given = SpeechRequestInput(text=sentence, voice=blend)
        request = build_request(self.studio.settings, given, self.studio.layout)
        self.studio.submit(request, title=f"Preview of {blend}", origin=ORIGIN)
        return {}

    def submit_voice(self, name: str, *values: Any) -> Updates:
        """Submit the blend to be kept as a voice."""
        blend = self._read_blend(values)
        wanted = (name or "").strip()
        get_new_voice_folder(self.studio.layout, wanted)
        request = SaveBlendRequest(name=wanted, voice=blend)
        self.studio.submit(request, title=f"Save the blend as {wanted}", origin=ORIGIN)
        return {}

    def _read_blend(self, values: tuple[Any, ...]) -> str:
        voices, weights = values[:MAX_VOICES], values[MAX_VOICES:]
        pairs = zip(voices, weights, strict=True)
        blend = format_blend([(str(voice or ""), float(weight or 0)) for voice, weight in pairs])
        check_voices(self.studio.layout, blend)
        return blend

    def _list_voices(self) -> list[str]:
        voices = list_voices(self.studio.layout)
        return [voice.name for voice in voices if voice.name != MICROPHONE_VOICE]

    def _list_choices(self) -> list[tuple[str, str]]:
        return [("None", ""), *((name, name) for name in self._list_voices())]
