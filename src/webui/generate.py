"""The tab Generate: text and voice in, speech out."""

from __future__ import annotations

import gradio as gr

from webui.form import GenerateForm
from webui.job_panel import JobPanel
from webui.page import Page


def build(page: Page) -> None:
    """Draw the tab."""
    text = gr.Textbox(label="Input Prompt", lines=4, elem_id="generate-text")
    page.form = GenerateForm(components=[text])
    page.panel = JobPanel(view=gr.HTML(elem_id="generate-jobs"))
