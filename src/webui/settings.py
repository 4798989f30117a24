"""The tab Settings."""

from __future__ import annotations

import gradio as gr

from webui.page import Page


def build(page: Page) -> None:
    """Draw the tab."""
    gr.Markdown("## Settings", elem_id="settings-heading")
