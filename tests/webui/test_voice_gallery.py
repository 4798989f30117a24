"""The gallery of voices in Utilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest

from core.errors import AppError
from studio.app.studio import Studio
from studio.voices.catalog import find_voice, list_voices
from studio.voices.tags import write_tags
from webui.components.live_panel import PanelAction
from webui.components.page_context import PageContext
from webui.generate.form_view import voice_choices
from webui.generate.tab import build_generate_tab
from webui.tools.voice_blend import BlendTool
from webui.tools.voices import VoiceGallery, gallery_html


@pytest.fixture
def gallery(studio: Studio) -> VoiceGallery:
    with gr.Blocks() as blocks, gr.Tabs() as tabs:
        page = PageContext(studio=studio, blocks=blocks, tabs=tabs)
        build_generate_tab(page)
        built = VoiceGallery(page)
    return built


@pytest.fixture
def press(gallery: VoiceGallery) -> Callable[..., Any]:
    def run(act: str, **values: str) -> Any:
        return gallery.panel.actions[act](PanelAction(name=act, values=values))

    return run


def test_voices_are_shown_with_a_clip_to_hear_and_names_stay_text(studio: Studio) -> None:
    html = gallery_html(studio.layout, [("id", "<b>gone</b>")])
    assert "2 voices" in html and "api/files/voices/Anna/one.wav" in html
    assert "<b>gone" not in html and "Restore &lt;b&gt;gone" in html


def test_a_voice_is_used_renamed_deleted_and_restored(
    studio: Studio, gallery: VoiceGallery, press: Callable[..., Any]
) -> None:
    assert press("use", value="vera")[gallery.page.form.controls["voice"]] == "vera"
    press("rename", value="vera", name="bella")
    assert [voice.name for voice in list_voices(studio.layout)] == ["Anna", "bella"]
    with pytest.raises(AppError, match="new name"):
        press("rename", value="bella")
    press("delete", value="bella")
    ((id, name),) = gallery._list_deleted()
    assert name == "bella"
    press("restore", value=id)
    assert [voice.name for voice in list_voices(studio.layout)] == ["Anna", "bella"]


def test_a_voice_is_exported_and_added_again(
    studio: Studio, gallery: VoiceGallery, press: Callable[..., Any]
) -> None:
    assert "api/exports/Anna.voice.zip" in press("export", value="Anna")[gallery.message]
    archive = str(studio.layout.exports / "Anna.voice.zip")
    gallery._add([archive], "Twin")
    assert "Twin" in [voice.name for voice in list_voices(studio.layout)]
    with pytest.raises(AppError, match="No files"):
        gallery._add(None, "")


def test_voices_are_tagged_and_found_by_tag_in_the_gallery_and_the_picker(
    studio: Studio, gallery: VoiceGallery, press: Callable[..., Any]
) -> None:
    assert (
        "Tags of vera: calm, deep."
        in press("tag", value="vera", tags="calm, deep")[gallery.message]
    )
    assert ("vera (calm, deep)", "vera") in voice_choices(studio)
    html = gallery_html(studio.layout, [], "deep")
    assert "1 of 2 voices" in html and "Voice vera" in html and "Voice Anna" not in html
    assert gallery.panel.actions["filter"](PanelAction(values={"value": "calm"}), "") == {
        gallery.search: "calm"
    }
    assert gallery.panel.actions["filter"](PanelAction(values={"value": "calm"}), "calm") == {
        gallery.search: ""
    }
    write_tags(studio.layout.voices / "Anna", ["<b>bold"])
    html = gallery_html(studio.layout, [], "calm")
    assert "<b>bold" not in html and 'aria-pressed="true"' in html and "&lt;b&gt;bold" in html


@pytest.fixture
def blend(studio: Studio) -> BlendTool:
    with gr.Blocks() as blocks, gr.Tabs() as tabs:
        page = PageContext(studio=studio, blocks=blocks, tabs=tabs)
        return BlendTool(page)


def test_a_blend_is_heard_and_kept_as_a_voice(studio: Studio, blend: BlendTool) -> None:
    values = ("Anna", "vera", "", "", 0.75, 0.25, 0.5, 0.0)
    blend.submit_preview("Good evening.", *values)
    job = studio.jobs()[0]
    assert job.request["voice"] == "Anna:0.75+vera:0.25"
    assert studio.wait(job.id, 30).state == "done"
    blend.submit_voice(" mixture ", *values)
    kept = studio.wait(studio.jobs()[0].id, 30)
    assert kept.state == "done" and kept.result == {"voice": "mixture", "clips": 0}
    assert find_voice(studio.layout, "mixture").latents_path is not None


def test_a_blend_needs_two_voices_and_a_name(studio: Studio, blend: BlendTool) -> None:
    with pytest.raises(AppError, match="at least two voices"):
        blend.submit_preview("Hi.", "Anna", "vera", "", "", 0.5, 0.0, 0.5, 0.5)
    with pytest.raises(AppError, match="a voice twice"):
        blend.submit_preview("Hi.", "Anna", "Anna", "", "", 0.5, 0.5, 0.5, 0.5)
    with pytest.raises(AppError, match="no voice 'nobody'"):
        blend.submit_preview("Hi.", "Anna", "nobody", "", "", 0.5, 0.5, 0.5, 0.5)
    with pytest.raises(AppError, match="already a voice"):
        blend.submit_voice("vera", "Anna", "vera", "", "", 0.5, 0.5, 0.5, 0.5)
    with pytest.raises(AppError, match="not a valid voice name"):
        blend.submit_voice("", "Anna", "vera", "", "", 0.5, 0.5, 0.5, 0.5)
    assert studio.jobs() == []
