"""A text in the tokens of a model, while it is typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr
from markupsafe import Markup

from core.errors import AppError
from studio.app.studio import Studio
from studio.model_store.bundles import list_models
from studio.synthesis.token_preview import TokenPreview, list_token_options, preview_tokens
from webui.components.live_panel import EVENT_OPTIONS
from webui.components.messages import error_html
from webui.components.option_controls import build_control
from webui.components.page_context import PageContext
from webui.components.templates import render

DEFAULT_TEXT = "Dr. Smith paid $3.50 on May 5th."
MAX_TOKENS_SHOWN = 1_500


def build_tokens_tool(page: PageContext) -> None:
    """Create the tool."""
    studio = page.studio

    def list_names() -> list[str]:
        return [model.name for model in list_models(studio.layout)]

    with gr.Row():
        text = gr.Textbox(
            value=DEFAULT_TEXT,
            label="Text",
            info="Tokenized as you type.",
            lines=3,
            scale=3,
            min_width=300,
            elem_id="utilities-tokens-text",
        )
        model = gr.Dropdown(
            choices=list_names(),
            value=studio.settings.bundle,
            label="Model",
            info="Each model has its own tokenizer.",
            scale=1,
            min_width=180,
            allow_custom_value=True,
            elem_id="utilities-tokens-model",
        )
        [field] = list_token_options()
        usual = studio.settings.engine_options.get(field.name, field.default)
        cleaning = build_control(field, "utilities-tokens", usual)
        assert isinstance(cleaning, gr.Dropdown)
    view = gr.HTML("", elem_id="utilities-tokens")
    gr.on(
        [text.change, model.change, cleaning.change, page.blocks.load],
        lambda words, name, chosen: text_tokens_html(studio, words, name, {field.name: chosen}),
        [text, model, cleaning],
        view,
        trigger_mode="always_last",
        **EVENT_OPTIONS,
    )
    model.focus(lambda: gr.update(choices=list_names()), None, model, **EVENT_OPTIONS)


def text_tokens_html(  # Any: as Gradio gives it
    studio: Studio, text: Any, model: Any, options: Mapping[str, Any] | None = None
) -> Markup:
    """Render the tokens of a text."""
    try:
        view = preview_tokens(studio.layout, str(model or ""), str(text or ""), options)
        return tokens_html(view)
    except AppError as error:
        return error_html(error)


def tokens_html(view: TokenPreview) -> Markup:
    """Render tokens."""
    unknown = sum(not token.known for token in view.tokens)
    return render("tokens.html", view=view, unknown=unknown, limit=MAX_TOKENS_SHOWN)
