"""What runs, what waits and what was just spoken: the same for every browser that looks.

The state is asked for by a timer, and painted without stopping a player.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape

import gradio as gr
from gradio.components import Component

from core.errors import AppError
from core.paths import ProjectPaths
from jobs.models import Job
from studio.app.studio import Studio
from studio.history.favorites import read_stars
from webui.components.job_card import (
    SPEECH_TASKS,
    JobCardContext,
    format_job_title,
    format_progress,
    job_card_html,
)
from webui.components.live_html import EVENT_OPTIONS, LiveHtml, create_live_html
from webui.components.messages import error_html

POLL_INTERVAL_S = 1.0
MAX_ENDED_JOBS = 4  # ended jobs; the tab History has them all
TITLE = "Testudo"
EMPTY_HTML = (
    '<p class="hint">What you generate appears here: press <strong>Generate</strong>. '
    "Each line can be played as soon as it is spoken.</p>"
)


@dataclass(frozen=True, kw_only=True)
class JobPanel:
    """The part of the page that shows jobs.

    painted: the place;  seen: the print of what this browser was sent last;  done: the job that was
    done last;  timer: asks for more.
    """

    live_html: LiveHtml
    session_state: gr.State
    last_done: gr.State
    timer: gr.Timer

    @property
    def outputs(self) -> list[Component]:
        """The outputs for `get_job_updates`."""
        return [self.session_state, self.live_html.source, self.last_done]


def build_job_panel() -> JobPanel:
    """Draw the panel; `bind_job_updates` lets it live."""
    painted = create_live_html("generate-jobs")
    timer = gr.Timer(POLL_INTERVAL_S)
    return JobPanel(
        live_html=painted, session_state=gr.State(""), last_done=gr.State(""), timer=timer
    )


def bind_job_updates(panel: JobPanel, studio: Studio, blocks: gr.Blocks) -> None:
    """Ask for the jobs at once and then again and again."""

    def look(seen: str) -> tuple[object, ...]:
        return get_job_updates(studio, seen)

    for ask in (panel.timer.tick, blocks.load):
        ask(
            look,
            inputs=[panel.session_state],
            outputs=panel.outputs,
            **EVENT_OPTIONS,
        )


def get_job_updates(studio: Studio, seen: str) -> tuple[object, ...]:
    """Return what `JobPanel.shown` take, or nothing where all of it was seen."""
    done = ""
    try:
        jobs = studio.jobs(limit=50)
        done = next((job.id for job in jobs if job.state == "done"), "")
        html = job_panel_html(jobs, studio.layout, read_stars(studio.layout.stars))
    except AppError as cause:
        html = error_html(cause)
    now = sha256(html.encode()).hexdigest()[:16]
    return (gr.skip(),) * 3 if now == seen else (now, html, done)


def job_panel_html(jobs: Sequence[Job], layout: ProjectPaths, stars: Collection[str] = ()) -> str:
    """Draw all of it: what runs, the queue behind it, and what ended last."""
    running = [job for job in jobs if job.state == "running"]
    waiting = sorted((job for job in jobs if job.state == "waiting"), key=lambda job: job.place)
    ended = [job for job in jobs if job.is_over and job.task in SPEECH_TASKS][:MAX_ENDED_JOBS]
    newest = next((job.id for job in ended if job.state == "done"), "")
    looks = JobCardContext(layout=layout, newest=newest, stars=stars)
    parts = [
        f'<p class="told" role="status" aria-live="polite">'
        f"{format_job_announcement(running, ended)}</p>"
    ]
    if not (running or waiting or ended):
        parts.append(EMPTY_HTML)
    parts += [job_card_html(job, looks) for job in running]
    if waiting:
        cards = "".join(job_card_html(job, looks) for job in waiting)
        parts.append(
            f'<section data-key="queue" aria-label="Queue"><h2>Next ({len(waiting)})</h2>{cards}'
            "</section>"
        )
    parts += [job_card_html(job, looks) for job in ended]
    title = escape(format_page_title(running, waiting))
    return f'<div class="jobs" data-key="jobs" data-title="{title}">{"".join(parts)}</div>'


def format_job_announcement(running: Sequence[Job], ended: Sequence[Job]) -> str:
    """Say in a sentence what a screen reader should hear; it changes with the state only."""
    if running:
        return f"Working on: {escape(format_job_title(running[0]))}"
    if ended:
        told = {"done": "Done", "failed": "Failed", "stopped": "Stopped"}[ended[0].state]
        return f"{told}: {escape(format_job_title(ended[0]))}"
    return ""


def format_page_title(running: Sequence[Job], waiting: Sequence[Job]) -> str:
    """Name the window by how far the work is, for whoever looks at another one meanwhile."""
    if not running:
        return f"{len(waiting)} waiting · {TITLE}" if waiting else TITLE
    share = running[0].progress.fraction
    told = f"{round(100 * share)} %" if share is not None else format_progress(running[0])
    return f"{told} · {TITLE}"
