"""How the page looks: a quiet theme, one style sheet, one small script; nothing from outside."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

ASSETS = Path(__file__).resolve().parent / "assets"
STYLE = ASSETS / "studio.css"
SCRIPT = ASSETS / "studio.js"
HEAD = f"<script>\n{SCRIPT.read_text(encoding='utf-8')}\n</script>"


class QuietTheme(gr.themes.Base):
    """Calm greys and one blue-green, in the fonts of the reader's own system."""

    def __init__(self) -> None:
        super().__init__(
            primary_hue=gr.themes.colors.teal,
            neutral_hue=gr.themes.colors.slate,
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        )
