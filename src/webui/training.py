"""The tab Training: what works today and what does not yet."""

from __future__ import annotations

import gradio as gr

from webui.page import Page

TEXT = """\
## Training

Making a data set of long recordings and fine-tuning a voice are **not in this version yet**.

What works today without any training: put one or more recordings of 3 to 10 seconds into a folder
under `voices/`, and the voice appears in the list of the tab Generate by itself.
"""


def build(page: Page) -> None:
    """Draw the tab."""
    gr.Markdown(TEXT, elem_id="training-text")
