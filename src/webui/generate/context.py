"""The parts of the tab Generate that handlers touch, and what the form on it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.app.studio import Studio
from studio.schemas.speech import SpeechRequest
from studio.synthesis.request_builder import build_request
from webui.components.job_list import JobPanel
from webui.components.live_html import LiveHtml
from webui.generate.form import GenerateForm, build_request_input
from webui.generate.form_view import SaveVoiceControls, SeedButtons

# Any: each control has a value of its own type.


@dataclass(frozen=True, kw_only=True)
class GenerateTab:
    """Everything on the tab that handlers touch."""

    studio: Studio
    form: GenerateForm
    panel: JobPanel
    message: gr.HTML
    preview: LiveHtml
    run: gr.Button
    stop: gr.Button
    reset: gr.Button
    seed_buttons: SeedButtons
    drop: gr.File
    save_voice: SaveVoiceControls

    def build_outputs(self, message: str, form: Sequence[Any] | None = None) -> list[Any]:
        """What a handler returns that says something, and where asked fills the form."""
        return [message, *(form or [gr.skip()] * len(self.form.components))]

    @property
    def outputs(self) -> list[Any]:
        """The outputs for `told`."""
        return [self.message, *self.form.components]


def build_speech_request(studio: Studio, form: GenerateForm, given: Sequence[Any]) -> SpeechRequest:
    """Translate what the controls hold into a request. Raises StudioError naming what is wrong."""
    values = form.name_values(given)
    return build_request(
        studio.settings, build_request_input(values, form.option_fields), studio.layout
    )
