"""The sections of the Settings tab, the list of them at its side, and the search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import gradio as gr

from core.paths import slugify
from webui.components.templates import render


def get_section_id(title: str) -> str:
    """Return the element id of a section: Speed and memory -> settings-section-speed-and-memory."""
    return f"settings-section-{slugify(title)}"


@contextmanager
def settings_section(title: str) -> Iterator[None]:
    """Create a section that the list leads to and the search hides; its controls go inside."""
    with gr.Column(elem_id=get_section_id(title), elem_classes="settings-section"):
        yield


def build_section_list(titles: Sequence[str]) -> None:
    """Create the list of the sections with the search, which assets/settings.js serves."""
    sections = {get_section_id(title): title for title in titles}
    gr.HTML(render("settings/sections.html", sections=sections), elem_id="settings-side")
