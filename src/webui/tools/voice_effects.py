"""The effects that a voice always has: a chain for each voice, with a preview."""

from __future__ import annotations

from typing import Any

import gradio as gr

from audio.effects.options import EffectOptions
from core.errors import AppError, reraise_as_app_error
from studio.schemas.clip_tools import NO_EFFECTS, PreviewVoiceEffectsRequest
from studio.schemas.voices import MICROPHONE_VOICE
from studio.voices.catalog import find_voice, list_voices
from studio.voices.effects import (
    format_chain,
    read_voice_effects,
    to_chain,
    write_voice_effects,
)
from webui.components.live_panel import EVENT_OPTIONS, LivePanel, Updates, create_live_html
from webui.components.messages import note_html, show_errors
from webui.components.option_controls import clamp_inputs_js
from webui.components.page_context import PageContext
from webui.tools.effect_controls import EffectControls, read_chain, to_values
from webui.tools.results import ORIGIN

# Any: what Gradio's controls give and take.

ABOUT = (
    "Effects of a voice are in every clip that it speaks from then on: on Generate, on the command "
    "line and over the API. Its recordings are not changed, and None removes the effects."
)


class VoiceEffectsTool:
    """The controls.  view: where the newest preview is shown;  message: what was saved."""

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio = page, page.studio
        gr.Markdown(f"### Effects\n{ABOUT}")
        voices = self._list_voices()
        first = next(iter(voices), None)
        prefix, kept = "utilities-voice-effects", self._read(first)
        self.effects = EffectControls(prefix, kept, can_be_none=True)
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=300, elem_classes="utility"):
                self.voice = gr.Dropdown(
                    choices=voices,
                    value=first,
                    label="Voice",
                    allow_custom_value=True,
                    elem_id="utilities-voice-effects-voice",
                )
                self.effects.create_preset()
                with gr.Row():
                    self.preview = gr.Button("Preview", elem_id="utilities-voice-effects-preview")
                    self.save = gr.Button(
                        "Save for this voice",
                        variant="primary",
                        elem_id="utilities-voice-effects-save",
                    )
                self.message = gr.HTML("", elem_id="utilities-voice-effects-message")
            with gr.Column(scale=1, min_width=300, elem_classes="utility"):
                self.effects.create_options()
        self.view = create_live_html("utilities-voice-effects-heard")

    def bind(self, panel: LivePanel) -> None:
        """Connect the events to their handlers; the panel shows the jobs."""
        inputs = [self.voice, *self.effects.options]
        panel.bind(
            self.preview.click,
            show_errors(self.view, self.submit),
            inputs,
            js=clamp_inputs_js([*panel.inputs, *inputs]),
        )
        clamp = {"js": clamp_inputs_js(inputs), **EVENT_OPTIONS}
        save = show_errors(self.message, self.keep)
        self.save.click(save, inputs, [self.message], **clamp)
        self.effects.bind()
        self.voice.change(self.show, self.voice, self.effects.options, **EVENT_OPTIONS)
        self.voice.focus(
            lambda: gr.update(choices=self._list_voices()), None, self.voice, **EVENT_OPTIONS
        )
        self.page.blocks.load(self._get_first, self.voice, self.voice, **EVENT_OPTIONS).then(
            self.show, self.voice, self.effects.options, **EVENT_OPTIONS
        )

    def show(self, voice: Any) -> list[Any]:
        """Return what the controls show for the effects of a voice."""
        return to_values(self._read(str(voice or "")))

    def submit(self, voice: Any, *values: Any) -> Updates:
        """Submit a preview of the effects with a recording of the voice."""
        name = find_voice(self.studio.layout, _require(voice)).name
        options = read_chain(values)
        with reraise_as_app_error(ValueError):
            request = PreviewVoiceEffectsRequest(voice=name, options=options)
        self.studio.submit(request, title=f"Preview of effects for {name}", origin=ORIGIN)
        return {}

    def keep(self, voice: Any, *values: Any) -> Updates:
        """Save the effects with the voice; without any, remove those that it has."""
        found = find_voice(self.studio.layout, _require(voice))
        options = read_chain(values)
        write_voice_effects(found.folder, options)
        chain = format_chain(to_chain(options))
        text = f"Effects of {found.name}: {chain or 'none'}."
        return {self.message: note_html(text)}

    def _read(self, voice: str | None) -> EffectOptions:
        try:
            found = find_voice(self.studio.layout, voice) if voice else None
        except AppError:
            found = None
        return read_voice_effects(found.folder) if found else NO_EFFECTS

    def _get_first(self, voice: str | None) -> Any:
        voices = self._list_voices()
        return gr.update(choices=voices, value=voice or next(iter(voices), None))

    def _list_voices(self) -> list[str]:
        voices = list_voices(self.studio.layout)
        return [voice.name for voice in voices if voice.name != MICROPHONE_VOICE]


def _require(voice: Any) -> str:
    name = str(voice or "").strip()
    if not name:
        raise AppError("No voice is selected. Choose one from the list.")
    return name
