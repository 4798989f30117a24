"""The voices on the page: whose they are, and why they may be cloned."""

from __future__ import annotations

from typing import Any

import gradio as gr

from core.errors import AppError
from studio.app.studio import Studio
from studio.voices.catalog import find_voice, list_voices
from studio.voices.consent import make_consent, write_consent
from webui.components.consent_fields import ConsentFields, consent_html, read_consent_fields
from webui.components.live_panel import EVENT_OPTIONS, Updates
from webui.components.messages import note_html, show_errors
from webui.components.page_context import PageContext

ABOUT = "Whose voice is it, and why may it be cloned? The note is kept in the folder of the voice."


class VoicesPanel:
    """The consent note of one voice, and the fields that state it."""

    def __init__(self, page: PageContext) -> None:
        self.studio: Studio = page.studio
        gr.Markdown(f"## Voices\n{ABOUT}", elem_classes="setting-section")
        names = self._list_names()
        self.voice = gr.Dropdown(
            choices=names,
            value=next(iter(names), None),
            label="Voice",
            allow_custom_value=True,
            elem_id="settings-voice-consent",
        )
        self.note = gr.HTML("", elem_id="settings-consent-note")
        self.fields = ConsentFields("settings-consent")
        self.save = gr.Button("Save the note", size="md", elem_id="settings-consent-save")
        self.message = gr.HTML("", elem_id="settings-consent-message")
        tab: Any = page.tab  # Any: Gradio adds the events at run time
        shown = [self.voice, self.note, self.message]
        for trigger in (self.voice.change, tab.select):
            trigger(self.show, [self.voice], shown, **EVENT_OPTIONS)
        self.save.click(
            show_errors(self.message, self.save_note),
            [self.voice, *self.fields.components],
            [self.note, self.message],
            **EVENT_OPTIONS,
        )

    def show(self, voice: str | None) -> Updates:
        """Show the note of a voice, and the voices that there are now."""
        return {
            self.voice: gr.update(choices=self._list_names()),
            self.note: consent_html(self.studio.layout, voice or ""),
            self.message: "",
        }

    def save_note(self, voice: str | None, *values: str | None) -> Updates:
        """Write the note of a voice."""
        stated = read_consent_fields(*values)
        if not stated:
            raise AppError("Choose why the voice may be cloned.")
        found = find_voice(self.studio.layout, voice or "")
        write_consent(found.folder, make_consent(stated))
        return {
            self.note: consent_html(self.studio.layout, found.name),
            self.message: note_html(f"Saved the note of {found.name}."),
        }

    def _list_names(self) -> list[str]:
        return [voice.name for voice in list_voices(self.studio.layout)]
