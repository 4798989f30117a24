"""The job queue as a drawer over every tab: order, pause, cancel, and ways to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import gradio as gr

from core.errors import AppError
from jobs.models import Job
from studio.app.studio import Studio
from webui.components.changes import ChangeSignal
from webui.components.job_card import format_job_title
from webui.components.live_panel import LivePanel, PanelAction, Updates, create_live_html
from webui.components.templates import render

POLL_INTERVAL_S = 1.0
MAX_JOBS = 200


class QueueRow(NamedTuple):
    """A job of the queue.  place: from 1 among those that wait, 0 for the running one."""

    id: str
    title: str
    place: int
    stops_soon: bool


class QueueState(NamedTuple):
    """What the drawer shows."""

    rows: tuple[QueueRow, ...]
    is_paused: bool


def build_queue_drawer(studio: Studio, changes: ChangeSignal) -> None:
    """Create the drawer."""
    drawer = create_live_html("queue-drawer")
    message = gr.HTML("", elem_id="queue-message")
    LivePanel(
        drawer,
        lambda: read_queue(studio),
        queue_html,
        {
            name: lambda action, run=run: _run(studio, action, run)
            for name, run in QUEUE_ACTIONS.items()
        },
        message=message,
    ).follow(changes, POLL_INTERVAL_S, only_visible=False)


def read_queue(studio: Studio) -> QueueState:
    """Return the running job and those that wait, in their order."""
    jobs = [job for job in studio.jobs(limit=MAX_JOBS) if not job.is_over]
    ordered = sorted(jobs, key=lambda job: (job.state != "running", job.place))
    return QueueState(
        rows=tuple(
            QueueRow(
                id=job.id,
                title=format_job_title(job),
                place=job.place if job.state == "waiting" else 0,
                stops_soon=job.progress.message.startswith("Stopping"),
            )
            for job in ordered
        ),
        is_paused=studio.is_queue_paused,
    )


def queue_html(state: QueueState) -> str:
    """Render the drawer and the button that opens it."""
    waiting = sum(row.place > 0 for row in state.rows)
    return render("queue_drawer.html", rows=state.rows, waiting=waiting, is_paused=state.is_paused)


def sort_by_duration(studio: Studio, jobs: list[Job]) -> list[Job]:
    """Return waiting jobs, the one with the shortest text first."""
    return sorted(jobs, key=lambda job: len(str(job.request.get("text", ""))))


def _run(
    studio: Studio, action: PanelAction, run: Callable[[Studio, PanelAction], None]
) -> Updates:
    run(studio, action)
    return {}


def _move(studio: Studio, action: PanelAction) -> None:
    place = action.text("value")
    if not (place.isascii() and place.isdecimal() and len(place) < 6):
        raise AppError("Drop the job on another one that waits.")
    studio.move_job(action.text("job"), int(place))


def _put_short_jobs_first(studio: Studio, action: PanelAction) -> None:
    waiting = [job for job in studio.jobs(limit=MAX_JOBS) if job.state == "waiting"]
    in_order = sorted(waiting, key=lambda job: job.place)
    for place, job in enumerate(sort_by_duration(studio, in_order), start=1):
        studio.move_job(job.id, place)


def _cancel_all(studio: Studio, action: PanelAction) -> None:
    for job in studio.jobs(limit=MAX_JOBS):
        if job.state == "waiting":
            studio.cancel(job.id)


def _cancel(studio: Studio, action: PanelAction) -> None:
    studio.cancel(action.text("job"))


def _stop_after_line(studio: Studio, action: PanelAction) -> None:
    studio.cancel_after_take(action.text("job"))


QUEUE_ACTIONS: Mapping[str, Callable[[Studio, PanelAction], None]] = MappingProxyType(
    {
        "cancel": _cancel,
        "stop-after": _stop_after_line,
        "move": _move,
        "short-first": _put_short_jobs_first,
        "pause": lambda studio, action: studio.set_queue_paused(True),
        "unpause": lambda studio, action: studio.set_queue_paused(False),
        "cancel-waiting": _cancel_all,
    }
)
