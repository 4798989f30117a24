"""The form of Prepare Dataset: recordings, transcription, and how clips are cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from core.errors import AppError, reraise_as_app_error
from core.network_address import parse_address
from core.options import list_option_fields
from studio.app.studio import Studio
from studio.datasets.service import PrepareOptions, PrepareRequest, list_transcribers
from studio.schemas.settings import Settings
from studio.voices.catalog import list_voices
from webui.components.option_controls import build_control, from_control_value
from webui.datasets.prepare_view import TRANSCRIBER_LABELS

# Any: each control has a value of its own type.

ELEM_ID_PREFIX = "training-prepare"
AUTO = "auto"
LANGUAGES: Mapping[str, str] = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "pl": "Polish",
    "ru": "Russian",
    "ja": "Japanese",
    "zh": "Chinese",
}
PLAN_CONTROLS = ("voice", "name", "folder", "transcriber", "model", "language", "columns")
"""Controls that change the plan of a request; the others decide how clips are cut."""


class PrepareForm:
    """The controls by name; they are created section by section, as the page is laid out.

    allow_folders: folders of this machine may be named. That is fixed at start, as the server
    listens: a browser can change the setting.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.allow_folders = allows_folders(studio.settings)
        self.option_fields = list_option_fields(PrepareOptions)
        self.controls: dict[str, Any] = {}  # Any: Gradio adds the events of components at run time

    @property
    def components(self) -> list[Component]:
        """The inputs for `build_request`, in its order."""
        return list(self.controls.values())

    def build_source_controls(self) -> None:
        """Create the controls of the recordings and the name of the dataset."""
        names = list_voice_names(self.studio)
        with gr.Row():
            self.controls["voice"] = gr.Dropdown(
                names,
                value=names[0] if names else None,
                label="Voice",
                info="The folder under voices/ with the recordings.",
                elem_id=f"{ELEM_ID_PREFIX}-voice",
            )
            self.controls["name"] = gr.Textbox(
                label="Dataset name",
                info="Leave blank to use the name of the voice.",
                max_lines=1,
                elem_id=f"{ELEM_ID_PREFIX}-name",
            )
        self.controls["folder"] = gr.Textbox(
            label="Folder of recordings (optional)",
            info="A folder on this machine, used instead of the voice. Your files are not changed.",
            placeholder="/home/me/interviews",
            max_lines=1,
            visible=self.allow_folders,
            elem_id=f"{ELEM_ID_PREFIX}-folder",
        )

    def build_transcription_controls(self) -> None:
        """Create the controls of the transcriber."""
        with gr.Row():
            self.controls["transcriber"] = gr.Dropdown(
                transcriber_choices(self.studio),
                value=AUTO,
                label="Transcription",
                info="Existing transcripts are always used first.",
                elem_id=f"{ELEM_ID_PREFIX}-transcriber",
            )
            self.controls["model"] = gr.Dropdown(
                whisper_model_choices(self.studio),
                value="",
                label="Whisper model",
                info="Installed models. Or type one: tiny, base, small, medium, large, turbo.",
                allow_custom_value=True,
                elem_id=f"{ELEM_ID_PREFIX}-model",
            )
            self.controls["language"] = gr.Dropdown(
                [(f"{name} ({code})", code) for code, name in LANGUAGES.items()],
                value="en",
                label="Language",
                info="Spoken language. Or type another two-letter code.",
                allow_custom_value=True,
                elem_id=f"{ELEM_ID_PREFIX}-language",
            )
        self.controls["columns"] = gr.Textbox(
            label="Columns of a list of transcripts (optional)",
            info="By number or name, where the preview below shows wrong ones.",
            placeholder="audio=1, text=3",
            max_lines=1,
            elem_id=f"{ELEM_ID_PREFIX}-columns",
        )

    def build_advanced_controls(self) -> None:
        """Create the other controls."""
        with gr.Column(elem_classes="group"):
            options = {
                field.name: build_control(field, ELEM_ID_PREFIX, field.default)
                for field in self.option_fields
            }
            self.controls["anew"] = gr.Checkbox(
                label="Re-process everything",
                info="Transcribe and cut finished recordings again. Your edits are kept.",
                elem_id=f"{ELEM_ID_PREFIX}-anew",
            )
            self.controls["fetch"] = gr.Checkbox(
                label="Download the Whisper model if it is missing",
                info="Nothing else here uses the internet.",
                elem_id=f"{ELEM_ID_PREFIX}-fetch",
            )
        self.controls |= options

    def build_request(self, given: Sequence[Any]) -> PrepareRequest:
        """Build a request from the values. Raises AppError for an invalid value."""
        values = dict(zip(self.controls, given, strict=True))
        folder = str(values["folder"] or "").strip()
        model = str(values["model"] or "").strip()
        if not self.allow_folders and (folder or any(mark in model for mark in "/\\")):
            raise AppError(
                "Files and folders of this machine can be used only if the studio listens on it "
                "alone. Choose a voice, or drop the recordings here."
            )
        with reraise_as_app_error(ValueError):
            return PrepareRequest(
                name=str(values["name"] or "").strip(),
                voice="" if folder else str(values["voice"] or ""),
                folder=folder,
                transcriber=str(values["transcriber"] or AUTO),
                model=model,
                language=str(values["language"] or "").strip().lower(),
                fetch=bool(values["fetch"]),
                anew=bool(values["anew"]),
                columns=str(values["columns"] or "").strip(),
                options=PrepareOptions(
                    **{
                        field.name: from_control_value(field, values[field.name])
                        for field in self.option_fields
                    }
                ),
            )


def allows_folders(settings: Settings) -> bool:
    """Return whether only this machine can reach the page, so that its folders may be named."""
    return parse_address(settings.listen).is_local and not settings.share


def list_voice_names(studio: Studio) -> list[str]:
    """List the voices with recordings."""
    return [voice.name for voice in list_voices(studio.layout) if voice.clips]


def transcriber_choices(studio: Studio) -> list[tuple[str, str]]:
    """Return (label, name) of the transcribers; missing ones are marked in the label."""
    return [
        (
            TRANSCRIBER_LABELS.get(one.name, one.name)
            + ("" if one.is_available else " (not installed)"),
            one.name,
        )
        for one in list_transcribers(studio.layout)
    ]


def whisper_model_choices(studio: Studio) -> list[tuple[str, str]]:
    """Return (label, name) of the installed Whisper models."""
    names = dict.fromkeys(name for one in list_transcribers(studio.layout) for name in one.models)
    return [("Best installed", ""), *((name, name) for name in names)]
