"""The tab Training: from recordings to a data set, to a plan, to a voice that was learned."""

from __future__ import annotations

import gradio as gr

from webui.components.page_context import PageContext
from webui.datasets import prepare_tab as training_prepare
from webui.training import configure_tab as training_configure
from webui.training import train_tab as training_train


def build_training_tab(page: PageContext) -> None:
    """Draw the three parts in the order in which they are used."""
    with gr.Tabs(elem_id="training-parts", overflow_behavior="wrap") as parts:
        page.training_tabs = parts
        with gr.Tab("Prepare Dataset", id="prepare", elem_id="training-part-prepare"):
            training_prepare.build_prepare_tab(page)
        with gr.Tab("Generate Configuration", id="configure", elem_id="training-part-configure"):
            training_configure.build_configure_tab(page)
        with gr.Tab("Train", id="train", elem_id="training-part-train"):
            training_train.build_train_tab(page)
