"""The tab History."""

from __future__ import annotations

import gradio as gr

from webui.page import Page


def build(page: Page) -> None:
    """Draw the tab."""
    gr.Markdown("## History", elem_id="history-heading")
