"""What the panel of jobs on the Generate tab shows."""

from __future__ import annotations

from typing import NamedTuple

from studio.app.studio import Studio
from studio.history.favorites import read_stars
from webui.components.job_card import SPEECH_TASKS, filter_active_jobs, job_panel_html
from webui.generate.projects import find_opened_project
from webui.generate.voice_recorder import ORIGIN

TASKS = (*SPEECH_TASKS, "keep_random", "keep_recording")
"""The tasks of this tab, which its Stop button stops."""


class JobPanelState(NamedTuple):
    """State of the job panel, the id of the last finished job, and whether one can be stopped."""

    html: str
    last_done: str
    can_stop: bool


def get_job_panel_state(studio: Studio, opened: str | None = "") -> JobPanelState:
    """Return the state of the panel.  opened: ref of the opened project, or ""."""
    jobs = studio.jobs(limit=50)
    layout = studio.layout
    return JobPanelState(
        html=job_panel_html(
            jobs, layout, read_stars(layout.stars), find_opened_project(layout, opened or "")
        ),
        last_done=next((job.id for job in jobs if job.state == "done"), ""),
        can_stop=bool(filter_active_jobs(jobs, TASKS, ORIGIN)),
    )
