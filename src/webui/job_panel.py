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

from jobs.job import Job
from studio.errors import StudioError
from studio.history_stars import read_stars
from studio.layout import Layout
from studio.studio import Studio
from webui.job_cards import SPEAKING, Looks, card, progress_told, title_of
from webui.messages import refusal
from webui.page import QUIET
from webui.painted import Painted, draw_painted

TICK_S = 1.0
SHOWN = 4  # ended jobs; the tab History has them all
TITLE = "Testudo"
HINT = (
    '<p class="hint">What you generate appears here: press <strong>Generate</strong>. '
    "Each line can be played as soon as it is spoken.</p>"
)


@dataclass(frozen=True, kw_only=True)
class JobPanel:
    """The part of the page that shows jobs.

    painted: the place;  seen: the print of what this browser was sent last;  done: the job that was
    done last;  timer: asks for more.
    """

    painted: Painted
    seen: gr.State
    done: gr.State
    timer: gr.Timer

    @property
    def shown(self) -> list[Component]:
        """The outputs for `news`."""
        return [self.seen, self.painted.source, self.done]


def draw_panel() -> JobPanel:
    """Draw the panel; `follow` lets it live."""
    painted = draw_painted("generate-jobs")
    timer = gr.Timer(TICK_S)
    return JobPanel(painted=painted, seen=gr.State(""), done=gr.State(""), timer=timer)


def follow(panel: JobPanel, studio: Studio, blocks: gr.Blocks) -> None:
    """Ask for the jobs at once and then again and again."""

    def look(seen: str) -> tuple[object, ...]:
        return news(studio, seen)

    for ask in (panel.timer.tick, blocks.load):
        ask(
            look,
            inputs=[panel.seen],
            outputs=panel.shown,
            **QUIET,
        )


def news(studio: Studio, seen: str) -> tuple[object, ...]:
    """Return what `JobPanel.shown` take, or nothing where all of it was seen."""
    done = ""
    try:
        jobs = studio.jobs(limit=50)
        done = next((job.id for job in jobs if job.state == "done"), "")
        html = panel_html(jobs, studio.layout, read_stars(studio.layout.stars))
    except StudioError as cause:
        html = refusal(cause)
    now = sha256(html.encode()).hexdigest()[:16]
    return (gr.skip(),) * 3 if now == seen else (now, html, done)


def panel_html(jobs: Sequence[Job], layout: Layout, stars: Collection[str] = ()) -> str:
    """Draw all of it: what runs, the queue behind it, and what ended last."""
    running = [job for job in jobs if job.state == "running"]
    waiting = sorted((job for job in jobs if job.state == "waiting"), key=lambda job: job.place)
    ended = [job for job in jobs if job.is_over and job.task in SPEAKING][:SHOWN]
    newest = next((job.id for job in ended if job.state == "done"), "")
    looks = Looks(layout=layout, newest=newest, stars=stars)
    parts = [f'<p class="told" role="status" aria-live="polite">{announced(running, ended)}</p>']
    if not (running or waiting or ended):
        parts.append(HINT)
    parts += [card(job, looks) for job in running]
    if waiting:
        cards = "".join(card(job, looks) for job in waiting)
        parts.append(
            f'<section data-key="queue" aria-label="Queue"><h2>Next ({len(waiting)})</h2>{cards}'
            "</section>"
        )
    parts += [card(job, looks) for job in ended]
    title = escape(page_title(running, waiting))
    return f'<div class="jobs" data-key="jobs" data-title="{title}">{"".join(parts)}</div>'


def announced(running: Sequence[Job], ended: Sequence[Job]) -> str:
    """Say in a sentence what a screen reader should hear; it changes with the state only."""
    if running:
        return f"Working on: {escape(title_of(running[0]))}"
    if ended:
        told = {"done": "Done", "failed": "Failed", "stopped": "Stopped"}[ended[0].state]
        return f"{told}: {escape(title_of(ended[0]))}"
    return ""


def page_title(running: Sequence[Job], waiting: Sequence[Job]) -> str:
    """Name the window by how far the work is, for whoever looks at another one meanwhile."""
    if not running:
        return f"{len(waiting)} waiting · {TITLE}" if waiting else TITLE
    share = running[0].progress.fraction
    told = f"{round(100 * share)} %" if share is not None else progress_told(running[0])
    return f"{told} · {TITLE}"
