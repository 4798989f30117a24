"""What the page says beside a control: a note, or a refusal that tells what to do."""

from __future__ import annotations

from html import escape

from core.errors import AppError


def note_html(words: str) -> str:
    """Say something in passing; nothing for no words."""
    return f'<p class="note" role="status">{escape(words)}</p>' if words else ""


def error_html(cause: AppError) -> str:
    """Say why something cannot be done, with a sign beside the colour."""
    return (
        f'<p class="refusal" role="alert"><strong>Not possible:</strong> {escape(str(cause))}</p>'
    )
