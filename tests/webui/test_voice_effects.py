"""The effects of a voice in Utilities: shown, previewed, saved with the voice and removed."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from audio.effects.options import EFFECT_PRESETS
from core.errors import AppError
from studio.app.studio import Studio
from studio.schemas.clip_tools import NO_EFFECTS, merge_effects
from studio.voices.effects import read_voice_effects
from webui.components.page_context import PageContext
from webui.tools.effects import CUSTOM
from webui.tools.results import tool_job_html
from webui.tools.voice_effects import (
    NONE,
    VoiceEffectsTool,
    find_voice_preset,
    show_voice_preset,
)
from webui.tools.voices import gallery_html


@pytest.fixture
def tool(studio: Studio) -> VoiceEffectsTool:
    with gr.Blocks() as blocks, gr.Tabs() as tabs:
        return VoiceEffectsTool(PageContext(studio=studio, blocks=blocks, tabs=tabs))


@pytest.mark.parametrize("preset", [NONE, *EFFECT_PRESETS])
def test_a_preset_shows_its_options_and_is_known_by_them(preset: str) -> None:
    values = show_voice_preset(preset)
    assert find_voice_preset(*values) == preset
    values[0] = 7.5
    assert find_voice_preset(*values) == CUSTOM


def test_effects_are_saved_shown_with_the_voice_and_removed(
    studio: Studio, tool: VoiceEffectsTool
) -> None:
    folder = studio.layout.voices / "Anna"
    assert tool.show("Anna") == show_voice_preset(NONE) == tool.show("nobody") == tool.show(None)
    told = tool.keep("Anna", *show_voice_preset("hall"))[tool.message]
    assert "Effects of Anna: reverb 0.35, reverb_s 2.2." in told
    assert read_voice_effects(folder) == merge_effects("hall", {})
    assert tool.show("Anna") == show_voice_preset("hall")
    assert "Effects: reverb 0.35, reverb_s 2.2" in gallery_html(studio.layout, [])
    assert "Effects of Anna: none." in tool.keep("Anna", *show_voice_preset(NONE))[tool.message]
    assert read_voice_effects(folder) == NO_EFFECTS
    assert "Effects:" not in gallery_html(studio.layout, [])


def test_a_preview_changes_nothing_of_the_voice(studio: Studio, tool: VoiceEffectsTool) -> None:
    tool.submit("Anna", *show_voice_preset("telephone"))
    job = studio.wait(studio.jobs()[0].id, 120)
    assert job.state == "done" and job.task == "preview_voice_effects"
    html = tool_job_html(job, studio.layout)
    assert html.count("<audio") == 2 and "nothing is saved" in html
    assert read_voice_effects(studio.layout.voices / "Anna") == NO_EFFECTS


@pytest.mark.parametrize(
    ("voice", "values", "told"),
    [
        ("", show_voice_preset("hall"), "No voice is selected"),
        ("nobody", show_voice_preset("hall"), "no voice 'nobody'"),
        ("Anna", [99, "full", 0, 0, 0, 1, 0, 1], "pitch is 99"),
        ("Anna", show_voice_preset(NONE), "No effect is turned on"),
    ],
)
def test_what_does_not_fit_is_named(
    studio: Studio, tool: VoiceEffectsTool, voice: str, values: list[Any], told: str
) -> None:
    with pytest.raises(AppError, match=told):
        tool.submit(voice, *values)
    assert studio.jobs() == []
