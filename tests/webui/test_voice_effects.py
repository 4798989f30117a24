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
from webui.tools.effect_controls import CUSTOM, NONE, EffectControls, read_chain, to_values
from webui.tools.results import tool_job_html
from webui.tools.voice_effects import VoiceEffectsTool
from webui.tools.voices import gallery_html

NOTHING = to_values(NO_EFFECTS)
HALL, TELEPHONE = (to_values(merge_effects(name, {})) for name in ("hall", "telephone"))


@pytest.fixture
def tool(studio: Studio) -> VoiceEffectsTool:
    with gr.Blocks() as blocks, gr.Tabs() as tabs:
        return VoiceEffectsTool(PageContext(studio=studio, blocks=blocks, tabs=tabs))


@pytest.mark.parametrize("preset", [NONE, *EFFECT_PRESETS])
def test_a_preset_is_known_by_its_options(preset: str) -> None:
    controls = EffectControls("any", NO_EFFECTS, can_be_none=True)
    values = NOTHING if preset == NONE else to_values(merge_effects(preset, {}))
    assert controls.find_preset(read_chain(values)) == preset
    assert controls.find_preset(read_chain([7.5, *values[1:]])) == CUSTOM


def test_effects_are_saved_shown_with_the_voice_and_removed(
    studio: Studio, tool: VoiceEffectsTool
) -> None:
    folder = studio.layout.voices / "Anna"
    assert tool.show("Anna") == NOTHING == tool.show("nobody") == tool.show(None)
    told = tool.keep("Anna", *HALL)[tool.message]
    assert "Effects of Anna: reverb 0.35, reverb_s 2.2." in told
    assert read_voice_effects(folder) == merge_effects("hall", {})
    assert tool.show("Anna") == HALL
    assert "Effects: reverb 0.35, reverb_s 2.2" in gallery_html(studio.layout, [])
    assert "Effects of Anna: none." in tool.keep("Anna", *NOTHING)[tool.message]
    assert read_voice_effects(folder) == NO_EFFECTS
    assert "Effects:" not in gallery_html(studio.layout, [])


def test_a_preview_changes_nothing_of_the_voice(studio: Studio, tool: VoiceEffectsTool) -> None:
    tool.submit("Anna", *TELEPHONE)
    job = studio.wait(studio.jobs()[0].id, 120)
    assert job.state == "done" and job.task == "preview_voice_effects"
    html = tool_job_html(job, studio.layout)
    assert html.count("<audio") == 2 and "nothing is saved" in html
    assert read_voice_effects(studio.layout.voices / "Anna") == NO_EFFECTS


@pytest.mark.parametrize(
    ("voice", "values", "told"),
    [
        ("", HALL, "No voice is selected"),
        ("nobody", HALL, "no voice 'nobody'"),
        ("Anna", [99, "full", 0, 0, 0, 1, 0, 1], "pitch is 99"),
        ("Anna", NOTHING, "No effect is turned on"),
    ],
)
def test_what_does_not_fit_is_named(
    studio: Studio, tool: VoiceEffectsTool, voice: str, values: list[Any], told: str
) -> None:
    with pytest.raises(AppError, match=told):
        tool.submit(voice, *values)
    assert studio.jobs() == []
