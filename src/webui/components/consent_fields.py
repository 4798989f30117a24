"""The consent note of a voice on the page: its fields, and how it is shown."""

from __future__ import annotations

import gradio as gr
from gradio.components import Component
from markupsafe import Markup

from core.errors import AppError
from core.paths import ProjectPaths
from studio.voices.catalog import find_voice, parse_blend
from studio.voices.consent import BASES
from studio.voices.consent_reminders import describe_missing_consent
from webui.components.messages import note_html

UNSTATED = ("Not stated", "")
BASIS_CHOICES = [UNSTATED, *((text.capitalize(), name) for name, text in BASES.items())]


class ConsentFields:
    """Fields for whose voice it is and why it may be cloned. elem_id: prefix of their ids."""

    def __init__(self, elem_id: str) -> None:
        with gr.Row():
            self.basis = gr.Dropdown(
                choices=BASIS_CHOICES,
                value="",
                label="Why may it be cloned?",
                info="Stored with the voice, and copied into exports.",
                elem_id=f"{elem_id}-basis",
            )
            self.speaker = gr.Textbox(
                label="Whose voice is it?",
                info="Name of the speaker.",
                max_lines=1,
                elem_id=f"{elem_id}-speaker",
            )
            self.stated_by = gr.Textbox(
                label="Who states it?", info="Your name.", max_lines=1, elem_id=f"{elem_id}-by"
            )

    @property
    def components(self) -> list[Component]:
        """The fields in the order of the arguments of `read_consent_fields`."""
        return [self.basis, self.speaker, self.stated_by]


def read_consent_fields(
    basis: str | None, speaker: str | None, stated_by: str | None
) -> dict[str, str]:
    """Return the values of a consent note; {} where no reason is chosen."""
    if not basis:
        return {}
    return {
        "basis": basis,
        "speaker": (speaker or "").strip(),
        "stated_by": (stated_by or "").strip(),
    }


def consent_html(layout: ProjectPaths, spoken_by: str) -> Markup:
    """Render the consent notes of a voice or blend; nothing for voices of no person."""
    lines = []
    try:
        for part in parse_blend(spoken_by):
            if not part.is_random:
                note = find_voice(layout, part.voice).consent
                missing = describe_missing_consent(part.voice)
                lines.append(f"{part.voice}: {note.summary}." if note else missing)
    except AppError:  # a voice that is being typed
        return Markup("")
    return note_html(" ".join(lines))
