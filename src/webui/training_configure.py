"""The part of the tab Training that stands under its second name: configure."""

from __future__ import annotations

import gradio as gr

from webui.page import Page


def build(page: Page) -> None:
    """Draw the part."""
    gr.Markdown("This part is being built.", elem_id="training-configure-text")
