"""Backup and disk space on the page: one file for the whole studio, and a clean-up."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from core.errors import AppError
from core.files import unique_path
from core.formatting import format_bytes, format_count
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.app.studio import Studio
from studio.archives.backup import create_backup, restore_backup
from studio.archives.disk_usage import clean_folders, measure_disk_usage
from webui.components.messages import note_html, show_errors
from webui.components.page_context import PageContext
from webui.components.templates import render

# Any: events of Gradio's components.

EVENT_OPTIONS: dict[str, Any] = {"api_visibility": "private", "concurrency_id": "storage"}
ABOUT = """\
## Backup and space

A backup holds settings, voices, finetunes and generated clips. Restoring keeps every file that is
there already. A backup over 500 MB is restored on the command line."""


def build_storage_panel(page: PageContext) -> None:
    """Create the panel."""
    studio = page.studio
    gr.Markdown(ABOUT, elem_classes="setting-section")
    usage = gr.HTML("", elem_id="settings-usage")
    with gr.Row():
        create = gr.Button("Create a backup", elem_id="settings-backup")
        clean = gr.Button("Empty trash and exports", elem_id="settings-clean")
    archive = gr.File(
        label="Restore a backup", file_types=[".zip"], height=110, elem_id="settings-restore"
    )
    message = gr.HTML("", elem_id="settings-storage-message")

    def run_create() -> dict[Any, Any]:
        return {message: create_backup_html(studio)}

    def run_restore(path: str | None) -> dict[Any, Any]:
        if not path:
            return {message: ""}
        done = restore_backup(studio.layout, Path(path), ProgressReporter())
        studio.reload_settings()
        text = f"{format_count(done.restored, 'file')} restored; {done.kept:,} were there already."
        return {message: note_html(text), usage: usage_html(studio.layout)}

    def run_clean() -> dict[Any, Any]:
        freed = clean_folders(studio.layout)
        note = note_html(f"{format_bytes(freed)} freed.")
        return {message: note, usage: usage_html(studio.layout)}

    create.click(show_errors(message, run_create), None, [message], **EVENT_OPTIONS)
    clean.click(show_errors(message, run_clean), None, [message, usage], **EVENT_OPTIONS)
    archive.upload(show_errors(message, run_restore), [archive], [message, usage], **EVENT_OPTIONS)
    tab: Any = page.tab
    tab.select(lambda: usage_html(studio.layout), None, usage, **EVENT_OPTIONS)


def create_backup_html(studio: Studio) -> Markup:
    """Write a backup into the exports, and return a note with its address."""
    folder = studio.layout.exports
    folder.mkdir(parents=True, exist_ok=True)
    path = unique_path(folder / f"testudo-backup-{datetime.now():%Y%m%d-%H%M%S}.zip")
    count = create_backup(studio.layout, path, ProgressReporter())
    if count == 0:
        path.unlink(missing_ok=True)
        raise AppError("There is nothing to back up yet.")
    size = format_bytes(path.stat().st_size)
    return render("backup.html", name=path.name, count=count, size=size)


def usage_html(layout: ProjectPaths) -> Markup:
    """Render what takes space."""
    return render("disk_usage.html", rows=measure_disk_usage(layout))
