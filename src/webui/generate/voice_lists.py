"""Lists of voices and models that follow their folders, and voices that are made on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from core.errors import AppError
from studio.model_store.bundles import get_models_fingerprint
from studio.schemas.voices import MICROPHONE_VOICE
from studio.voices.catalog import get_voices_fingerprint
from webui.components.live_html import EVENT_OPTIONS
from webui.components.messages import error_html, note_html
from webui.generate.context import GenerateTab
from webui.generate.form_view import model_choices, voice_choices
from webui.generate.voice_recorder import is_unsaved_voice, save_form_voice

# Any: each control has a value of its own type.

POLL_INTERVAL_S = 3.0  # between two looks into the folder


def bind_voice_events(tab: GenerateTab, blocks: gr.Blocks) -> None:
    """Let the lists follow the folders, show what belongs to the voice chosen, and keep voices."""
    studio, keeping = tab.studio, tab.save_voice
    controls: Mapping[str, Any] = tab.form.controls  # Any: Gradio adds the events at run time
    known = gr.State("")

    def look(seen: str) -> tuple[Any, Any, Any]:
        now = (
            f"as of {get_voices_fingerprint(studio.layout)} {get_models_fingerprint(studio.layout)}"
        )
        if now == seen:
            return gr.skip(), gr.skip(), gr.skip()
        voices = gr.update(choices=voice_choices(studio))
        return now, voices, gr.update(choices=model_choices(studio))

    def show(voice: str | None) -> tuple[Any, Any]:
        recorded = gr.update(visible=voice == MICROPHONE_VOICE)
        return recorded, gr.update(visible=is_unsaved_voice(voice or ""))

    def keep(name: str, *given: Any) -> str:
        try:
            return note_html(save_form_voice(studio, tab.form.name_values(given), name or ""))
        except AppError as cause:
            return error_html(cause)

    for ask in (gr.Timer(POLL_INTERVAL_S).tick, blocks.load):
        ask(look, [known], [known, controls["voice"], controls["bundle"]], **EVENT_OPTIONS)
    controls["voice"].change(
        show, [controls["voice"]], [controls["microphone"], keeping.accordion], **EVENT_OPTIONS
    )
    keeping.save.click(keep, [keeping.name, *tab.form.components], [tab.message], **EVENT_OPTIONS)
