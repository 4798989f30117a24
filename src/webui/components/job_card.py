"""A job as HTML: its state, progress, failure or result, and buttons for it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from types import MappingProxyType
from typing import Any

from markupsafe import Markup

from core.error_classifier import get_error_info
from core.formatting import format_clock, format_duration, format_stage
from core.paths import ProjectPaths
from jobs.models import Job
from studio.app.studio import Studio
from studio.synthesis.output_paths import get_clip_name
from webui.components.audio_player import ClipPlayer, clips_html, format_score, voice_sample_html
from webui.components.file_links import format_result_name
from webui.components.line_takes import line_takes_html, partial_lines_html
from webui.components.templates import render

# Any: requests, takes and results are plain values.

JOB_STATE_LABELS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {  # label, and a sign beside the colour
        "waiting": ("Waiting", "…"),
        "running": ("Running", "▸"),
        "done": ("Done", "✓"),
        "failed": ("Failed", "✕"),
        "stopped": ("Stopped", "■"),
    }
)
SPEECH_TASKS = ("speak", "redo", "rejoin")
MAX_TITLE_LENGTH = 70
MAX_ENDED_JOBS = 4
PAGE_TITLE = "Testudo"


def job_panel_html(
    jobs: Sequence[Job], layout: ProjectPaths, stars: Collection[str] = ()
) -> Markup:
    """Render the jobs: what runs, the queue behind it, and the speech jobs that ended last."""
    running = [job for job in jobs if job.state == "running"]
    waiting = sorted((job for job in jobs if job.state == "waiting"), key=lambda job: job.place)
    ended = [job for job in jobs if job.is_over and job.task in SPEECH_TASKS][:MAX_ENDED_JOBS]
    newest = next((job.id for job in ended if job.state == "done"), "")

    def render_cards(group: Iterable[Job]) -> list[Markup]:
        return [job_card_html(job, layout, stars, is_newest=job.id == newest) for job in group]

    return render(
        "jobs.html",
        page_title=format_page_title(running, waiting),
        announcement=_format_announcement(running, ended),
        running=render_cards(running),
        waiting=render_cards(waiting),
        ended=render_cards(ended),
    )


def job_card_html(
    job: Job, layout: ProjectPaths, stars: Collection[str] = (), *, is_newest: bool = False
) -> Markup:
    """Render one job.  stars: names of starred clips;  is_newest: the number keys play it."""
    is_spoken = job.state == "done" and job.result is not None and job.task in SPEECH_TASKS
    result = job.result if is_spoken and job.result is not None else {}
    details: dict[str, Any] = {"lines": "" if result else partial_lines_html(job, layout)}
    if result:
        path = Path(str(result["path"]))
        details = {
            "heard": " ".join(str(result.get("heard") or result.get("text", "")).split()),
            "candidates": clips_html(_build_candidate_players(job, result["candidates"]), layout),
            "facts": _format_facts(job, result),
            "starred": get_clip_name(layout, path) in stars,
            "lines": line_takes_html(job, path, layout),
            # a regenerated line has the settings of its clip
            "settings": format_settings_line(job.request) if job.task == "speak" else "",
            "voice_sample": voice_sample_html(
                layout, str(result.get("voice", "")), f"{job.id}-voice"
            ),
        }
    return render(
        "job_card.html",
        job=job,
        title=format_job_title(job),
        badge=JOB_STATE_LABELS[job.state],
        is_newest=is_newest,
        progress=progress_bar_html(job) if job.state == "running" else "",
        failure=failure_html(job) if job.failure is not None else "",
        result=result,
        **details,
    )


def stop_jobs(studio: Studio, tasks: Collection[str], *, only_running: bool = False) -> list[Job]:
    """Stop the jobs of some tasks that run, and those that wait; returns them."""
    states = ("running",) if only_running else ("running", "waiting")
    jobs = [job for job in studio.jobs(limit=50) if job.task in tasks and job.state in states]
    for job in jobs:
        studio.cancel(job.id)
    return jobs


def format_job_title(job: Job) -> str:
    """Name a job in a few words."""
    title = " ".join((job.title or str(job.request.get("text", "")) or job.task).split())
    return shorten(title, MAX_TITLE_LENGTH, placeholder=" …")


def progress_bar_html(job: Job) -> Markup:
    """Render how far a job is, as a bar and as text."""
    progress = job.progress
    share = progress.fraction
    if share is None and progress.total:
        share = progress.done / progress.total
    percent = round(100 * share) if share is not None else None
    return render("progress.html", percent=percent, text=format_progress(job))


def format_progress(job: Job, now: float | None = None) -> str:
    """Format the stage, the count, the time left and the time so far."""
    progress = job.progress
    words = [format_stage(progress.stage)]
    if progress.total:
        words.append(f"{progress.done:,} of {progress.total:,}")
    if progress.eta_s is not None:
        words.append(f"{format_duration(progress.eta_s)} left")
    if job.started is not None:
        words.append(f"{format_clock((now or time.time()) - job.started)} so far")
    if progress.message:
        words.append(progress.message)
    return " · ".join(words)


def failure_html(job: Job) -> Markup:
    """Render why a job failed and what to do, with the details to copy."""
    assert job.failure is not None
    error, message = get_error_info(job.failure.cause), job.failure.message
    return render(
        "failure.html",
        error=error,
        message="" if message.startswith(error.title) else message,
        report=f"{message}\n\n{job.failure.details}".strip(),
    )


def _build_candidate_players(job: Job, takes: Sequence[Mapping[str, Any]]) -> list[ClipPlayer]:
    key = '<kbd title="Press {0} to play">{0}</kbd>'
    return [
        ClipPlayer(
            key=f"{job.id}-c{number}",
            label=f"Take {number}{' (best)' if len(takes) > 1 and number == 1 else ''}",
            path=str(take["path"]),
            note=format_score(take.get("score")),
            badge_html=key.format(number) if number < 10 else "",
        )
        for number, take in enumerate(takes, start=1)
    ]


def _format_facts(job: Job, result: Mapping[str, Any]) -> str:
    took = (job.ended or job.created) - (job.started or job.created)
    words = [
        f"{float(result.get('seconds', 0)):.1f} s",
        f"generated in {format_clock(took)}",
        f"voice {result.get('voice', '')}",
        f"seed {result['seed']}",
        format_result_name(str(result["path"])),
    ]
    return " · ".join(words)


def format_settings_line(request: Mapping[str, Any]) -> str:
    """Format the settings of a request in one line."""
    named = {
        "voice": request.get("voice"),
        "model": request.get("bundle"),
        **request.get("options", {}),
        **{name: value for name, value in request.get("delivery", {}).items() if value != ""},
    }
    return ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)


def _format_announcement(running: Sequence[Job], ended: Sequence[Job]) -> str:
    """Return what a screen reader announces; it changes only with the state."""
    job = next(iter([*running, *ended]), None)
    return f"{JOB_STATE_LABELS[job.state][0]}: {format_job_title(job)}" if job else ""


def format_page_title(running: Sequence[Job], waiting: Sequence[Job]) -> str:
    """Return the title of the window, with the progress of the running job."""
    if not running:
        return f"{len(waiting)} waiting · {PAGE_TITLE}" if waiting else PAGE_TITLE
    share = running[0].progress.fraction
    progress = f"{round(100 * share)} %" if share is not None else format_progress(running[0])
    return f"{progress} · {PAGE_TITLE}"
