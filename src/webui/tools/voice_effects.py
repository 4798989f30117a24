"""The effects that a voice always has: a chain for each voice, with a preview."""

from __future__ import annotations

from typing import Any

import gradio as gr

from audio.effects.options import EFFECT_PRESETS, EffectOptions
from core.errors import AppError, reraise_as_app_error
from studio.schemas.clip_tools import NO_EFFECTS, PreviewVoiceEffectsRequest
from studio.schemas.voices import MICROPHONE_VOICE
from studio.voices.catalog import find_voice, list_voices
from studio.voices.effects import (
    find_preset_name,
    format_chain,
    read_voice_effects,
    to_chain,
    write_voice_effects,
)
from webui.components.live_panel import EVENT_OPTIONS, LivePanel, Updates, create_live_html
from webui.components.messages import note_html, show_errors
from webui.components.option_controls import (
    build_control,
    clamp_inputs_js,
    format_preset_label,
    to_control_value,
)
from webui.components.page_context import PageContext
from webui.tools.effects import CUSTOM, FIELDS, read_controls, show_preset
from webui.tools.results import ORIGIN

# Any: what Gradio's controls give and take.

ABOUT = (
    "Effects of a voice are in every clip that it speaks from then on: on Generate, on the command "
    "line and over the API. Its recordings are not changed, and None removes the effects."
)
NONE = "none"
PRESETS = (NONE, *EFFECT_PRESETS, CUSTOM)


class VoiceEffectsTool:
    """The controls.  view: where the newest preview is shown;  message: what was saved."""

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio = page, page.studio
        gr.Markdown(f"### Effects\n{ABOUT}")
        voices = self._list_voices()
        first = next(iter(voices), None)
        kept = self._read(first)
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=300, elem_classes="utility"):
                self.voice = gr.Dropdown(
                    choices=voices,
                    value=first,
                    label="Voice",
                    allow_custom_value=True,
                    elem_id="utilities-voice-effects-voice",
                )
                self.preset = gr.Dropdown(
                    choices=[
                        (format_preset_label(name), name)
                        for name in (NONE, *EFFECT_PRESETS, CUSTOM)
                    ],
                    value=_name_preset(kept),
                    label="Effects",
                    info="Each sets the options; changing them is a custom chain.",
                    elem_id="utilities-voice-effects-preset",
                )
                with gr.Row():
                    self.preview = gr.Button("Preview", elem_id="utilities-voice-effects-preview")
                    self.save = gr.Button(
                        "Save for this voice",
                        variant="primary",
                        elem_id="utilities-voice-effects-save",
                    )
                self.message = gr.HTML("", elem_id="utilities-voice-effects-message")
            with gr.Column(scale=1, min_width=300, elem_classes="utility"):
                self.controls: list[Any] = [
                    build_control(field, "utilities-voice-effects", getattr(kept, field.name))
                    for field in FIELDS
                ]
        self.view = create_live_html("utilities-voice-effects-heard")

    def bind(self, panel: LivePanel) -> None:
        """Connect the events to their handlers; the panel shows the jobs."""
        inputs = [self.voice, *self.controls]
        panel.bind(
            self.preview.click,
            show_errors(self.view, self.submit),
            inputs,
            js=clamp_inputs_js([*panel.inputs, *inputs]),
        )
        clamp = {"js": clamp_inputs_js(inputs), **EVENT_OPTIONS}
        save = show_errors(self.message, self.keep)
        self.save.click(save, inputs, [self.message], **clamp)
        self.preset.input(show_voice_preset, self.preset, self.controls, **EVENT_OPTIONS)
        shown = {"js": clamp_inputs_js(self.controls), **EVENT_OPTIONS}
        changes = [control.change for control in self.controls]
        gr.on(changes, find_voice_preset, self.controls, self.preset, **shown)
        self.voice.change(self.show, self.voice, self.controls, **EVENT_OPTIONS)
        self.voice.focus(
            lambda: gr.update(choices=self._list_voices()), None, self.voice, **EVENT_OPTIONS
        )
        self.page.blocks.load(self._get_first, self.voice, self.voice, **EVENT_OPTIONS).then(
            self.show, self.voice, self.controls, **EVENT_OPTIONS
        )

    def show(self, voice: Any) -> list[Any]:
        """Return what the controls show for the effects of a voice."""
        kept = self._read(str(voice or ""))
        return [to_control_value(field, getattr(kept, field.name)) for field in FIELDS]

    def submit(self, voice: Any, *values: Any) -> Updates:
        """Submit a preview of the effects with a recording of the voice."""
        name = find_voice(self.studio.layout, _require(voice)).name
        with reraise_as_app_error(ValueError):
            options = EffectOptions(**read_controls(values))
            request = PreviewVoiceEffectsRequest(voice=name, options=options)
        self.studio.submit(request, title=f"Preview of effects for {name}", origin=ORIGIN)
        return {}

    def keep(self, voice: Any, *values: Any) -> Updates:
        """Save the effects with the voice; without any, remove those that it has."""
        found = find_voice(self.studio.layout, _require(voice))
        with reraise_as_app_error(ValueError):
            options = EffectOptions(**read_controls(values))
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


def show_voice_preset(preset: str) -> list[Any]:
    """Return what the controls show for a preset; they stay for the custom chain."""
    if preset == NONE:
        return [to_control_value(field, getattr(NO_EFFECTS, field.name)) for field in FIELDS]
    return show_preset(preset)


def find_voice_preset(*values: Any) -> str:
    """Return the preset that has the values of the controls, or the custom chain."""
    try:
        return _name_preset(EffectOptions(**read_controls(values)))
    except ValueError:
        return CUSTOM


def _name_preset(options: EffectOptions) -> str:
    return NONE if options == NO_EFFECTS else find_preset_name(options) or CUSTOM


def _require(voice: Any) -> str:
    name = str(voice or "").strip()
    if not name:
        raise AppError("No voice is selected. Choose one from the list.")
    return name
