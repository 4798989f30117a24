"""The tab Training: from recordings to a data set, to a plan, to a voice that was learned."""

from __future__ import annotations

import gradio as gr

from webui import training_configure, training_prepare, training_train
from webui.page import Page


def build(page: Page) -> None:
    """Draw the three parts in the order in which they are used."""
    with gr.Tabs(elem_id="training-parts", overflow_behavior="wrap") as parts:
        page.parts = parts
        with gr.Tab("Prepare Dataset", id="prepare", elem_id="training-part-prepare"):
            training_prepare.build(page)
        with gr.Tab("Generate Configuration", id="configure", elem_id="training-part-configure"):
            training_configure.build(page)
        with gr.Tab("Train", id="train", elem_id="training-part-train"):
            training_train.build(page)
