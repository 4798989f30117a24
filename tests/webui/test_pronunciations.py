"""The list of pronunciations on the page is saved, tried, and refused where it is wrong."""

from __future__ import annotations

import gradio as gr
import pytest

from core.errors import AppError
from studio.app.studio import Studio
from studio.settings.pronunciations import read_pronunciations
from webui.settings.pronunciations import PronunciationsPanel


class Page:
    """What the panel needs of the page."""

    def __init__(self, studio: Studio, blocks: gr.Blocks) -> None:
        self.studio, self.blocks = studio, blocks


@pytest.fixture
def panel(studio: Studio) -> PronunciationsPanel:
    with gr.Blocks() as blocks:
        return PronunciationsPanel(Page(studio, blocks))  # type: ignore[arg-type]


def test_a_list_is_saved_in_order_and_loaded(studio: Studio, panel: PronunciationsPanel) -> None:
    updates = panel.store("Quinoa = keen wah\ngif = {JH IH1 F}")
    assert "2 words saved" in updates[panel.message]
    assert (
        updates[panel.words]
        == panel.load()[panel.words]
        == ("gif = {JH IH1 F}\nquinoa = keen wah\n")
    )
    assert panel.store("")[panel.words] == "" and read_pronunciations(studio.layout) == {}


def test_a_wrong_line_is_named_and_nothing_saved(
    studio: Studio, panel: PronunciationsPanel
) -> None:
    with pytest.raises(AppError, match="Line 2"):
        panel.store("a = b\nc")
    assert read_pronunciations(studio.layout) == {}
    with pytest.raises(AppError, match="Line 1"):
        panel.show("c", "a text")
    assert panel.show("a = b", "") == {panel.message: ""}
