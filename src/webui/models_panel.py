"""The weights on the page: what is there, and the buttons that fetch, check and delete them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape
from typing import Any

import gradio as gr

from jobs.job import Job
from studio.errors import StudioError
from studio.finetunes import resolve_bundle
from studio.models import (
    DownloadModel,
    VerifyModel,
    delete_model,
    deleted_models,
    empty_bin,
    restore_model,
)
from studio.studio import Studio
from studio.system import gigabytes
from studio.updates import SOURCE, CheckUpdates, can_check
from studio.weights import BundleSummary, list_bundles
from webui.job_cards import progress_told
from webui.messages import note, refusal
from webui.page import QUIET, Page

# Any: updates of Gradio's components.

TASKS = ("download_model", "verify_model", "check_updates")
TITLES = {
    "download_model": "Download of",
    "verify_model": "Check of",
    "check_updates": "Check for updates",
}
WATCH_S = 2.0
DAY_S = 86_400.0
PRECISIONS = [
    ("32 bits: as published, 4 GB", "fp32"),
    ("16 bits: half the size (fp16)", "fp16"),
    ("16 bits, wider range (bf16)", "bf16"),
]


def build_models(page: Page) -> None:
    """Draw the panel and wire it."""
    studio = page.studio
    gr.Markdown("## Models", elem_classes="setting-section")
    table = gr.HTML(models_table(list_bundles(studio.layout)), elem_id="settings-models")
    status = gr.HTML("", elem_id="settings-models-status")
    chosen, check, delete = _draw_chosen(studio)
    precision, download, stop = _draw_download()
    binned, restore, empty = _draw_bin(studio)
    with gr.Row():
        unload = gr.Button("Unload now", size="md", elem_id="settings-unload")
        news = gr.Button("Check for updates now", size="md", elem_id="settings-updates")
    shown = [status, table, chosen, binned]

    def wire(button: gr.Button, act: Callable[..., str], *inputs: Any) -> None:
        button.click(_answering(studio, act), list(inputs), shown, **QUIET)

    wire(check, lambda name: _submit(studio, VerifyModel(name=name), f"Check of {name}"), chosen)
    wire(delete, lambda name: _delete(studio, name), chosen)
    wire(download, lambda kind: _download(studio, kind), precision)
    wire(stop, lambda: _stop(studio))
    wire(restore, lambda id: f"{restore_model(studio.layout, id or '')} is back.", binned)
    wire(empty, lambda: f"{gigabytes(empty_bin(studio.layout))} are free again.")
    wire(unload, lambda: _unload(studio))
    wire(news, lambda: _ask_for_news(studio))
    _watch(page, status, shown)


Drawn = tuple[gr.Dropdown, gr.Button, gr.Button]


def _draw_chosen(studio: Studio) -> Drawn:
    with gr.Row():
        chosen = gr.Dropdown(
            choices=_names(studio),
            value=resolve_bundle(studio.layout, studio.settings.bundle, ""),
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


def _draw_download() -> Drawn:
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


def _draw_bin(studio: Studio) -> Drawn:
    with gr.Row():
        binned = gr.Dropdown(
            choices=_binned(studio),
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


def _watch(page: Page, status: gr.HTML, shown: list[Any]) -> None:
    """Show how far the jobs of this panel are, and the models that have come in."""
    studio = page.studio
    seen = gr.State("")

    def look(before: str) -> list[Any]:
        told = jobs_told(studio.jobs(limit=50))
        if told == before:
            return [gr.skip()] * (len(shown) + 1)
        return [told, told, *_fresh(studio)]

    def arrive() -> None:
        if studio.settings.check_updates and not _asked_today(studio.jobs(limit=50)):
            _ask_for_news(studio)

    gr.Timer(WATCH_S).tick(look, [seen], [seen, *shown], **QUIET)
    page.blocks.load(arrive, None, None, **QUIET)


def models_table(bundles: Sequence[BundleSummary]) -> str:
    """Draw the bundles as a table that reads well on a telephone too."""
    if not bundles:
        return '<p class="hint">There are no weights yet. Download the published ones below.</p>'
    rows = "".join(
        f"<tr><th scope='row'>{escape(bundle.name)}</th>"
        f"<td>{gigabytes(bundle.size)}</td><td>{escape(state_told(bundle))}</td>"
        f"<td class='quiet about'>{escape(bundle.about)}</td></tr>"
        for bundle in bundles
    )
    return (
        "<div class='table' tabindex='0' role='region' aria-label='Models'><table><thead><tr>"
        "<th scope='col'>Model</th><th scope='col'>Size</th><th scope='col'>State</th>"
        f"<th scope='col' class='about'>About</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def state_told(bundle: BundleSummary) -> str:
    """Say whether a bundle speaks, and if not, why."""
    if bundle.problem:
        return f"Cannot be used: {bundle.problem}"
    if bundle.missing:
        return f"Cannot speak yet: lacks {', '.join(bundle.missing)}"
    return f"Ready ({len(bundle.networks)} networks)"


def jobs_told(jobs: Sequence[Job]) -> str:
    """Tell of the newest job of each kind: how far it is, or what came of it."""
    newest: dict[str, Job] = {}
    for job in jobs:
        if job.task in TASKS:
            newest.setdefault(job.task, job)
    return "".join(job_told(job) for job in newest.values())


def job_told(job: Job) -> str:
    """Tell of one job in a line."""
    name = escape(f"{TITLES[job.task]} {job.request.get('name', '')}".strip())
    if job.state == "waiting":
        return f'<p class="note" role="status">{name}: waiting.</p>'
    if job.state == "running":
        return f'<p class="note" role="status">{name}: {escape(progress_told(job))}</p>'
    if job.failure is not None:
        return (
            f'<p class="refusal" role="alert"><strong>{name}:</strong> '
            f"{escape(job.failure.message)}</p>"
        )
    if job.state == "stopped":
        return f'<p class="note" role="status">{name}: stopped. What has arrived is kept.</p>'
    return f'<p class="note" role="status">{name}: {escape(result_told(job))}</p>'


def result_told(job: Job) -> str:
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


def _answering(studio: Studio, act: Callable[..., str]) -> Callable[..., list[Any]]:
    def press(*given: Any) -> list[Any]:
        try:
            message = note(act(*given))
        except StudioError as cause:
            message = refusal(cause)
        return [message, *_fresh(studio)]

    return press


def _fresh(studio: Studio) -> list[Any]:
    table = models_table(list_bundles(studio.layout))
    return [table, gr.update(choices=_names(studio)), gr.update(choices=_binned(studio))]


def _submit(studio: Studio, request: Any, title: str) -> str:
    studio.submit(request, title=title)
    return f"{title}: waiting."


def _download(studio: Studio, precision: str) -> str:
    request = DownloadModel(precision=precision, offline=studio.settings.offline)
    return _submit(studio, request, "Download of tortoise")


def _stop(studio: Studio) -> str:
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
        raise StudioError("A job works with the models. Stop it on the tab Generate, or wait.")
    return "The models' memory is free. The next clip loads them again."


def _ask_for_news(studio: Studio) -> str:
    if not can_check(SOURCE):
        raise StudioError("Testudo was not fetched with git here, so there is nobody to ask.")
    request = CheckUpdates(root=str(SOURCE), offline=studio.settings.offline)
    return _submit(studio, request, "Check for updates")


def _asked_today(jobs: Sequence[Job]) -> bool:
    now = datetime.now().timestamp()
    return any(job.task == "check_updates" and now - job.created < DAY_S for job in jobs)


def _names(studio: Studio) -> list[str]:
    return [bundle.name for bundle in list_bundles(studio.layout)]


def _binned(studio: Studio) -> list[tuple[str, str]]:
    return [
        (f"{one.name}, {gigabytes(one.size)}, {datetime.fromtimestamp(one.when):%d %B %H:%M}",
         one.id)
        for one in deleted_models(studio.layout)
    ]  # fmt: skip
