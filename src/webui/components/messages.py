"""Messages beside a control."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from markupsafe import Markup

from core.errors import AppError
from webui.components.templates import render_macro


def note_html(text: str) -> Markup:
    """Render a note; nothing for no text."""
    return render_macro("note", text) if text else Markup("")


def error_html(error: AppError | str) -> Markup:
    """Render why something cannot be done."""
    return render_macro("error", str(error))


def show_errors(
    message: gr.HTML, handler: Callable[..., Mapping[Any, Any]]
) -> Callable[..., Mapping[Any, Any]]:  # Any: what Gradio's components take
    """Wrap a handler that returns {component: value}: an AppError is shown in `message`."""

    def run(*values: Any) -> Mapping[Any, Any]:
        try:
            return handler(*values)
        except AppError as error:
            return {message: error_html(error)}

    return run
