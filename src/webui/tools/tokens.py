"""A text as a model reads it, while it is typed."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from core.errors import AppError
from studio.app.studio import Studio
from studio.model_store.bundles import list_models
from studio.synthesis.token_preview import Token, TokenPreview, preview_tokens
from webui.components.live_html import EVENT_OPTIONS
from webui.components.messages import error_html
from webui.components.page_context import PageContext

DEFAULT_TEXT = "Dr. Smith paid $3.50 on May 5th."
MAX_TOKENS_SHOWN = 1_500  # tokens


def build_tokens_tool(page: PageContext) -> None:
    """Draw the part and wire it."""
    studio = page.studio
    with gr.Row():
        text = gr.Textbox(
            value=DEFAULT_TEXT,
            label="Text",
            info="It is cut into tokens as you type.",
            lines=3,
            scale=3,
            min_width=300,
            elem_id="utilities-tokens-text",
        )
        bundle = gr.Dropdown(
            choices=_list_model_names(studio),
            value=studio.settings.bundle,
            label="Model",
            info="Each model has its own tokenizer.",
            scale=1,
            min_width=180,
            allow_custom_value=True,
            elem_id="utilities-tokens-model",
        )
    shown = gr.HTML("", elem_id="utilities-tokens")
    gr.on(
        [text.change, bundle.change, page.blocks.load],
        lambda words, name: text_tokens_html(studio, words, name),
        [text, bundle],
        shown,
        trigger_mode="always_last",
        **EVENT_OPTIONS,
    )
    bundle.focus(
        lambda: gr.update(choices=_list_model_names(studio)), None, bundle, **EVENT_OPTIONS
    )


def text_tokens_html(studio: Studio, text: Any, bundle: Any) -> str:
    """Draw a text in tokens."""
    try:
        return tokens_html(preview_tokens(studio.layout, str(bundle or ""), str(text or "")))
    except AppError as cause:
        return error_html(cause)


def tokens_html(view: TokenPreview) -> str:
    """Draw what was found."""
    count = len(view.tokens)
    verdict = (
        "fits into one piece" if view.fits else
        f"too long for one piece: {count - view.limit} over; Generate splits it"
    )  # fmt: skip
    unknown = sum(not token.known for token in view.tokens)
    missing = (
        f'<p class="warning">{unknown} unknown: the model has never read '
        f"{escape(', '.join(view.strange) or 'these pieces')}. Write that another way.</p>"
        if unknown
        else ""
    )
    cells = "".join(map(_render_token, view.tokens[:MAX_TOKENS_SHOWN]))
    more = f"<li>… {count - MAX_TOKENS_SHOWN:,} more</li>" if count > MAX_TOKENS_SHOWN else ""
    return (
        f'<p role="status"><strong>{count} of {view.limit} tokens</strong>, {verdict}. '
        f'<span class="quiet">The model knows {view.vocabulary} tokens.</span></p>'
        f'<p>Read as: <span class="heard">{escape(view.spoken)}</span></p>{missing}'
        f'<ol class="tokens" aria-label="Tokens">{cells}{more}</ol>'
    )


def _render_token(token: Token) -> str:
    look, sign = ("", "") if token.known else (' class="unknown"', "? ")
    piece = "␣" if token.piece in ("[SPACE]", " ") else token.piece
    return f"<li{look}><span>{sign}{escape(piece)}</span><small>{token.id}</small></li>"


def _list_model_names(studio: Studio) -> list[str]:
    return [bundle.name for bundle in list_models(studio.layout)]
