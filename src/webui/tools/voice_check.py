"""A whole voice checked: each of its clips, and whether they go together."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.errors import AppError
from studio.app.studio import Studio
from studio.schemas.clip_tools import CheckVoiceRequest
from studio.voices.catalog import find_voice, list_voices
from webui.components.live_html import EVENT_OPTIONS
from webui.components.messages import error_html, note_html
from webui.components.page_context import PageContext


def build_voice_check(page: PageContext) -> dict[str, gr.HTML]:
    """Draw the part and wire it. Returns where the jobs of the task are shown."""
    studio = page.studio
    gr.Markdown("Are the clips of a voice fit to clone from, and do they go together?")
    with gr.Column(elem_classes="utility"):
        voice = gr.Dropdown(
            choices=_list_voice_names(studio),
            value=next(iter(_list_voice_names(studio)), None),
            label="Voice",
            info="A folder under voices/.",
            allow_custom_value=True,
            elem_id="utilities-voice",
        )
        run = gr.Button("Check the voice", elem_id="utilities-check-voice")
    shown = gr.HTML("", elem_id="utilities-voice-checked")
    for ask in (voice.focus, page.blocks.load):
        ask(lambda: gr.update(choices=_list_voice_names(studio)), None, voice, **EVENT_OPTIONS)
    run.click(lambda name: _submit_check(studio, name), [voice], shown, **EVENT_OPTIONS)
    return {"check_voice": shown}


def _list_voice_names(studio: Studio) -> list[str]:
    return [voice.name for voice in list_voices(studio.layout) if voice.clips]


def _submit_check(studio: Studio, name: Any) -> str:
    try:
        voice = find_voice(studio.layout, str(name or ""))
        job = studio.submit(CheckVoiceRequest(voice=voice.name), title=f"Check of {voice.name}")
        return note_html(f"{job.title} begins.")
    except AppError as cause:
        return error_html(cause)
