"""The part Prepare Dataset: recordings in, clips with their words out, and these looked through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from jobs.plain import PlainError, from_plain
from studio.bringing import TRANSCRIPTS
from studio.datasets import Datasets, PrepareRequest, check_prepare
from studio.errors import StudioError, refusing
from studio.studio import Studio
from studio.voices import AUDIO_SUFFIXES
from webui.messages import note, refusal
from webui.page import QUIET, Page
from webui.painted import Painted, draw_painted
from webui.training_prepare_form import (
    ASKED_FIRST,
    PrepareForm,
    draw_options,
    draw_source,
    draw_words,
    made_already,
    model_choices,
    offers_folders,
    ready_html,
    request_from,
    transcriber_choices,
    transcribers_told,
    voice_names,
)
from webui.training_prepare_job import going, jobs_html
from webui.training_prepare_voice import bring_files
from webui.training_review import Review, draw_review

# Any: what Gradio's controls give and take.

WATCH_S = 1.5
JOBS_LOOKED_AT = 50
ABOUT = (
    "A data set is made of recordings of **one** voice: cut in pauses into clips of a few seconds, "
    "each with its words. A quarter of an hour of clean speech is a good beginning. Transcripts "
    "beside the recordings (.txt, .srt, .vtt, .json, metadata.csv) are used as they are."
)


@dataclass(frozen=True, kw_only=True)
class Tab:
    """Everything on the part that handlers touch."""

    studio: Studio
    form: PrepareForm
    ready: gr.HTML
    run: gr.Button
    stop: gr.Button
    message: gr.HTML
    jobs: Painted
    bring: Bringing


@dataclass(frozen=True, kw_only=True)
class Bringing:
    """Where recordings are dropped to become a voice."""

    files: gr.File
    name: gr.Textbox
    run: gr.Button
    message: gr.HTML


def build(page: Page) -> None:
    """Draw the part and wire it."""
    gr.Markdown(ABOUT, elem_id="training-prepare-about")
    tab = _draw(page.studio)
    review = draw_review(page, Datasets(page.studio.layout))
    _wire_form(tab, page, review)
    _wire_voices(tab, page)
    _wire_jobs(tab, page)


def _draw(studio: Studio) -> Tab:
    with gr.Row(elem_classes="generate"):
        with gr.Column(scale=6, min_width=320):
            controls = draw_source(studio)
            with gr.Accordion("New recordings", open=False, elem_id="training-prepare-new"):
                bring = _draw_bringing()
            controls |= draw_words(studio)
            with gr.Accordion("About the words", open=False, elem_id="training-prepare-words"):
                gr.HTML(transcribers_told(studio), elem_id="training-prepare-transcribers")
            with gr.Accordion("Advanced", open=False, elem_id="training-prepare-advanced"):
                options, knobs = draw_options()
            ready = gr.HTML("", elem_id="training-prepare-ready")
            with gr.Row(elem_classes="run-row"):
                run = gr.Button(
                    "Prepare", variant="primary", scale=3, elem_id="training-prepare-run"
                )
                stop = gr.Button("Stop", scale=1, elem_id="training-prepare-stop")
            message = gr.HTML("", elem_id="training-prepare-message")
        with gr.Column(scale=5, min_width=320, elem_classes="hearing"):
            jobs = draw_painted("training-prepare-jobs")
    return Tab(
        studio=studio,
        form=PrepareForm(
            controls={**controls, **options},
            knobs=knobs,
            local=offers_folders(studio.settings),
        ),
        ready=ready,
        run=run,
        stop=stop,
        message=message,
        jobs=jobs,
        bring=bring,
    )


def _draw_bringing() -> Bringing:
    files = gr.File(
        label="Drop recordings here, and their transcripts if you have them",
        file_count="multiple",
        file_types=[*AUDIO_SUFFIXES, *TRANSCRIPTS],
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
    return Bringing(files=files, name=name, run=run, message=message)


def _wire_form(tab: Tab, page: Page, review: Review) -> None:
    studio = tab.studio
    controls: Mapping[str, Any] = tab.form.controls  # Any: Gradio adds the events at run time

    def arrive() -> list[Any]:
        transcriber, model = transcriber_choices(studio), model_choices(studio)
        return [gr.update(choices=transcriber), gr.update(choices=model)]

    def prepare(*given: Any) -> list[Any]:
        try:
            request = request_from(tab.form, given)
            ready = check_prepare(studio.layout, request)
            studio.submit(request, title=f"Data set {ready.name}")
            chosen = review.choosing(ready.name)
        except StudioError as cause:
            return [refusal(cause), gr.skip(), gr.skip()]
        return ["", jobs_html(studio.jobs(limit=JOBS_LOOKED_AT)), chosen]

    def foretell(*given: Any) -> str:
        try:
            ready = check_prepare(studio.layout, request_from(tab.form, given))
            there = {info.name: info for info in review.datasets.list()}.get(ready.name)
        except StudioError as cause:
            return f'<p class="warning">{escape(str(cause))}</p>'
        return ready_html(ready, made_already(there.kept, there.kept_s) if there else "")

    page.blocks.load(arrive, None, [controls["transcriber"], controls["model"]], **QUIET)
    page.blocks.load(foretell, tab.form.components, tab.ready, **QUIET)
    gr.on(
        [controls[name].change for name in ASKED_FIRST],
        foretell,
        tab.form.components,
        tab.ready,
        trigger_mode="always_last",
        **QUIET,
    )
    shown = [tab.message, tab.jobs.source, review.chosen]
    tab.run.click(prepare, tab.form.components, shown, **QUIET)


def _wire_voices(tab: Tab, page: Page) -> None:
    """The list of voices follows the folder, and what is dropped comes into it."""
    studio, bring = tab.studio, tab.bring
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
            job = bring_files(studio, [Path(file) for file in files or ()], name or "")
        except StudioError as cause:
            return [refusal(cause), gr.skip(), gr.skip()]
        told = note(f"{job.title} are read; then the voice is chosen above.")
        return [told, None, str(job.request["name"])]

    voice = tab.form.controls["voice"]
    for ask in (gr.Timer(2 * WATCH_S).tick, page.blocks.load):
        ask(look, [known, awaited], [known, awaited, voice], **QUIET)
    bring.run.click(keep, [bring.files, bring.name], [bring.message, bring.files, awaited], **QUIET)


def _wire_jobs(tab: Tab, page: Page) -> None:
    """What is prepared, the same for every browser and after every reload."""
    studio = tab.studio
    seen = gr.State("")

    def look(before: str) -> list[Any]:
        try:
            told = jobs_html(studio.jobs(limit=JOBS_LOOKED_AT))
        except StudioError as cause:
            told = refusal(cause)
        return [gr.skip(), gr.skip()] if told == before else [told, told]

    def stop() -> list[Any]:
        try:
            ours = going(studio.jobs(limit=JOBS_LOOKED_AT))
            for job in ours:
                studio.cancel(job.id)
        except StudioError as cause:
            return [refusal(cause), gr.skip()]
        told = "Stopping. What is done is kept." if ours else "Nothing is being prepared."
        return [note(told), jobs_html(studio.jobs(limit=JOBS_LOOKED_AT))]

    def press(asked: gr.EventData) -> list[Any]:
        try:
            told = _answered(studio, asked._data or {})
        except StudioError as cause:
            return [refusal(cause), gr.skip()]
        return [note(told), jobs_html(studio.jobs(limit=JOBS_LOOKED_AT))]

    shown = [tab.message, tab.jobs.source]
    for ask in (gr.Timer(WATCH_S).tick, page.blocks.load):
        ask(look, [seen], [seen, tab.jobs.source], **QUIET)
    tab.stop.click(stop, None, shown, **QUIET)
    tab.jobs.view.click(press, None, shown, **QUIET)


def _answered(studio: Studio, asked: Any) -> str:
    """Do what a button of a job asks for; what a browser sends is only ever a job and a word."""
    job = studio.job(str(asked.get("job", "")))
    if asked.get("act") == "cancel":
        studio.cancel(job.id)
        return "Stopping. What is done is kept."
    if asked.get("act") != "again" or not job.is_over:
        raise StudioError("The page asked for something that is not known. Reload it.")
    with refusing(PlainError, ValueError):
        studio.submit(from_plain(PrepareRequest, job.request), title=job.title)
    return ""
