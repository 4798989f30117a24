"""A whole voice checked: each of its clips, and whether they go together."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.studio import Studio
from studio.utilities import CheckVoice
from studio.voices import find_voice, list_voices
from webui.messages import note, refusal
from webui.page import QUIET, Page


def draw_voice_check(page: Page) -> dict[str, gr.HTML]:
    """Draw the part and wire it. Returns where the jobs of the task are shown."""
    studio = page.studio
    gr.Markdown("Are the clips of a voice fit to clone from, and do they go together?")
    with gr.Column(elem_classes="utility"):
        voice = gr.Dropdown(
            choices=_names(studio),
            value=next(iter(_names(studio)), None),
            label="Voice",
            info="A folder under voices/.",
            allow_custom_value=True,
            elem_id="utilities-voice",
        )
        run = gr.Button("Check the voice", elem_id="utilities-check-voice")
    shown = gr.HTML("", elem_id="utilities-voice-checked")
    for ask in (voice.focus, page.blocks.load):
        ask(lambda: gr.update(choices=_names(studio)), None, voice, **QUIET)
    run.click(lambda name: _ask(studio, name), [voice], shown, **QUIET)
    return {"check_voice": shown}


def _names(studio: Studio) -> list[str]:
    return [voice.name for voice in list_voices(studio.layout) if voice.clips]


def _ask(studio: Studio, name: Any) -> str:
    try:
        voice = find_voice(studio.layout, str(name or ""))
        job = studio.submit(CheckVoice(voice=voice.name), title=f"Check of {voice.name}")
        return note(f"{job.title} begins.")
    except StudioError as cause:
        return refusal(cause)
