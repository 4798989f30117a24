"""The part Prepare Dataset: recordings in, clips with their words out, and these looked through."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.paths import slugify
from core.serialization import ValidationError, from_dict
from jobs.models import Job
from studio.app.studio import Studio
from studio.datasets.service import Datasets, PrepareRequest, plan_preparation
from studio.voices.catalog import AUDIO_SUFFIXES
from studio.voices.uploads import TRANSCRIPT_SUFFIXES, ImportVoiceRequest, create_upload_dir
from webui.components.live_html import EVENT_OPTIONS, LiveHtml, create_live_html
from webui.components.messages import error_html, note_html
from webui.components.page_context import PageContext
from webui.datasets.prepare_form import (
    MAIN_CONTROLS,
    PrepareForm,
    allows_folders,
    build_advanced_controls,
    build_prepare_request,
    build_source_controls,
    build_transcription_controls,
    format_existing_dataset,
    prepare_plan_html,
    transcriber_choices,
    transcribers_html,
    voice_names,
    whisper_model_choices,
)
from webui.datasets.prepare_job import get_active_jobs, prepare_jobs_html
from webui.datasets.review_tab import ReviewPanel, build_review_panel


def import_recordings(studio: Studio, files: Sequence[Path], name: str) -> Job:
    """Let recordings, and the transcripts beside them, become a voice.

    files: of this process (uploads);  name: "" to name it after the first file.
    Raises StudioError for whatever cannot be a recording, or a name.
    """
    if not files:
        raise AppError("Nothing was dropped yet. Drop recordings of one voice first.")
    called = name.strip() or slugify(files[0].stem)
    folder = create_upload_dir(studio.layout, called, [file.name for file in files])
    job: Job | None = None
    try:
        with translate_write_errors(folder):
            for file in files:
                shutil.copyfile(file, folder / file.name)
        request = ImportVoiceRequest(name=called, folder=str(folder), sound_only=True)
        job = studio.submit(request, title=f"Recordings of {called}")
        return job
    finally:
        if job is None:
            shutil.rmtree(folder, ignore_errors=True)


# Any: what Gradio's controls give and take.

POLL_INTERVAL_S = 1.5
JOB_LIMIT = 50
ABOUT = (
    "A data set is made of recordings of **one** voice: cut in pauses into clips of a few seconds, "
    "each with its words. A quarter of an hour of clean speech is a good beginning. Transcripts "
    "beside the recordings (.txt, .srt, .vtt, .json, metadata.csv) are used as they are."
)


@dataclass(frozen=True, kw_only=True)
class PrepareTab:
    """Everything on the part that handlers touch."""

    studio: Studio
    form: PrepareForm
    plan_summary: gr.HTML
    run: gr.Button
    stop: gr.Button
    message: gr.HTML
    jobs: LiveHtml
    upload: RecordingUpload


@dataclass(frozen=True, kw_only=True)
class RecordingUpload:
    """Where recordings are dropped to become a voice."""

    files: gr.File
    name: gr.Textbox
    run: gr.Button
    message: gr.HTML


def build_prepare_tab(page: PageContext) -> None:
    """Draw the part and wire it."""
    gr.Markdown(ABOUT, elem_id="training-prepare-about")
    tab = _build_layout(page.studio)
    review = build_review_panel(page, Datasets(page.studio.layout))
    _bind_form_events(tab, page, review)
    _bind_upload_events(tab, page)
    _bind_job_events(tab, page)


def _build_layout(studio: Studio) -> PrepareTab:
    with gr.Row(elem_classes="generate"):
        with gr.Column(scale=6, min_width=320):
            controls = build_source_controls(studio)
            with gr.Accordion("New recordings", open=False, elem_id="training-prepare-new"):
                bring = _build_recording_upload()
            controls |= build_transcription_controls(studio)
            with gr.Accordion("About the words", open=False, elem_id="training-prepare-words"):
                gr.HTML(transcribers_html(studio), elem_id="training-prepare-transcribers")
            with gr.Accordion("Advanced", open=False, elem_id="training-prepare-advanced"):
                options, knobs = build_advanced_controls()
            ready = gr.HTML("", elem_id="training-prepare-ready")
            with gr.Row(elem_classes="run-row"):
                run = gr.Button(
                    "Prepare", variant="primary", scale=3, elem_id="training-prepare-run"
                )
                stop = gr.Button("Stop", scale=1, elem_id="training-prepare-stop")
            message = gr.HTML("", elem_id="training-prepare-message")
        with gr.Column(scale=5, min_width=320, elem_classes="hearing"):
            jobs = create_live_html("training-prepare-jobs")
    return PrepareTab(
        studio=studio,
        form=PrepareForm(
            controls={**controls, **options},
            option_fields=knobs,
            allow_folders=allows_folders(studio.settings),
        ),
        plan_summary=ready,
        run=run,
        stop=stop,
        message=message,
        jobs=jobs,
        upload=bring,
    )


def _build_recording_upload() -> RecordingUpload:
    files = gr.File(
        label="Drop recordings here, and their transcripts if you have them",
        file_count="multiple",
        file_types=[*AUDIO_SUFFIXES, *TRANSCRIPT_SUFFIXES],
        height=110,
        elem_id="training-prepare-drop",
    )
    with gr.Row(elem_classes="dataset-row"):
        name = gr.Textbox(
            label="Name of the voice",
            info="A new one, or one that gets more recordings.",
            max_lines=1,
            elem_id="training-prepare-voice-name",
        )
        run = gr.Button("Keep them as a voice", elem_id="training-prepare-bring")
    message = gr.HTML("", elem_id="training-prepare-bring-message")
    return RecordingUpload(files=files, name=name, run=run, message=message)


def _bind_form_events(tab: PrepareTab, page: PageContext, review: ReviewPanel) -> None:
    studio = tab.studio
    controls: Mapping[str, Any] = tab.form.controls  # Any: Gradio adds the events at run time

    def arrive() -> list[Any]:
        transcriber, model = transcriber_choices(studio), whisper_model_choices(studio)
        return [gr.update(choices=transcriber), gr.update(choices=model)]

    def prepare(*given: Any) -> list[Any]:
        try:
            request = build_prepare_request(tab.form, given)
            ready = plan_preparation(studio.layout, request)
            studio.submit(request, title=f"Data set {ready.name}")
            chosen = review.build_choice_update(ready.name)
        except AppError as cause:
            return [error_html(cause), gr.skip(), gr.skip()]
        return ["", prepare_jobs_html(studio.jobs(limit=JOB_LIMIT)), chosen]

    def foretell(*given: Any) -> str:
        try:
            ready = plan_preparation(studio.layout, build_prepare_request(tab.form, given))
            there = {info.name: info for info in review.datasets.list()}.get(ready.name)
        except AppError as cause:
            return f'<p class="warning">{escape(str(cause))}</p>'
        return prepare_plan_html(
            ready, format_existing_dataset(there.kept, there.kept_s) if there else ""
        )

    page.blocks.load(arrive, None, [controls["transcriber"], controls["model"]], **EVENT_OPTIONS)
    page.blocks.load(foretell, tab.form.components, tab.plan_summary, **EVENT_OPTIONS)
    gr.on(
        [controls[name].change for name in MAIN_CONTROLS],
        foretell,
        tab.form.components,
        tab.plan_summary,
        trigger_mode="always_last",
        **EVENT_OPTIONS,
    )
    shown = [tab.message, tab.jobs.source, review.chosen]
    tab.run.click(prepare, tab.form.components, shown, **EVENT_OPTIONS)


def _bind_upload_events(tab: PrepareTab, page: PageContext) -> None:
    """The list of voices follows the folder, and what is dropped comes into it."""
    studio, bring = tab.studio, tab.upload
    known, awaited = gr.State(None), gr.State("")

    def look(seen: Any, name: str) -> list[Any]:
        names = voice_names(studio)
        if names == seen:
            return [gr.skip()] * 3
        if name in names:
            return [names, "", gr.update(choices=names, value=name)]
        return [names, gr.skip(), gr.update(choices=names)]

    def keep(files: Sequence[str] | None, name: str) -> list[Any]:
        try:
            job = import_recordings(studio, [Path(file) for file in files or ()], name or "")
        except AppError as cause:
            return [error_html(cause), gr.skip(), gr.skip()]
        told = note_html(f"{job.title} are read; then the voice is chosen above.")
        return [told, None, str(job.request["name"])]

    voice = tab.form.controls["voice"]
    for ask in (gr.Timer(2 * POLL_INTERVAL_S).tick, page.blocks.load):
        ask(look, [known, awaited], [known, awaited, voice], **EVENT_OPTIONS)
    bring.run.click(
        keep, [bring.files, bring.name], [bring.message, bring.files, awaited], **EVENT_OPTIONS
    )


def _bind_job_events(tab: PrepareTab, page: PageContext) -> None:
    """What is prepared, the same for every browser and after every reload."""
    studio = tab.studio
    seen = gr.State("")

    def look(before: str) -> list[Any]:
        try:
            told = prepare_jobs_html(studio.jobs(limit=JOB_LIMIT))
        except AppError as cause:
            told = error_html(cause)
        return [gr.skip(), gr.skip()] if told == before else [told, told]

    def stop() -> list[Any]:
        try:
            ours = get_active_jobs(studio.jobs(limit=JOB_LIMIT))
            for job in ours:
                studio.cancel(job.id)
        except AppError as cause:
            return [error_html(cause), gr.skip()]
        told = "Stopping. What is done is kept." if ours else "Nothing is being prepared."
        return [note_html(told), prepare_jobs_html(studio.jobs(limit=JOB_LIMIT))]

    def press(asked: gr.EventData) -> list[Any]:
        try:
            told = _handle_job_button(studio, asked._data or {})
        except AppError as cause:
            return [error_html(cause), gr.skip()]
        return [note_html(told), prepare_jobs_html(studio.jobs(limit=JOB_LIMIT))]

    shown = [tab.message, tab.jobs.source]
    for ask in (gr.Timer(POLL_INTERVAL_S).tick, page.blocks.load):
        ask(look, [seen], [seen, tab.jobs.source], **EVENT_OPTIONS)
    tab.stop.click(stop, None, shown, **EVENT_OPTIONS)
    tab.jobs.view.click(press, None, shown, **EVENT_OPTIONS)


def _handle_job_button(studio: Studio, asked: Any) -> str:
    """Do what a button of a job asks for; what a browser sends is only ever a job and a word."""
    job = studio.job(str(asked.get("job", "")))
    if asked.get("act") == "cancel":
        studio.cancel(job.id)
        return "Stopping. What is done is kept."
    if asked.get("act") != "again" or not job.is_over:
        raise AppError("The page asked for something that is not known. Reload it.")
    with reraise_as_app_error(ValidationError, ValueError):
        studio.submit(from_dict(PrepareRequest, job.request), title=job.title)
    return ""
