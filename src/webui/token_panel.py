"""A text as a model reads it, while it is typed."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.studio import Studio
from studio.token_view import Token, TokenView, view_tokens
from studio.weights import list_bundles
from webui.messages import refusal
from webui.page import QUIET, Page

FIRST_TEXT = "Dr. Smith paid $3.50 on May 5th."
MOST_SHOWN = 1_500  # tokens


def draw_tokens(page: Page) -> None:
    """Draw the part and wire it."""
    studio = page.studio
    with gr.Row():
        text = gr.Textbox(
            value=FIRST_TEXT,
            label="Text",
            info="It is cut into tokens as you type.",
            lines=3,
            scale=3,
            min_width=300,
            elem_id="utilities-tokens-text",
        )
        bundle = gr.Dropdown(
            choices=_names(studio),
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
        lambda words, name: tokens_told(studio, words, name),
        [text, bundle],
        shown,
        trigger_mode="always_last",
        **QUIET,
    )
    bundle.focus(lambda: gr.update(choices=_names(studio)), None, bundle, **QUIET)


def tokens_told(studio: Studio, text: Any, bundle: Any) -> str:
    """Draw a text in tokens."""
    try:
        return tokens_html(view_tokens(studio.layout, str(bundle or ""), str(text or "")))
    except StudioError as cause:
        return refusal(cause)


def tokens_html(view: TokenView) -> str:
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
    cells = "".join(map(_cell, view.tokens[:MOST_SHOWN]))
    more = f"<li>… {count - MOST_SHOWN:,} more</li>" if count > MOST_SHOWN else ""
    return (
        f'<p role="status"><strong>{count} of {view.limit} tokens</strong>, {verdict}. '
        f'<span class="quiet">The model knows {view.vocabulary} tokens.</span></p>'
        f'<p>Read as: <span class="heard">{escape(view.spoken)}</span></p>{missing}'
        f'<ol class="tokens" aria-label="Tokens">{cells}{more}</ol>'
    )


def _cell(token: Token) -> str:
    look, sign = ("", "") if token.known else (' class="unknown"', "? ")
    piece = "␣" if token.piece in ("[SPACE]", " ") else token.piece
    return f"<li{look}><span>{sign}{escape(piece)}</span><small>{token.id}</small></li>"


def _names(studio: Studio) -> list[str]:
    return [bundle.name for bundle in list_bundles(studio.layout)]
