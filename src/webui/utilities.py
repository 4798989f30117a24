"""The tab Utilities."""

from __future__ import annotations

import gradio as gr

from webui.page import Page


def build(page: Page) -> None:
    """Draw the tab."""
    gr.Markdown("## Utilities", elem_id="utilities-heading")
