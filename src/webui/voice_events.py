"""Lists of voices and models that follow their folders, and voices that are made on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.recordings import MICROPHONE
from studio.voices import voices_stamp
from studio.weights import models_stamp
from webui.form_view import bundle_choices, voice_choices
from webui.generate_tab import Tab
from webui.messages import note, refusal
from webui.own_voices import is_made_here, keep_voice
from webui.page import QUIET

# Any: each control has a value of its own type.

WATCH_S = 3.0  # between two looks into the folder


def wire_voices(tab: Tab, blocks: gr.Blocks) -> None:
    """Let the lists follow the folders, show what belongs to the voice chosen, and keep voices."""
    studio, keeping = tab.studio, tab.keeping
    controls: Mapping[str, Any] = tab.form.controls  # Any: Gradio adds the events at run time
    known = gr.State("")

    def look(seen: str) -> tuple[Any, Any, Any]:
        now = f"as of {voices_stamp(studio.layout)} {models_stamp(studio.layout)}"
        if now == seen:
            return gr.skip(), gr.skip(), gr.skip()
        voices = gr.update(choices=voice_choices(studio))
        return now, voices, gr.update(choices=bundle_choices(studio))

    def show(voice: str | None) -> tuple[Any, Any]:
        recorded = gr.update(visible=voice == MICROPHONE)
        return recorded, gr.update(visible=is_made_here(voice or ""))

    def keep(name: str, *given: Any) -> str:
        try:
            return note(keep_voice(studio, tab.form.named(given), name or ""))
        except StudioError as cause:
            return refusal(cause)

    for ask in (gr.Timer(WATCH_S).tick, blocks.load):
        ask(look, [known], [known, controls["voice"], controls["bundle"]], **QUIET)
    controls["voice"].change(
        show, [controls["voice"]], [controls["microphone"], keeping.fold], **QUIET
    )
    keeping.keep.click(keep, [keeping.name, *tab.form.components], [tab.message], **QUIET)
