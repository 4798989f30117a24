"""The form that asks for a data set: which recordings, who writes the words down, how it is cut."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Any

import gradio as gr
from gradio.components import Component

from core.errors import AppError, reraise_as_app_error
from core.formatting import format_count, format_duration
from core.network_address import parse_address
from core.options import OptionField, list_option_fields
from studio.app.studio import Studio
from studio.datasets.service import PrepareOptions, PreparePlan, PrepareRequest, list_transcribers
from studio.schemas.settings import Settings
from studio.voices.catalog import list_voices
from webui.components.option_controls import build_control, from_control_value

# Any: each control has a value of its own type.

ELEM_ID_PREFIX = "training-prepare"
AUTO = "auto"
TRANSCRIBER_LABELS: Mapping[str, str] = MappingProxyType(
    {
        AUTO: "Automatic",
        "given": "Transcripts alone",
        "whisper": "Whisper",
        "faster-whisper": "faster-whisper",
        "pocketsphinx": "PocketSphinx",
    }
)
LANGUAGES: Mapping[str, str] = MappingProxyType(
    {
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
)


MAIN_CONTROLS = ("voice", "name", "folder", "transcriber", "model", "language")
"""Controls that decide what a wish comes to; the others decide how the clips are cut."""


@dataclass(frozen=True, kw_only=True)
class PrepareForm:
    """The controls of the form by name.

    knobs: those of the options among them;  local: whether folders may be named. That is decided
    once, as the server listens: a browser can change what the settings say of it.
    """

    controls: Mapping[str, Component]
    option_fields: Sequence[OptionField]
    allow_folders: bool

    @property
    def components(self) -> list[Component]:
        """The inputs for `build_prepare_request`, in its order."""
        return list(self.controls.values())


def allows_folders(settings: Settings) -> bool:
    """Say whether a folder of this machine may be named: only by who sits at it."""
    return parse_address(settings.listen).is_local and not settings.share


def voice_names(studio: Studio) -> list[str]:
    """Name the voices that have recordings."""
    return [voice.name for voice in list_voices(studio.layout) if voice.clips]


def build_source_controls(studio: Studio) -> dict[str, Component]:
    """Draw what the data set is made of, and what it is called."""
    names = voice_names(studio)
    with gr.Row():
        voice = gr.Dropdown(
            names,
            value=names[0] if names else None,
            label="Voice",
            info="Whose recordings are taken: a folder under voices/.",
            elem_id=f"{ELEM_ID_PREFIX}-voice",
        )
        name = gr.Textbox(
            label="Name of the data set",
            info="Empty: named like the voice.",
            max_lines=1,
            elem_id=f"{ELEM_ID_PREFIX}-name",
        )
    folder = gr.Textbox(
        label="Or a folder of recordings on this machine",
        info="Taken in place of the voice where it is filled in. Your files stay as they are.",
        placeholder="/home/me/interviews",
        max_lines=1,
        visible=allows_folders(studio.settings),
        elem_id=f"{ELEM_ID_PREFIX}-folder",
    )
    return {"voice": voice, "name": name, "folder": folder}


def build_transcription_controls(studio: Studio) -> dict[str, Component]:
    """Draw who writes down what is said."""
    with gr.Row():
        transcriber = gr.Dropdown(
            transcriber_choices(studio),
            value=AUTO,
            label="Words from",
            info="Transcripts beside the recordings are always used first.",
            elem_id=f"{ELEM_ID_PREFIX}-transcriber",
        )
        model = gr.Dropdown(
            whisper_model_choices(studio),
            value="",
            label="Whisper model",
            info="Those that are here. Another is typed: tiny, base, small, medium, large, turbo.",
            allow_custom_value=True,
            elem_id=f"{ELEM_ID_PREFIX}-model",
        )
        language = gr.Dropdown(
            [(f"{name} ({code})", code) for code, name in LANGUAGES.items()],
            value="en",
            label="Language",
            info="What is spoken; another one is typed as its two letters.",
            allow_custom_value=True,
            elem_id=f"{ELEM_ID_PREFIX}-language",
        )
    return {"transcriber": transcriber, "model": model, "language": language}


def build_advanced_controls() -> tuple[dict[str, Component], list[OptionField]]:
    """Draw what few people turn."""
    knobs = list_option_fields(PrepareOptions)
    with gr.Column(elem_classes="group"):
        drawn = {field.name: build_control(field, ELEM_ID_PREFIX, field.default) for field in knobs}
        anew = gr.Checkbox(
            label="Begin anew",
            info="Hear and cut every recording again, even those that are done. Your edits stay.",
            elem_id=f"{ELEM_ID_PREFIX}-anew",
        )
        fetch = gr.Checkbox(
            label="Download the Whisper model if it is not here",
            info="The only part that asks the internet for anything.",
            elem_id=f"{ELEM_ID_PREFIX}-fetch",
        )
    return {"anew": anew, "fetch": fetch, **drawn}, knobs


def transcriber_choices(studio: Studio) -> list[tuple[str, str]]:
    """Name the transcribers, with a word on those that are not here."""
    return [
        (
            TRANSCRIBER_LABELS.get(one.name, one.name)
            + ("" if one.is_available else " (not here)"),
            one.name,
        )
        for one in list_transcribers(studio.layout)
    ]


def whisper_model_choices(studio: Studio) -> list[tuple[str, str]]:
    """Name the models of Whisper that are here."""
    names = dict.fromkeys(name for one in list_transcribers(studio.layout) for name in one.models)
    return [("Best here", ""), *((name, name) for name in names)]


def transcribers_html(studio: Studio) -> str:
    """Say what each transcriber is, whether it is here, and what brings it."""
    rows = "".join(
        f"<li><strong>{escape(TRANSCRIBER_LABELS.get(one.name, one.name))}</strong>: "
        f"{escape(one.help)}."
        + (
            f' <span class="quiet">Not here: {_render_code_spans(one.unavailable_reason)}.</span>'
            if one.unavailable_reason
            else ""
        )
        + "</li>"
        for one in list_transcribers(studio.layout)
    )
    return f'<div class="dataset-about"><ul>{rows}</ul></div>'


def _render_code_spans(words: str) -> str:
    """Show what stands between backticks as something to be typed; HTML."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(words))


def build_prepare_request(form: PrepareForm, given: Sequence[Any]) -> PrepareRequest:
    """Translate what the controls hold. Raises StudioError naming what is wrong."""
    values = dict(zip(form.controls, given, strict=True))
    folder = str(values["folder"] or "").strip()
    model = str(values["model"] or "").strip()
    if not form.allow_folders and (folder or any(mark in model for mark in "/\\")):
        raise AppError(
            "Folders and files of this machine can only be named where the studio listens on it "
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
            options=PrepareOptions(
                **{
                    field.name: from_control_value(field, values[field.name])
                    for field in form.option_fields
                }
            ),
        )


def prepare_plan_html(ready: PreparePlan, made: str) -> str:
    """Say what a wish comes to.  made: what is there of this data set already, "" for nothing."""
    words = [
        f"{format_count(ready.files, 'recording')}, {format_duration(ready.seconds)} of sound."
    ]
    if ready.given == ready.files:
        words.append("All of them come with their text.")
    elif ready.given:
        words.append(f"{ready.given:,} of them come with their text.")
    if ready.transcriber:
        who = TRANSCRIBER_LABELS.get(ready.transcriber, ready.transcriber)
        words.append(f"{who} hears {'the others' if ready.given else 'them'}.")
    told = [f'<p class="quiet">{escape(" ".join(words))}</p>']
    if made:
        told.append(f'<p class="note">{escape(made)}</p>')
    told += [f'<p class="warning">{escape(remark)}</p>' for remark in ready.remarks]
    return f'<div class="dataset-ready">{"".join(told)}</div>'


def format_existing_dataset(kept: int, seconds: float) -> str:
    """Say what a data set of that name holds, and what a further run does to it."""
    return (
        f"There is a data set of this name: {format_count(kept, 'clip')}, "
        f"{format_duration(seconds)}. Preparing it again does only what is new and keeps your "
        f"edits."
    )
