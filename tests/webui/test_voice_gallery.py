"""The gallery of voices in Utilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest

from core.errors import AppError
from studio.app.studio import Studio
from studio.voices.catalog import list_voices
from webui.components.live_panel import PanelAction
from webui.components.page_context import PageContext
from webui.generate.tab import build_generate_tab
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
