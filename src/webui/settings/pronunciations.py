"""The list of pronunciations on the page."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.errors import reraise_as_app_error
from core.formatting import format_count
from studio.settings.pronunciations import read_pronunciations, write_pronunciations
from studio.synthesis.token_preview import preview_tokens
from text.pronunciations import apply_pronunciations, format_pronunciations, parse_pronunciations
from webui.components.live_panel import EVENT_OPTIONS, Updates
from webui.components.messages import note_html, show_errors
from webui.components.page_context import PageContext

# Any: what Gradio's controls give and take.

ABOUT = """\
## Pronunciations

How words are read, in every text: `word = respelling`, or `word = {K IY1 N W AA0}` with ARPAbet
phonemes, for models that read them. Phonemes can also stand in a text itself, in braces."""


class PronunciationsPanel:
    """The text of the list, and a field to try it."""

    def __init__(self, page: PageContext) -> None:
        self.studio = page.studio
        gr.Markdown(ABOUT, elem_classes="setting-section")
        self.words = gr.Textbox(
            label="Words",
            info="One a line. # starts a remark.",
            placeholder="quinoa = keen wah",
            lines=4,
            max_lines=16,
            elem_id="settings-pronunciations",
        )
        with gr.Row():
            self.sample = gr.Textbox(
                label="Try a text",
                info="Shown as the default model reads it; nothing is saved.",
                max_lines=1,
                scale=3,
                elem_id="settings-pronunciations-sample",
            )
            self.save = gr.Button(
                "Save pronunciations", variant="primary", elem_id="settings-pronunciations-save"
            )
        self.message = gr.HTML("", elem_id="settings-pronunciations-message")
        outputs = [self.message, self.words]
        self.save.click(show_errors(self.message, self.store), self.words, outputs, **EVENT_OPTIONS)
        self.sample.change(
            show_errors(self.message, self.show),
            [self.words, self.sample],
            outputs,
            **EVENT_OPTIONS,
        )
        page.blocks.load(show_errors(self.message, self.load), None, outputs, **EVENT_OPTIONS)

    def load(self) -> Updates:
        """Show the saved list."""
        return {self.words: format_pronunciations(read_pronunciations(self.studio.layout))}

    def store(self, text: Any) -> Updates:
        """Save the list; it applies to the next text."""
        words = write_pronunciations(self.studio.layout, str(text or ""))
        note = note_html(f"{format_count(len(words), 'word')} saved.")
        return {self.message: note, self.words: format_pronunciations(words)}

    def show(self, text: Any, sample: Any) -> Updates:
        """Show how a text is read with the list as it is typed."""
        said = str(sample or "").strip()
        if not said:
            return {self.message: ""}
        with reraise_as_app_error(ValueError):
            words = parse_pronunciations(str(text or ""))
        said = apply_pronunciations(said, words, phonemes=True)
        view = preview_tokens(self.studio.layout, self.studio.settings.bundle, said)
        pieces = " ".join(token.piece for token in view.tokens)
        return {self.message: note_html(f"Read as: {view.spoken} · {pieces}")}
