"""A file dropped on Generate: a clip's settings or subtitles fill the form; another recording can
become a voice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import AppError, reraise_as_app_error
from core.paths import slugify
from core.tables.text_files import read_text
from studio.app.studio import Studio
from studio.schemas.speech import check_text
from studio.subtitles.script import (
    LINE_DELIMITER,
    SUBTITLE_SUFFIXES,
    read_subtitle_script,
)
from studio.synthesis.audio_metadata import NO_SETTINGS, read_metadata
from studio.voices.catalog import AUDIO_SUFFIXES, list_voices
from studio.voices.speakers import find_script_speakers, restore_speakers
from studio.voices.uploads import stage_recording_upload
from webui.components.consent_fields import ConsentFields, consent_html, read_consent_fields
from webui.components.live_panel import EVENT_OPTIONS, Updates
from webui.components.messages import error_html, note_html, show_errors
from webui.generate.form import GenerateForm
from webui.generate.voice_recorder import ORIGIN

SCRIPT_SUFFIXES = (".txt", ".md")


class ClipDrop:
    """The field for a clip, and the offer to use a recording as a voice.

    awaited: the voice to select when it is there, "" for none.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.consent = gr.HTML("", elem_id="generate-consent")
        self.file = gr.File(
            label="Drop a generated clip for its settings, a text or script, subtitles to speak in "
            "their times, or a recording to use as a voice",
            file_types=["audio", *AUDIO_SUFFIXES, *SUBTITLE_SUFFIXES, *SCRIPT_SUFFIXES],
            height=90,
            elem_id="generate-drop",
        )
        with gr.Group(visible=False, elem_id="generate-adopt-group") as self.offer:
            self.name = gr.Textbox(
                label="Voice name",
                info="Name of the new voice.",
                max_lines=1,
                elem_id="generate-adopt-name",
            )
            self.consent_fields = ConsentFields("generate-adopt")
            self.use = gr.Button("Use as a voice", size="sm", elem_id="generate-adopt")
        self.dropped, self.awaited = gr.State(""), gr.State("")

    def bind(self, form: GenerateForm, message: gr.HTML, blocks: gr.Blocks) -> None:
        """Connect the events.  message: where notes and errors are shown."""
        voice: Any = form.controls["voice"]  # Any: Gradio adds the events at run time
        for trigger in (voice.change, blocks.load):
            trigger(self.show_consent, [voice], [self.consent], **EVENT_OPTIONS)
        offered = [message, self.file, self.offer, self.name, self.dropped]

        def load(path: str | None) -> Updates:
            return self.load_clip(path, form, message)

        def use(path: str, name: str | None, *stated: str | None) -> Updates:
            return self.use_as_voice(path, name or "", message, read_consent_fields(*stated))

        self.file.upload(load, [self.file], [*offered, *form.components], **EVENT_OPTIONS)
        self.use.click(
            show_errors(message, use),
            [self.dropped, self.name, *self.consent_fields.components],
            [message, self.offer, self.dropped, self.awaited],
            **EVENT_OPTIONS,
        )

    def load_clip(self, path: str | None, form: GenerateForm, message: gr.HTML) -> Updates:
        """Fill the form from a clip, or offer to use it as a voice; make room for the next one."""
        if path is None:
            return {message: ""}
        file = Path(path)
        if file.suffix.lower() in SUBTITLE_SUFFIXES:
            return self._load_subtitles(file, form, message)
        if file.suffix.lower() in SCRIPT_SUFFIXES:
            return self._load_script(file, form, message)
        try:
            record = read_metadata(file)
        except AppError as error:
            return {message: _explain(file, error), **self._make_offer(file)}
        restore_speakers(self.studio.layout, record.speaker_voices)
        return {
            self.file: None,
            self.offer: gr.update(visible=False),
            self.dropped: "",
            message: note_html("Settings loaded from clip."),
            **form.get_metadata_updates(record),
        }

    def _load_subtitles(self, file: Path, form: GenerateForm, message: gr.HTML) -> Updates:
        try:
            voices = [voice.name for voice in list_voices(self.studio.layout)]
            script = read_subtitle_script(file, voices)
        except AppError as error:
            return {message: error_html(error), self.file: None}
        notes = ["Subtitles loaded; each cue lasts as its times say.", *script.notes]
        return {
            self.file: None,
            message: note_html(" ".join(notes)),
            **form.get_updates({"text": script.text, "delimiter": LINE_DELIMITER}),
        }

    def _load_script(self, file: Path, form: GenerateForm, message: gr.HTML) -> Updates:
        try:
            with reraise_as_app_error(ValueError, OSError):
                text = read_text(file).strip()
            check_text(text)
            speakers = find_script_speakers(self.studio.layout, text)
        except AppError as error:
            return {message: error_html(error), self.file: None}
        names = f" Its speakers: {', '.join(speakers)}." if speakers else ""
        return {
            self.file: None,
            self.offer: gr.update(visible=False),
            self.dropped: "",
            message: note_html(f"Text loaded from {file.name}.{names}"),
            **form.get_updates({"text": text}),
        }

    def _make_offer(self, file: Path) -> Updates:
        is_audio = _is_audio(file)
        return {
            self.file: None,
            self.offer: gr.update(visible=is_audio),
            self.name: slugify(file.stem),
            self.dropped: str(file) if is_audio else "",
        }

    def show_consent(self, voice: str | None) -> Updates:
        """Show why the chosen voice may be cloned."""
        return {self.consent: consent_html(self.studio.layout, voice or "")}

    def use_as_voice(
        self, path: str, name: str, message: gr.HTML, consent: Mapping[str, str]
    ) -> Updates:
        """Queue a job that saves the recording as a new voice. consent: fields of its note."""
        if not path:
            raise AppError("Drop a recording first.")
        voice = name.strip()
        request = stage_recording_upload(self.studio.layout, voice, Path(path), consent=consent)
        self.studio.submit(request, title=f"Save the recording as {voice}", origin=ORIGIN)
        return {
            message: note_html(f"Saving the voice {voice}; it is selected when done."),
            self.offer: gr.update(visible=False),
            self.dropped: "",
            self.awaited: voice,
        }


def _is_audio(file: Path) -> bool:
    return file.suffix.lower() in AUDIO_SUFFIXES


def _explain(file: Path, error: AppError) -> str:
    if error.code != NO_SETTINGS or not _is_audio(file):
        return error_html(error)
    return note_html(
        f"{file.name} was not generated here, so there are no settings in it. "
        "It can be used as a voice."
    )
