"""The weights on the page: what is there, and the buttons that fetch, check and delete them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape
from typing import Any

import gradio as gr

from core.errors import AppError
from core.formatting import format_bytes
from jobs.models import Job
from studio.app.studio import Studio
from studio.diagnostics.updates import SOURCE_DIR, CheckUpdatesRequest, can_check_for_updates
from studio.model_store.bundles import ModelSummary, list_models
from studio.model_store.finetunes import resolve_model_name
from studio.model_store.lifecycle import (
    DownloadModelRequest,
    VerifyModelRequest,
    delete_model,
    empty_trash,
    list_deleted_models,
    restore_model,
)
from webui.components.job_card import format_progress
from webui.components.live_html import EVENT_OPTIONS
from webui.components.messages import error_html, note_html
from webui.components.page_context import PageContext

# Any: updates of Gradio's components.

TASKS = ("download_model", "verify_model", "check_updates")
TITLES = {
    "download_model": "Download of",
    "verify_model": "Check of",
    "check_updates": "Check for updates",
}
POLL_INTERVAL_S = 2.0
DAY_S = 86_400.0
PRECISIONS = [
    ("32 bits: as published, 4 GB", "fp32"),
    ("16 bits: half the size (fp16)", "fp16"),
    ("16 bits, wider range (bf16)", "bf16"),
]


def build_models_panel(page: PageContext) -> None:
    """Draw the panel and wire it."""
    studio = page.studio
    gr.Markdown("## Models", elem_classes="setting-section")
    table = gr.HTML(models_table_html(list_models(studio.layout)), elem_id="settings-models")
    status = gr.HTML("", elem_id="settings-models-status")
    chosen, check, delete = _build_model_selector(studio)
    precision, download, stop = _build_download_controls()
    binned, restore, empty = _build_trash_controls(studio)
    with gr.Row():
        unload = gr.Button("Unload now", size="md", elem_id="settings-unload")
        news = gr.Button("Check for updates now", size="md", elem_id="settings-updates")
    shown = [status, table, chosen, binned]

    def wire(button: gr.Button, act: Callable[..., str], *inputs: Any) -> None:
        button.click(_make_handler(studio, act), list(inputs), shown, **EVENT_OPTIONS)

    wire(
        check,
        lambda name: _submit(studio, VerifyModelRequest(name=name), f"Check of {name}"),
        chosen,
    )
    wire(delete, lambda name: _delete(studio, name), chosen)
    wire(download, lambda kind: _download(studio, kind), precision)
    wire(stop, lambda: _stop_download(studio))
    wire(restore, lambda id: f"{restore_model(studio.layout, id or '')} is back.", binned)
    wire(empty, lambda: f"{format_bytes(empty_trash(studio.layout))} are free again.")
    wire(unload, lambda: _unload(studio))
    wire(news, lambda: _submit_update_check(studio))
    _bind_polling(page, status, shown)


DropdownWithButtons = tuple[gr.Dropdown, gr.Button, gr.Button]


def _build_model_selector(studio: Studio) -> DropdownWithButtons:
    with gr.Row():
        chosen = gr.Dropdown(
            choices=_list_model_names(studio),
            value=resolve_model_name(studio.layout, studio.settings.bundle, ""),
            label="Model",
            info="What the buttons beside are about.",
            scale=3,
            allow_custom_value=True,
            elem_id="settings-model",
        )
        with gr.Column(scale=1, min_width=220):
            check = gr.Button("Verify", size="md", elem_id="settings-verify")
            delete = gr.Button("Delete", size="md", variant="stop", elem_id="settings-delete")
    return chosen, check, delete


def _build_download_controls() -> DropdownWithButtons:
    with gr.Row():
        precision = gr.Dropdown(
            choices=PRECISIONS,
            value="fp32",
            label="Download the published weights of TorToiSe",
            info="They speak far better than the starter. Speaking waits until they are here; what "
            "has arrived stays when you stop.",
            scale=3,
            elem_id="settings-precision",
        )
        with gr.Column(scale=1, min_width=220):
            download = gr.Button("Download", size="md", elem_id="settings-download")
            stop = gr.Button("Stop download", size="md", elem_id="settings-download-stop")
    return precision, download, stop


def _build_trash_controls(studio: Studio) -> DropdownWithButtons:
    with gr.Row():
        binned = gr.Dropdown(
            choices=_list_trash_choices(studio),
            label="Deleted models",
            info="They wait in the bin of the models folder until you empty it.",
            scale=3,
            allow_custom_value=True,
            elem_id="settings-bin",
        )
        with gr.Column(scale=1, min_width=220):
            restore = gr.Button("Put back", size="md", elem_id="settings-restore")
            empty = gr.Button("Empty the bin", size="md", elem_id="settings-empty-bin")
    return binned, restore, empty


def _bind_polling(page: PageContext, status: gr.HTML, shown: list[Any]) -> None:
    """Show how far the jobs of this panel are, and the models that have come in."""
    studio = page.studio
    seen = gr.State("")

    def look(before: str) -> list[Any]:
        told = model_jobs_html(studio.jobs(limit=50))
        if told == before:
            return [gr.skip()] * (len(shown) + 1)
        return [told, told, *_get_panel_updates(studio)]

    def arrive() -> None:
        if studio.settings.check_updates and not _was_checked_today(studio.jobs(limit=50)):
            _submit_update_check(studio)

    gr.Timer(POLL_INTERVAL_S).tick(look, [seen], [seen, *shown], **EVENT_OPTIONS)
    page.blocks.load(arrive, None, None, **EVENT_OPTIONS)


def models_table_html(bundles: Sequence[ModelSummary]) -> str:
    """Draw the bundles as a table that reads well on a telephone too."""
    if not bundles:
        return '<p class="hint">There are no weights yet. Download the published ones below.</p>'
    rows = "".join(
        f"<tr><th scope='row'>{escape(bundle.name)}</th>"
        f"<td>{format_bytes(bundle.size)}</td><td>{escape(format_model_state(bundle))}</td>"
        f"<td class='quiet about'>{escape(bundle.about)}</td></tr>"
        for bundle in bundles
    )
    return (
        "<div class='table' tabindex='0' role='region' aria-label='Models'><table><thead><tr>"
        "<th scope='col'>Model</th><th scope='col'>Size</th><th scope='col'>State</th>"
        f"<th scope='col' class='about'>About</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def format_model_state(bundle: ModelSummary) -> str:
    """Say whether a bundle speaks, and if not, why."""
    if bundle.problem:
        return f"Cannot be used: {bundle.problem}"
    if bundle.missing:
        return f"Cannot speak yet: lacks {', '.join(bundle.missing)}"
    return f"Ready ({len(bundle.networks)} networks)"


def model_jobs_html(jobs: Sequence[Job]) -> str:
    """Tell of the newest job of each kind: how far it is, or what came of it."""
    newest: dict[str, Job] = {}
    for job in jobs:
        if job.task in TASKS:
            newest.setdefault(job.task, job)
    return "".join(model_job_html(job) for job in newest.values())


def model_job_html(job: Job) -> str:
    """Tell of one job in a line."""
    name = escape(f"{TITLES[job.task]} {job.request.get('name', '')}".strip())
    if job.state == "waiting":
        return f'<p class="note" role="status">{name}: waiting.</p>'
    if job.state == "running":
        return f'<p class="note" role="status">{name}: {escape(format_progress(job))}</p>'
    if job.failure is not None:
        return (
            f'<p class="refusal" role="alert"><strong>{name}:</strong> '
            f"{escape(job.failure.message)}</p>"
        )
    if job.state == "stopped":
        return f'<p class="note" role="status">{name}: stopped. What has arrived is kept.</p>'
    return f'<p class="note" role="status">{name}: {escape(format_model_job_result(job))}</p>'


def format_model_job_result(job: Job) -> str:
    """Say what came of a job that is done."""
    result = job.result or {}
    if job.task == "verify_model":
        wrong = [check for check in result.get("checks", ()) if not check["good"]]
        told = "; ".join(f"{check['file']}: {check['message']}" for check in wrong)
        return told or f"good, all {len(result.get('checks', ()))} files."
    if job.task == "check_updates":
        fix = f" Close the studio and run {result['fix']}." if result.get("fix") else ""
        return f"{result.get('told', '')}{fix}"
    return "it is here. Choose it as Model on the tab Generate."


def _make_handler(studio: Studio, act: Callable[..., str]) -> Callable[..., list[Any]]:
    def press(*given: Any) -> list[Any]:
        try:
            message = note_html(act(*given))
        except AppError as cause:
            message = error_html(cause)
        return [message, *_get_panel_updates(studio)]

    return press


def _get_panel_updates(studio: Studio) -> list[Any]:
    table = models_table_html(list_models(studio.layout))
    return [
        table,
        gr.update(choices=_list_model_names(studio)),
        gr.update(choices=_list_trash_choices(studio)),
    ]


def _submit(studio: Studio, request: Any, title: str) -> str:
    studio.submit(request, title=title)
    return f"{title}: waiting."


def _download(studio: Studio, precision: str) -> str:
    request = DownloadModelRequest(precision=precision, offline=studio.settings.offline)
    return _submit(studio, request, "Download of tortoise")


def _stop_download(studio: Studio) -> str:
    going = [
        job for job in studio.jobs(limit=50) if job.task == "download_model" and not job.is_over
    ]
    for job in going:
        studio.cancel(job.id)
    return "Stopping. What has arrived is kept." if going else "Nothing is being downloaded."


def _delete(studio: Studio, name: str) -> str:
    busy = [
        str(job.request.get("bundle") or job.request.get("name", ""))
        for job in studio.jobs(limit=200)
        if not job.is_over
    ]
    deleted = delete_model(studio.layout, name or "", busy=busy)
    studio.unload()
    return f"{deleted.name} is in the bin. Put back brings it again."


def _unload(studio: Studio) -> str:
    if not studio.unload():
        raise AppError("A job works with the models. Stop it on the tab Generate, or wait.")
    return "The models' memory is free. The next clip loads them again."


def _submit_update_check(studio: Studio) -> str:
    if not can_check_for_updates(SOURCE_DIR):
        raise AppError("Testudo was not fetched with git here, so there is nobody to ask.")
    request = CheckUpdatesRequest(root=str(SOURCE_DIR), offline=studio.settings.offline)
    return _submit(studio, request, "Check for updates")


def _was_checked_today(jobs: Sequence[Job]) -> bool:
    now = datetime.now().timestamp()
    return any(job.task == "check_updates" and now - job.created < DAY_S for job in jobs)


def _list_model_names(studio: Studio) -> list[str]:
    return [bundle.name for bundle in list_models(studio.layout)]


def _list_trash_choices(studio: Studio) -> list[tuple[str, str]]:
    return [
        (f"{one.name}, {format_bytes(one.size)}, {datetime.fromtimestamp(one.when):%d %B %H:%M}",
         one.id)
        for one in list_deleted_models(studio.layout)
    ]  # fmt: skip
