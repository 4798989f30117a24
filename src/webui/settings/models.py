"""The models on the page: a table of them, and buttons to download, verify and delete them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import gradio as gr
from markupsafe import Markup

from core.errors import AppError
from core.formatting import format_bytes
from jobs.models import Job
from studio.app.studio import Studio
from studio.diagnostics.updates import SOURCE_DIR, CheckUpdatesRequest, can_check_for_updates
from studio.model_store.bundles import ModelSummary, get_models_fingerprint, list_models
from studio.model_store.finetunes import resolve_model_name
from studio.model_store.lifecycle import (
    DownloadModelRequest,
    VerifyModelRequest,
    delete_model,
    empty_trash,
    list_deleted_models,
    restore_model,
)
from webui.components.job_card import format_progress, stop_jobs
from webui.components.live_panel import EVENT_OPTIONS, LivePanel, Updates, create_live_html
from webui.components.messages import note_html
from webui.components.page_context import PageContext
from webui.components.speech_model_installer import (
    INSTALL_TASK,
    InstallerState,
    SpeechModelInstaller,
)
from webui.components.templates import render

# Any: updates of Gradio's components.

JOB_TITLES = {
    "download_model": "Download of",
    INSTALL_TASK: "Installation of Whisper",
    "verify_model": "Verification of",
    "check_updates": "Check for updates",
}
ORIGIN = "settings"  # of the jobs that this tab submits
POLL_INTERVAL_S = 2.0
DAY_S = 86_400.0
PRECISIONS = [
    ("32 bits (as published, 4 GB)", "fp32"),
    ("16 bits (fp16, half the size)", "fp16"),
    ("16 bits (bf16, wider range)", "bf16"),
]


class ModelPanelState(NamedTuple):
    """State of the panel; models are listed again when their fingerprint changes."""

    jobs_html: str
    fingerprint: Any
    deleted: tuple[Any, ...]
    installer: InstallerState


def build_models_panel(page: PageContext) -> None:
    """Create the panel."""
    ModelPanel(page.studio).bind(page)


class ModelPanel:
    """The table of models, the jobs about them, and their buttons."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        gr.Markdown("## Models", elem_classes="setting-section")
        table = create_live_html("settings-models")
        self.jobs = gr.HTML("", elem_id="settings-models-status")
        self.message = gr.HTML("", elem_id="settings-models-message")
        self._build_model_controls()
        self._build_download_controls()
        self.installer = SpeechModelInstaller(studio, "settings-install", ORIGIN)
        self._build_trash_controls()
        with gr.Row():
            self.unload = gr.Button("Unload models", size="md", elem_id="settings-unload")
            self.updates = gr.Button("Check for updates now", size="md", elem_id="settings-updates")
        self.panel = LivePanel(
            table,
            self._get_state,
            self._render,
            message=self.message,
            outputs=[
                *(self.jobs, self.chosen, self.trash),
                *(self.installer.button, self.installer.note),
            ],
        )

    def _build_model_controls(self) -> None:
        with gr.Row():
            self.chosen = gr.Dropdown(
                choices=[model.name for model in list_models(self.studio.layout)],
                value=resolve_model_name(self.studio.layout, self.studio.settings.bundle, ""),
                label="Selected model",
                scale=3,
                allow_custom_value=True,
                elem_id="settings-model",
            )
            with gr.Column(scale=1, min_width=220):
                self.verify = gr.Button("Verify", size="md", elem_id="settings-verify")
                self.delete = gr.Button(
                    "Delete", size="md", variant="stop", elem_id="settings-delete"
                )

    def _build_download_controls(self) -> None:
        with gr.Row():
            self.precision = gr.Dropdown(
                choices=PRECISIONS,
                value="fp32",
                label="Download the published TorToiSe model",
                info="It sounds far better than the starter. Generation pauses during download; "
                "partial files are kept.",
                scale=3,
                elem_id="settings-precision",
            )
            with gr.Column(scale=1, min_width=220):
                self.download = gr.Button("Download", size="md", elem_id="settings-download")
                self.stop = gr.Button("Stop download", size="md", elem_id="settings-download-stop")

    def _build_trash_controls(self) -> None:
        with gr.Row():
            self.trash = gr.Dropdown(
                choices=_format_deleted(list_deleted_models(self.studio.layout)),
                label="Deleted models",
                info="They stay in the trash of the models folder until you empty it.",
                scale=3,
                allow_custom_value=True,
                elem_id="settings-bin",
            )
            with gr.Column(scale=1, min_width=220):
                self.restore = gr.Button("Restore", size="md", elem_id="settings-bin-restore")
                self.empty = gr.Button("Empty trash", size="md", elem_id="settings-empty-bin")

    def bind(self, page: PageContext) -> None:
        """Connect the events to their handlers."""
        bind = self.panel.bind
        bind(self.verify.click, self._verify, [self.chosen])
        bind(self.delete.click, self._delete, [self.chosen])
        bind(self.download.click, self._download, [self.precision])
        bind(self.stop.click, self._stop_download)
        bind(self.installer.button.click, self.installer.install)
        bind(self.restore.click, self._restore, [self.trash])
        bind(self.empty.click, self._empty_trash)
        bind(self.unload.click, self._unload)
        bind(self.updates.click, self._check_updates)
        self.panel.follow(page.changes, POLL_INTERVAL_S)
        page.blocks.load(self._check_updates_daily, None, None, **EVENT_OPTIONS)

    def _get_state(self) -> ModelPanelState:
        jobs = self.studio.jobs(limit=50)
        return ModelPanelState(
            jobs_html=model_jobs_html(jobs),
            fingerprint=get_models_fingerprint(self.studio.layout),
            deleted=tuple(list_deleted_models(self.studio.layout)),
            installer=self.installer.get_state(jobs),
        )

    def _render(self, state: ModelPanelState) -> Updates:
        models = list_models(self.studio.layout)
        return {
            self.panel.html: models_table_html(models),
            self.jobs: state.jobs_html,
            self.chosen: gr.update(choices=[model.name for model in models]),
            self.trash: gr.update(choices=_format_deleted(state.deleted)),
            **self.installer.render(state.installer),
        }

    def _verify(self, name: str) -> None:
        self.studio.submit(
            VerifyModelRequest(name=name), title=f"Verification of {name}", origin=ORIGIN
        )

    def _download(self, precision: str) -> None:
        settings = self.studio.settings
        request = DownloadModelRequest(
            precision=precision, offline=settings.offline, mirror=settings.mirror
        )
        self.studio.submit(request, title="Download of tortoise", origin=ORIGIN)

    def _stop_download(self) -> Updates:
        stopped = stop_jobs(self.studio, ["download_model", INSTALL_TASK], ORIGIN)
        text = "Stopping. Partial files are kept." if stopped else "No download is running."
        return {self.message: note_html(text)}

    def _delete(self, name: str) -> Updates:
        in_use = [
            str(job.request.get("bundle") or job.request.get("name", ""))
            for job in self.studio.jobs(limit=200)
            if not job.is_over
        ]
        deleted = delete_model(self.studio.layout, name or "", busy=in_use)
        self.studio.unload()
        return {self.message: note_html(f"{deleted.name} moved to the trash.")}

    def _restore(self, id: str) -> Updates:
        name = restore_model(self.studio.layout, id or "")
        return {self.message: note_html(f"{name} restored.")}

    def _empty_trash(self) -> Updates:
        freed = format_bytes(empty_trash(self.studio.layout))
        return {self.message: note_html(f"Trash emptied: {freed} freed.")}

    def _unload(self) -> Updates:
        if not self.studio.unload():
            raise AppError("A job is using the models. Stop it, or wait until it is done.")
        return {self.message: note_html("Models unloaded. The next clip loads them again.")}

    def _check_updates(self) -> None:
        if not can_check_for_updates(SOURCE_DIR):
            raise AppError("Not a git install: updates cannot be checked.")
        request = CheckUpdatesRequest(root=str(SOURCE_DIR), offline=self.studio.settings.offline)
        self.studio.submit(request, title="Check for updates", origin=ORIGIN)

    def _check_updates_daily(self) -> None:
        if not (self.studio.settings.check_updates and can_check_for_updates(SOURCE_DIR)):
            return
        since = datetime.now().timestamp() - DAY_S
        jobs = self.studio.jobs(limit=50)
        if not any(job.task == "check_updates" and job.created > since for job in jobs):
            self._check_updates()


def models_table_html(models: Sequence[ModelSummary]) -> Markup:
    """Render the models as a table."""
    return render("models_table.html", models=models)


def model_jobs_html(jobs: Sequence[Job]) -> Markup:
    """Render the newest job of each kind: its progress or its result."""
    newest: dict[str, Job] = {}
    for job in jobs:
        if job.task in JOB_TITLES:
            newest.setdefault(job.task, job)
    return Markup("").join(model_job_html(job) for job in newest.values())


def model_job_html(job: Job) -> Markup:
    """Render one job in a line."""
    name = f"{JOB_TITLES[job.task]} {job.request.get('name', '')}".strip()
    stopped = "stopped." if job.task == INSTALL_TASK else "stopped. Partial files are kept."
    texts = {"waiting": "waiting", "stopped": stopped}
    text = texts.get(job.state) or (
        format_progress(job) if job.state == "running" else _format_result(job)
    )
    return render("model_job.html", job=job, name=name, text=text)


def _format_result(job: Job) -> str:
    result = job.result or {}
    if job.task == "verify_model":
        checks = result.get("checks", ())
        wrong = [f"{check['file']}: {check['message']}" for check in checks if not check["good"]]
        return "; ".join(wrong) or f"good, all {len(checks)} files."
    if job.task == "check_updates":
        fix = f" Close the studio and run {result['fix']}." if result.get("fix") else ""
        return f"{result.get('message', '')}{fix}"
    if job.task == INSTALL_TASK:
        return "done. Prepare Dataset can use it."
    return "done. Select it as Model on the Generate tab."


def _format_deleted(deleted: Sequence[Any]) -> list[tuple[str, str]]:
    return [
        (
            f"{model.name}, {format_bytes(model.size)}, "
            f"{datetime.fromtimestamp(model.when):%d %B %H:%M}",
            model.id,
        )
        for model in deleted
    ]
