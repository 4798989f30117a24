"""The Prepare Dataset part of the Training tab: from recordings to clips with texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from core.errors import AppError, reraise_as_app_error
from core.serialization import ValidationError, from_dict
from studio.datasets.service import (
    PrepareRequest,
    plan_preparation,
    preview_lists,
)
from studio.voices.catalog import AUDIO_SUFFIXES
from studio.voices.uploads import TRANSCRIPT_SUFFIXES
from webui.components.job_card import filter_active_jobs, stop_jobs
from webui.components.live_panel import (
    EVENT_OPTIONS,
    LivePanel,
    PanelAction,
    Updates,
    create_live_html,
)
from webui.components.messages import error_html, note_html, show_errors
from webui.components.page_context import PageContext
from webui.components.speech_model_installer import InstallerState, SpeechModelInstaller
from webui.components.voice_import import import_recordings
from webui.datasets.prepare_form import (
    PLAN_CONTROLS,
    PrepareForm,
    list_voice_names,
    transcriber_choices,
    whisper_model_choices,
)
from webui.datasets.prepare_view import (
    ORIGIN,
    TASKS,
    prepare_jobs_html,
    prepare_plan_html,
    table_previews_html,
    transcribers_html,
)
from webui.datasets.review_tab import ReviewPanel

# Any: values of Gradio's components.

POLL_INTERVAL_S = 1.5
JOB_LIMIT = 50
STOPPING_TEXT = "Stopping. Finished recordings are kept."
ABOUT = (
    "A dataset is created from recordings of **one** voice: they are cut at pauses into clips "
    "of a few seconds, each with its transcript. 15 minutes of clean speech are a good start. "
    "Existing "
    "transcripts (.txt, .srt, .vtt, .json, metadata.csv) are used as they are."
)


class PrepareSnapshot(NamedTuple):
    """The HTML of the jobs, the voices as JSON, and the state of the buttons Install and Stop."""

    jobs_html: str
    voices: str
    installer: InstallerState
    can_stop: bool


class PrepareTab:
    """The form, its jobs and the upload of recordings.  review: on a page of its own."""

    def __init__(self, page: PageContext, review: ReviewPanel) -> None:
        self.review = review
        self.studio, self.form = page.studio, PrepareForm(page.studio)
        gr.Markdown(ABOUT, elem_id="training-prepare-about")
        with gr.Row(elem_classes="generate"):
            with gr.Column(scale=6, min_width=320):
                self.form.build_source_controls()
                with gr.Accordion("New recordings", open=False, elem_id="training-prepare-new"):
                    upload = self._build_upload()
                self.form.build_transcription_controls()
                self.installer = SpeechModelInstaller(
                    self.studio, "training-prepare-install", ORIGIN
                )
                with gr.Accordion(
                    "Transcription options", open=False, elem_id="training-prepare-words"
                ):
                    self.transcribers = gr.HTML(
                        transcribers_html(self.studio), elem_id="training-prepare-transcribers"
                    )
                with gr.Accordion("Advanced", open=False, elem_id="training-prepare-advanced"):
                    self.form.build_advanced_controls()
                self.plan = gr.HTML("", elem_id="training-prepare-ready")
                with gr.Row(elem_classes="run-row"):
                    run = gr.Button(
                        "Prepare", variant="primary", scale=3, elem_id="training-prepare-run"
                    )
                    self.stop = gr.Button(
                        "Stop", interactive=False, elem_id="training-prepare-stop"
                    )
                message = gr.HTML("", elem_id="training-prepare-message")
            with gr.Column(scale=5, min_width=320, elem_classes="hearing"):
                jobs = create_live_html("training-prepare-jobs")
        # hidden: its change event fires where a State's would need the queue
        self.voices = gr.Textbox(visible="hidden", elem_id="training-prepare-voices")
        self.installed = gr.Textbox(visible="hidden", elem_id="training-prepare-installed")
        self.imported = gr.State("")  # the voice to select once it is there
        self.panel = LivePanel(
            jobs,
            self.take_snapshot,
            self.render_snapshot,
            {"cancel": self.cancel_job, "again": self.resume_job},
            message=message,
            outputs=[self.voices, self.installed, self.stop, *self.installer.outputs],
            action_outputs=[self.review.chosen],
        )
        self.panel.follow(page.changes, POLL_INTERVAL_S, place="training-prepare-about")
        self.panel.bind(run.click, self.prepare, self.form.components)
        self.panel.bind(self.stop.click, self.stop_jobs)
        self.panel.bind(self.installer.button.click, self.installer.install)
        self._bind_events(page, upload)

    def _build_upload(self) -> gr.Button:
        self.files = gr.File(
            label="Drop recordings, and their transcripts if you have them",
            file_count="multiple",
            file_types=[*AUDIO_SUFFIXES, *TRANSCRIPT_SUFFIXES],
            height=110,
            elem_id="training-prepare-drop",
        )
        with gr.Row(elem_classes="dataset-row"):
            self.voice_name = gr.Textbox(
                label="Voice name",
                info="Use an existing name to add the recordings to it.",
                max_lines=1,
                elem_id="training-prepare-voice-name",
            )
            upload = gr.Button("Save as voice", elem_id="training-prepare-bring")
        self.upload_message = gr.HTML("", elem_id="training-prepare-bring-message")
        return upload

    def _bind_events(self, page: PageContext, upload: gr.Button) -> None:
        controls, fields = self.form.controls, self.form.components
        gr.on(
            [page.blocks.load, self.installed.change],
            self.list_transcribers,
            None,
            [controls["transcriber"], controls["model"], self.transcribers],
            **EVENT_OPTIONS,
        )
        gr.on(
            [
                page.blocks.load,
                self.installed.change,
                *(controls[name].change for name in PLAN_CONTROLS),
            ],
            self.show_plan,
            fields,
            self.plan,
            **{**EVENT_OPTIONS, "trigger_mode": "always_last"},
        )
        self.voices.change(
            self.offer_voices,
            [self.voices, self.imported],
            [controls["voice"], self.imported],
            **EVENT_OPTIONS,
        )
        upload.click(
            show_errors(self.upload_message, self.upload_recordings),
            [self.files, self.voice_name],
            [self.upload_message, self.files, self.imported],
            **EVENT_OPTIONS,
        )

    def take_snapshot(self) -> PrepareSnapshot:
        """Return what the page follows."""
        jobs = self.studio.jobs(limit=JOB_LIMIT)
        return PrepareSnapshot(
            jobs_html=prepare_jobs_html(jobs),
            voices=json.dumps(list_voice_names(self.studio)),
            installer=self.installer.get_state(jobs),
            can_stop=bool(filter_active_jobs(jobs, TASKS, ORIGIN)),
        )

    def render_snapshot(self, snapshot: PrepareSnapshot) -> Updates:
        """Return the updates that show a snapshot."""
        return {
            self.panel.html: snapshot.jobs_html,
            self.voices: snapshot.voices,
            self.installed: snapshot.installer.last_done,
            self.stop: gr.update(interactive=snapshot.can_stop),
            **self.installer.render(snapshot.installer),
        }

    def list_transcribers(self) -> Updates:
        """Offer the transcribers and models that are installed now."""
        return {
            self.form.controls["transcriber"]: gr.update(choices=transcriber_choices(self.studio)),
            self.form.controls["model"]: gr.update(choices=whisper_model_choices(self.studio)),
            self.transcribers: transcribers_html(self.studio),
        }

    def show_plan(self, *given: Any) -> str:
        """Render the plan of the form with the lists of transcripts, or the error."""
        layout, request = self.studio.layout, None
        try:
            request = self.form.build_request(given)
            plan = plan_preparation(layout, request)
            existing = {info.name: info for info in self.review.datasets.list()}.get(plan.name)
        except AppError as error:
            return error_html(error) + self._preview_unclear_lists(request)
        return prepare_plan_html(plan, existing) + table_previews_html(plan.lists)

    def _preview_unclear_lists(self, request: PrepareRequest | None) -> str:
        if request is None:
            return ""
        with suppress(AppError):  # the plan failed for another reason
            lists = preview_lists(self.studio.layout, request)
            return table_previews_html([one for one in lists if one.question])
        return ""

    def prepare(self, *given: Any) -> Updates:
        """Queue a job that prepares the dataset, and select the dataset for the review."""
        request = self.form.build_request(given)
        plan = plan_preparation(self.studio.layout, request)
        self.studio.submit(request, title=f"Dataset {plan.name}", origin=ORIGIN)
        return {self.review.chosen: self.review.build_choice_update(plan.name)}

    def stop_jobs(self) -> Updates:
        """Stop all active jobs of Prepare Dataset."""
        jobs = stop_jobs(self.studio, TASKS, ORIGIN)
        text = STOPPING_TEXT if jobs else "Nothing is being prepared."
        return {self.panel.message: note_html(text)}

    def cancel_job(self, action: PanelAction) -> Updates:
        """Stop a job."""
        self.studio.cancel(self.studio.job(action.text("job")).id)
        return {self.panel.message: note_html(STOPPING_TEXT)}

    def resume_job(self, action: PanelAction) -> None:
        """Queue a job again that failed or was stopped."""
        job = self.studio.job(action.text("job"))
        if not job.is_over:
            raise AppError(f"{job.title} is still running.")
        with reraise_as_app_error(ValidationError, ValueError):
            request = from_dict(PrepareRequest, job.request)
        self.studio.submit(request, title=job.title, origin=ORIGIN)

    def offer_voices(self, listed: str, imported: str) -> Updates:
        """Offer the voices there are, and select one that was just imported."""
        names, control = json.loads(listed or "[]"), self.form.controls["voice"]
        if imported in names:
            return {control: gr.update(choices=names, value=imported), self.imported: ""}
        return {control: gr.update(choices=names)}

    def upload_recordings(self, files: Sequence[str] | None, name: str) -> Updates:
        """Queue a job that imports uploaded recordings as a voice."""
        uploads = [Path(file) for file in files or ()]
        job = import_recordings(self.studio, uploads, name or "", ORIGIN)
        voice = str(job.request["name"])
        return {
            self.upload_message: note_html(f'Importing "{voice}"; it is selected when done.'),
            self.files: None,
            self.imported: voice,
        }
