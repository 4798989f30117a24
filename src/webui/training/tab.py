"""The Training tab: prepare a dataset, generate a configuration, train; encoders, SV2TTS."""

from __future__ import annotations

import gradio as gr

from studio.datasets.service import Datasets
from webui.components.live_panel import create_live_html
from webui.components.page_context import PageContext
from webui.datasets.gold_tab import GoldTab
from webui.datasets.prepare_tab import PrepareTab
from webui.datasets.review_tab import ReviewPanel
from webui.training.configure_tab import ConfigureTab
from webui.training.encoder_tab import EncoderTab
from webui.training.steps import TrainingSteps
from webui.training.sv2tts_tab import Sv2ttsTab
from webui.training.train_tab import TrainTab


def build_training_tab(page: PageContext) -> None:
    """Build the parts in the order of their use."""
    steps = create_live_html("training-steps")
    message = gr.HTML("", elem_id="training-steps-message")
    with gr.Tabs(elem_id="training-parts", overflow_behavior="wrap") as parts:
        page.training_tabs = parts
        with gr.Tab("Prepare Dataset", id="prepare", elem_id="training-part-prepare") as prepare:
            pass  # filled below: it selects the dataset of the review
        with gr.Tab("Review Transcripts", id="review", elem_id="training-part-review"):
            review = ReviewPanel(page, Datasets(page.studio.layout))
        with prepare:
            PrepareTab(page, review)
        with gr.Tab("Gold Dataset", id="gold", elem_id="training-part-gold"):
            GoldTab(page)
        with gr.Tab("Generate Configuration", id="configure", elem_id="training-part-configure"):
            ConfigureTab(page)
        with gr.Tab("Train", id="train", elem_id="training-part-train"):
            TrainTab(page)
        with gr.Tab("Train Encoder", id="encoder", elem_id="training-part-encoder"):
            EncoderTab(page)
        with gr.Tab("Train SV2TTS", id="sv2tts", elem_id="training-part-sv2tts"):
            Sv2ttsTab(page)
    TrainingSteps(page, steps, message)
