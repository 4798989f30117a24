"""The job that prepares a data set, as a piece of the page: how far it is, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any

from core.formatting import format_clock, format_count
from jobs.models import Job
from webui.components.audio_player import action_button
from webui.components.job_card import (
    JOB_STATE_LABELS,
    failure_html,
    format_job_title,
    progress_bar_html,
)

# Any: results of jobs, in their plain form.

IMPORT_VOICE_TASK, PREPARE_TASK = "bring_voice", "prepare"
MIN_FRACTION_FOR_ETA = 0.05  # of the work; less says nothing of the rest
EMPTY_HTML = (
    '<p class="hint" data-key="hint">Choose a voice and press <strong>Prepare</strong>. How far '
    "it is stands here, also after a reload; it goes on when you close the page.</p>"
)


def get_active_jobs(jobs: Sequence[Job]) -> list[Job]:
    """Return what is not over of what this part asked for; jobs: newest first."""
    return [
        job for job in jobs if job.task in (PREPARE_TASK, IMPORT_VOICE_TASK) and not job.is_over
    ]


def prepare_jobs_html(jobs: Sequence[Job]) -> str:
    """Draw what runs and waits, in this order, else what ended last; jobs: newest first."""
    ours = [job for job in jobs if job.task in (PREPARE_TASK, IMPORT_VOICE_TASK)]
    shown = get_active_jobs(jobs)[::-1] or ours[:1]
    cards = "".join(_render_card(job) for job in shown) or EMPTY_HTML
    return f'<div class="jobs" data-key="jobs">{cards}</div>'


def _render_card(job: Job) -> str:
    told, sign = JOB_STATE_LABELS[job.state]
    title = escape(format_job_title(job))
    return (
        f'<article class="job is-{job.state}" data-key="{escape(job.id)}" '
        f'aria-label="{told}: {title}"><header><span class="state {job.state}">'
        f'<span aria-hidden="true">{sign}</span> {told}</span> <h3>{title}</h3></header>'
        f"{''.join(_render_body(job))}</article>"
    )


def _render_body(job: Job) -> Iterator[str]:
    if job.state == "waiting":
        place = f"Number {job.place} in the queue." if job.place else "In the queue."
        yield f'<p class="quiet">{place}</p>'
        yield _render_buttons(action_button("cancel", job.id, "Cancel"))
    elif job.state == "running":
        yield progress_bar_html(with_estimated_eta(job, time.time()))
        yield _render_buttons(action_button("cancel", job.id, "Stop", look="danger"))
    elif job.failure is not None:
        yield failure_html(job)
    yield from (f'<p class="warning">Note: {escape(word)}</p>' for word in job.warnings)
    if job.task != PREPARE_TASK:
        return
    if job.state in ("stopped", "failed"):
        yield (
            '<p class="quiet">The recordings that were done are kept; it goes on at the next.</p>'
        )
        yield _render_buttons(action_button("again", job.id, "Go on"))
    elif job.state == "done":
        yield f"<p>{escape(_format_result(job.result or {}))}</p>"


def with_estimated_eta(job: Job, now: float) -> Job:
    """Guess how long it still takes by what is done: no two machines hear equally fast."""
    progress, started = job.progress, job.started
    if progress.eta_s is not None or started is None or not progress.total:
        return job
    if progress.done < MIN_FRACTION_FOR_ETA * progress.total:
        return job
    left = (now - started) * (progress.total - progress.done) / progress.done
    return replace(job, progress=replace(progress, eta_s=left))


def _format_result(result: Mapping[str, Any]) -> str:
    kept, dropped = int(result.get("kept", 0)), int(result.get("dropped", 0))
    words = [f"Kept: {format_count(kept, 'clip')}, {format_clock(float(result.get('kept_s', 0)))}."]
    if dropped:
        words.append(f"Dropped: {format_count(dropped, 'clip')}; why stands below.")
    if result.get("failed"):
        words.append(f"{format_count(int(result['failed']), 'recording')} could not be used.")
    return " ".join([*words, str(result.get("split", ""))]).strip()


def _render_buttons(*buttons: str) -> str:
    return f'<div class="buttons">{"".join(buttons)}</div>'
