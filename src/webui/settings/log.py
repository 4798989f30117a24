"""The log on the page, with a filter by level, and the report for a bug."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import gradio as gr
from markupsafe import Markup

from core.files import unique_path
from core.formatting import format_bytes
from core.paths import get_project_paths
from studio.app.studio import Studio
from studio.diagnostics.checks import run_checks
from studio.diagnostics.log import LEVELS, read_log
from studio.diagnostics.support_report import write_support_report
from studio.diagnostics.system_info import collect_system_info
from webui.components.live_panel import EVENT_OPTIONS
from webui.components.messages import show_errors
from webui.components.page_context import PageContext
from webui.components.templates import render
from webui.settings.system import EVENT_OPTIONS as SLOW_EVENT_OPTIONS
from webui.settings.system import SystemInfoCache

# Any: events of Gradio's components.

ABOUT = """\
## Log

What the server and its jobs report. The report for a bug is a zip file with the checks of the
system, the settings and this log, without texts, voices, paths and keys."""
LEVEL_CHOICES = tuple(zip(("Everything", "Warnings and errors", "Errors"), LEVELS, strict=True))
MAX_REPORTED_JOBS = 200


def build_log_panel(page: PageContext, cache: SystemInfoCache) -> None:
    """Create the panel. The log is read when the tab is opened and when the level is changed."""
    studio = page.studio
    gr.Markdown(ABOUT, elem_classes="setting-section")
    level = gr.Radio(
        choices=list(LEVEL_CHOICES), value=LEVELS[0], label="Level", elem_id="settings-log-level"
    )
    view = gr.HTML("", elem_id="settings-log")
    with gr.Row():
        refresh = gr.Button("Refresh", size="md", elem_id="settings-log-refresh")
        create = gr.Button("Create a report", size="md", elem_id="settings-report")
    message = gr.HTML("", elem_id="settings-log-message")

    def show(chosen: str | None) -> Markup:
        return log_html(studio, chosen or LEVELS[0])

    def run_create() -> dict[Any, Any]:
        return {message: create_report_html(studio, cache)}

    tab: Any = page.tab
    for trigger in (tab.select, level.change, refresh.click):
        trigger(show, [level], [view], **EVENT_OPTIONS)
    # collecting the facts of the system takes seconds, once
    create.click(show_errors(message, run_create), None, [message], **SLOW_EVENT_OPTIONS)


def log_html(studio: Studio, level: str) -> Markup:
    """Render the entries of at least this level, the newest first."""
    return render("settings/log.html", entries=read_log(studio.layout, level)[::-1])


def create_report_html(studio: Studio, cache: SystemInfoCache) -> Markup:
    """Write a report into the exports, and return a note with its address."""
    layout = studio.layout
    system = cache.info or collect_system_info(layout)
    findings = run_checks(get_project_paths(layout.root), system, port=False)
    layout.exports.mkdir(parents=True, exist_ok=True)
    path = unique_path(layout.exports / f"testudo-report-{datetime.now():%Y%m%d-%H%M%S}.zip")
    jobs = studio.jobs(limit=MAX_REPORTED_JOBS)
    write_support_report(layout, path, system, findings, jobs, studio.settings)
    return render("settings/report.html", name=path.name, size=format_bytes(path.stat().st_size))
