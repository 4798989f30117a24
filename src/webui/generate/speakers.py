"""The speakers of a script on Generate: which voice speaks the lines that begin with each name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from core.errors import AppError
from studio.app.studio import Studio
from studio.voices.catalog import list_voices
from studio.voices.speakers import find_script_speakers, write_speakers
from webui.components.live_panel import EVENT_OPTIONS, Updates
from webui.components.messages import show_errors

# Any: updates of Gradio's components.

MAX_SHOWN = 8
ABOUT = "Lines such as `Anna: Good evening.` are spoken by the voice of their speaker."
AS_TEXT = ("None: read the name as text", "")


class SpeakerFields:
    """A field for each speaker of the text; hidden for a text without speakers.

    names: those that the fields show, in order.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        with gr.Accordion("Speakers", visible=False, elem_id="generate-speakers") as self.group:
            gr.Markdown(ABOUT)
            with gr.Row(elem_classes="option-grid"):
                self.fields = [
                    gr.Dropdown(
                        choices=[AS_TEXT],
                        value="",
                        label=f"Speaker {number}",
                        allow_custom_value=True,
                        visible=False,
                        elem_id=f"generate-speaker-{number}",
                    )
                    for number in range(1, MAX_SHOWN + 1)
                ]
            self.more = gr.Markdown("", visible=False)
        self.names = gr.State(())

    @property
    def components(self) -> list[Any]:
        """What `get_updates` updates."""
        return [self.group, self.names, self.more, *self.fields]

    def bind(self, message: gr.HTML, follow: Callable[[Any], Any]) -> None:
        """Connect the events.  message: where errors are shown;  follow: called with each event."""
        for field in self.fields:
            event = field.input(
                show_errors(message, lambda *given: self.save(message, *given)),
                [self.names, *self.fields],
                [message],
                **EVENT_OPTIONS,
            )
            follow(event)

    def save(self, message: gr.HTML, names: Sequence[str], *voices: str | None) -> Updates:
        """Keep the voices of the speakers that are shown, for this text and the next ones."""
        chosen = zip(names, voices, strict=False)
        write_speakers(self.studio.layout, {name: (voice or "").strip() for name, voice in chosen})
        return {message: ""}

    def get_updates(self, text: str) -> Updates:
        """Return the updates that show the speakers of a text."""
        try:
            found = find_script_speakers(self.studio.layout, text)
        except AppError:  # generating says so
            found = {}
        if not found:
            return {self.group: gr.update(visible=False), self.names: ()}
        names = tuple(found)[:MAX_SHOWN]
        voices = [voice.name for voice in list_voices(self.studio.layout)]
        choices = [AS_TEXT, *((name, name) for name in voices)]
        rest = len(found) - len(names)
        return {
            self.group: gr.update(visible=True, label=f"Speakers ({len(found)})"),
            self.names: names,
            self.more: gr.update(
                value=f"Further speakers: {', '.join(list(found)[MAX_SHOWN:])}.",
                visible=rest > 0,
            ),
            **{
                field: gr.update(visible=True, label=name, value=found[name], choices=choices)
                for field, name in zip(self.fields, names, strict=False)
            },
            **{field: gr.update(visible=False) for field in self.fields[len(names) :]},
        }
