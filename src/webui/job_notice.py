"""A notice at the top of the page about job lists that could not be read, and a button."""

from __future__ import annotations

import gradio as gr
from markupsafe import Markup

from core.errors import AppError
from core.formatting import format_count
from studio.app.studio import Studio
from webui.components.live_panel import EVENT_OPTIONS, Updates
from webui.components.messages import error_html, note_html


class JobNotice:
    """Tells of job lists of a newer version, or damaged ones, and offers to take over their jobs.

    A list without a readable job is told of only until the studio is started again.
    """

    def __init__(self, studio: Studio, blocks: gr.Blocks) -> None:
        self.studio = studio
        self.notice = gr.HTML("", visible=False, elem_id="job-notice")
        self.restore = gr.Button(
            "Take over their jobs", size="md", visible=False, elem_id="job-notice-restore"
        )
        outputs = [self.notice, self.restore]
        blocks.load(self.show, None, outputs, **EVENT_OPTIONS)
        self.restore.click(self.take_over, None, outputs, **EVENT_OPTIONS)

    def show(self) -> Updates:
        """Return what is to be told now."""
        try:
            unreadable = self.studio.unreadable_job_store
            found = [
                aside
                for aside in self.studio.list_set_aside_jobs()
                if aside.jobs or aside.path == unreadable
            ]
        except AppError as error:
            return self._update(error_html(error), False)
        html = Markup("").join(error_html(f"Job list: {aside.message}") for aside in found)
        return self._update(html, any(aside.jobs for aside in found))

    def take_over(self) -> Updates:
        """Add the jobs to the list; those that waited run."""
        try:
            restored = self.studio.restore_jobs()
        except AppError as error:
            return self._update(error_html(error), True)
        return self._update(note_html(f"{format_count(restored, 'job')} taken over."), False)

    def _update(self, html: Markup, can_restore: bool) -> Updates:
        return {
            self.notice: gr.update(value=html, visible=bool(html)),
            self.restore: gr.update(visible=can_restore),
        }
