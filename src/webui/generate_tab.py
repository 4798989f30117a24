"""The parts of the tab Generate that handlers touch, and what the form on it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.requests import request_of
from studio.speaking import SpeakRequest
from studio.studio import Studio
from webui.form import GenerateForm, wish_of
from webui.form_view import Keeping, SeedButtons
from webui.job_panel import JobPanel
from webui.painted import Painted

# Any: each control has a value of its own type.


@dataclass(frozen=True, kw_only=True)
class Tab:
    """Everything on the tab that handlers touch."""

    studio: Studio
    form: GenerateForm
    panel: JobPanel
    message: gr.HTML
    preview: Painted
    run: gr.Button
    stop: gr.Button
    reset: gr.Button
    seed_buttons: SeedButtons
    drop: gr.File
    keeping: Keeping

    def told(self, message: str, form: Sequence[Any] | None = None) -> list[Any]:
        """What a handler returns that says something, and where asked fills the form."""
        return [message, *(form or [gr.skip()] * len(self.form.components))]

    @property
    def telling(self) -> list[Any]:
        """The outputs for `told`."""
        return [self.message, *self.form.components]


def request_from(studio: Studio, form: GenerateForm, given: Sequence[Any]) -> SpeakRequest:
    """Translate what the controls hold into a request. Raises StudioError naming what is wrong."""
    values = form.named(given)
    return request_of(studio.settings, wish_of(values, form.knobs), studio.layout)
