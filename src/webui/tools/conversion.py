"""The voice conversion of the Utilities tab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import AppError
from core.options import list_option_fields
from studio.model_store.bundles import list_models
from studio.schemas.clip_tools import ConvertClipRequest
from studio.voices.catalog import find_voice, list_voices
from studio.voices.uploads import store_upload
from webui.components.live_panel import EVENT_OPTIONS, LivePanel, Updates, create_live_html
from webui.components.messages import note_html, show_errors
from webui.components.option_controls import build_control, from_control_value
from webui.components.page_context import PageContext
from webui.tools.results import ORIGIN

# Any: what Gradio's controls give and take.

ABOUT = (
    "Speak a recording again in another voice: the words and their timing stay. The recording "
    "itself is not changed."
)
NO_MODEL = "No installed model can convert voices: that needs a codebook with speaker vectors."
FIELDS = {field.name: field for field in list_option_fields(ConvertClipRequest)}


class ConversionTool:
    """The conversion part of the Utilities tab.  view: where its newest job is shown."""

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio = page, page.studio
        gr.Markdown(ABOUT)
        with gr.Column(elem_classes="utility"):
            self.recording = gr.File(
                label="Drop a recording: wav, mp3, flac, ogg, opus, m4a",
                type="filepath",
                height=150,
                elem_id="utilities-convert-clip",
            )
            with gr.Row():
                self.voice = gr.Dropdown(
                    choices=self._list_voices(),
                    value=next(iter(self._list_voices()), None),
                    label="Voice",
                    allow_custom_value=True,
                    elem_id="utilities-convert-voice",
                )
                self.vocoder = build_control(
                    FIELDS["vocoder"], "utilities-convert", FIELDS["vocoder"].default
                )
            self.words, self.transcribe = (
                build_control(FIELDS[name], "utilities-convert", FIELDS[name].default)
                for name in ("words", "transcribe")
            )
            self.convert = gr.Button("Convert", elem_id="utilities-convert")
            self.no_model = gr.HTML("", elem_id="utilities-convert-missing")
        self.view = create_live_html("utilities-converted")

    def bind(self, panel: LivePanel) -> None:
        """Connect the events to their handlers; the panel shows the jobs."""
        convert = show_errors(self.view, self.submit)
        inputs = [self.recording, self.voice, self.vocoder, self.words, self.transcribe]
        panel.bind(self.convert.click, convert, inputs)
        for trigger in (self.voice.focus, self.page.blocks.load):
            trigger(
                lambda: gr.update(choices=self._list_voices()), None, self.voice, **EVENT_OPTIONS
            )
        self.page.blocks.load(
            self._get_model_updates, None, [self.convert, self.no_model], **EVENT_OPTIONS
        )

    def submit(
        self, recording: str | None, voice: Any, vocoder: Any, words: Any, transcribe: Any
    ) -> Updates:
        """Submit a conversion; the worker checks the model."""
        if not recording:
            raise AppError("Drop a recording first.")
        name = find_voice(self.studio.layout, str(voice or "")).name
        request = ConvertClipRequest(
            clip=store_upload(self.studio.layout, Path(recording)),
            voice=name,
            vocoder=from_control_value(FIELDS["vocoder"], vocoder),
            words=str(words or ""),
            transcribe=bool(transcribe),
        )
        title = f"Conversion to {name}: {Path(recording).name}"
        self.studio.submit(request, title=title, origin=ORIGIN)
        return {}

    def _get_model_updates(self) -> Updates:
        can_convert = any(model.converts for model in list_models(self.studio.layout))
        return {
            self.convert: gr.update(interactive=can_convert),
            self.no_model: "" if can_convert else note_html(NO_MODEL),
        }

    def _list_voices(self) -> list[str]:
        return [voice.name for voice in list_voices(self.studio.layout) if voice.clips]
