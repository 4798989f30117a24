"""Jobs as HTML: their state, progress, failure or result, and buttons for them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from textwrap import shorten
from types import MappingProxyType
from typing import Any

from markupsafe import Markup

from core.error_classifier import get_error_info
from core.errors import AppError
from core.formatting import format_clock, format_duration, format_stage
from core.paths import ProjectPaths
from jobs.models import Job
from studio.app.studio import Studio
from studio.synthesis.line_takes import LineTakesFile, read_line_takes
from studio.synthesis.output_paths import OutputPath, get_clip_name
from studio.voices.catalog import find_voice, list_voices, parse_blend
from webui.components.file_links import get_file_url, get_waveform_url, get_words_url
from webui.components.line_editor import (
    EDIT_TASKS,
    build_editor_lines,
    filter_edit_jobs,
    list_grid_settings,
)
from webui.components.templates import render
from webui.languages.catalogue import translate

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
QUIET_TASKS = ("locate_words",)  # listed in the queue, without a card
SPEECH_TASKS = ("speak", *EDIT_TASKS)
MAX_TITLE_LENGTH = 70
MAX_ENDED_JOBS = 4
MAX_LINES = 200
PAGE_TITLE = "Testudo"


def job_panel_html(
    jobs: Sequence[Job],
    layout: ProjectPaths,
    stars: Collection[str] = (),
    project: Job | None = None,
) -> Markup:
    """Render the jobs: what runs, the queue behind it, and the speech jobs that ended last.

    stars: the names of starred clips;  project: an opened one, as the job of its clip.
    """
    jobs = [job for job in jobs if job.task not in QUIET_TASKS]
    running = [job for job in jobs if job.state == "running"]
    waiting = sorted((job for job in jobs if job.state == "waiting"), key=lambda job: job.place)
    active, queued = running, waiting
    ended = merge_results([job for job in jobs if job.is_over and job.task in SPEECH_TASKS])
    ended = _put_project_first(project, ended)[:MAX_ENDED_JOBS]
    edits = {job.id: _find_edits(job, [*running, *waiting], layout) for job in ended}
    shown_below = {edit.id for found in edits.values() for edit in found}
    running = [job for job in running if job.id not in shown_below]
    waiting = [job for job in waiting if job.id not in shown_below]
    newest = next((job.id for job in ended if job.state == "done"), "")
    cards = {
        job.id: job_card_html(
            job, layout, stars, is_newest=job.id == newest, edits=edits.get(job.id, ())
        )
        for job in (*running, *waiting, *ended)
    }
    return render(
        "jobs.html",
        page_title=format_page_title(active, queued),
        announcement=_format_announcement(active, ended),
        running=[cards[job.id] for job in running],
        waiting=[cards[job.id] for job in waiting],
        ended=[cards[job.id] for job in ended],
    )


def merge_results(jobs: Sequence[Job]) -> list[Job]:
    """Return one job for each clip: the one that spoke it, with the result of its last edit.

    jobs: over, newest first.
    """
    merged: dict[str, Job] = {}
    for job in jobs:
        path = str(job.result["path"]) if job.state == "done" and job.result else job.id
        newest = merged.get(path)
        if newest is None:
            merged[path] = job
        elif job.task == "speak":
            merged[path] = replace(job, result=newest.result)
    return list(merged.values())


def _put_project_first(project: Job | None, ended: Sequence[Job]) -> list[Job]:
    if project is None or project.result is None:
        return list(ended)
    path = project.result["path"]
    return [project, *(job for job in ended if not job.result or job.result["path"] != path)]


def _find_edits(job: Job, active: Sequence[Job], layout: ProjectPaths) -> list[Job]:
    if job.state != "done" or job.result is None:
        return []
    return filter_edit_jobs(active, get_clip_name(layout, Path(str(job.result["path"]))))


def job_card_html(
    job: Job,
    layout: ProjectPaths,
    stars: Collection[str] = (),
    *,
    is_newest: bool = False,
    edits: Sequence[Job] = (),
) -> Markup:
    """Render one job.  is_newest: keys play its takes;  edits: of its lines, not over."""
    details: dict[str, Any] = {"result": None, "lines": None}
    if job.state == "done" and job.result is not None and job.task in SPEECH_TASKS:
        path = Path(str(job.result["path"]))
        destination = OutputPath(clip_path=path)
        lines = _read_lines(destination)
        details = {
            "result": job.result,
            "heard": " ".join(str(job.result.get("heard") or job.result.get("text", "")).split()),
            "clip_name": "/".join(path.parts[-2:]),
            "took": (job.ended or job.created) - (job.started or job.created),
            "is_starred": get_clip_name(layout, path) in stars,
            "lines": lines,
            "take_url": lambda file: get_file_url(layout, str(destination.lines_folder / file)),
            "rows": build_editor_lines(lines, edits, MAX_LINES) if lines else (),
            "voices": [voice.name for voice in list_voices(layout)] if lines else (),
            "grid_settings": list_grid_settings(
                lines.request.engine if lines else str(job.request.get("engine", ""))
            ),
            "edits": [(edit, progress_bar_html(edit)) for edit in edits],
            "waveform": get_waveform_url(layout, path),
            "words_url": get_words_url(layout, path),
            # a regenerated line has the settings of its clip
            "settings": format_settings_line(job.request) if job.task == "speak" else "",
            "sample": find_voice_sample(layout, str(job.result.get("voice", ""))),
        }
    return render(
        "job_card.html",
        job=job,
        title=format_job_title(job),
        badge=JOB_STATE_LABELS[job.state],
        is_newest=is_newest,
        is_project=not job.created,
        progress=progress_bar_html(job) if job.state == "running" else "",
        failure=failure_html(job) if job.failure is not None else "",
        partial_takes=[take for take in job.takes if take.get("path")][-MAX_LINES:],
        max_lines=MAX_LINES,
        url=partial(get_file_url, layout),
        **details,
    )


def _read_lines(destination: OutputPath) -> LineTakesFile | None:
    """Return the lines of a clip as they are now; None for one line with one take."""
    try:
        lines = read_line_takes(destination)
    except AppError:
        return None  # regenerating a line reports lines that cannot be read
    if lines is None or (len(lines.lines) < 2 and len(lines.lines[0].takes) < 2):
        return None
    return lines


def find_voice_sample(layout: ProjectPaths, voice: str) -> tuple[str, Path] | None:
    """Return the name of a voice and a clip of it to compare with, if there is one."""
    try:
        parts = [part for part in parse_blend(voice) if not part.is_random]
        clips = find_voice(layout, parts[0].voice).clips if parts else ()
    except AppError:
        return None
    return (parts[0].voice, clips[0]) if clips else None


def is_submitted_by(job: Job, origin: str) -> bool:
    """Whether a tab submitted the job, or may have: jobs of earlier versions name no origin."""
    return job.origin in ("", origin)


def filter_active_jobs(jobs: Iterable[Job], tasks: Collection[str], origin: str) -> list[Job]:
    """Return the running and waiting jobs of some tasks that a tab submitted."""
    return [
        job
        for job in jobs
        if job.task in tasks
        and job.state in ("running", "waiting")
        and is_submitted_by(job, origin)
    ]


def stop_jobs(
    studio: Studio, tasks: Collection[str], origin: str, *, only_running: bool = False
) -> list[Job]:
    """Stop the jobs of some tasks that a tab submitted; returns them.

    origin: of the tab;  only_running: the running one, or the first of those that wait.
    """
    jobs = filter_active_jobs(studio.jobs(limit=50), tasks, origin)
    if only_running:
        jobs = [job for job in jobs if job.state == "running"] or jobs[-1:]
    for job in jobs:
        studio.cancel(job.id)
    return jobs


def format_job_title(job: Job) -> str:
    """Return the title of a job."""
    named = translate(job.title) or str(job.request.get("text", "")) or job.task
    title = " ".join(named.split())
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
    return translate(" · ".join(words))


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
    if job is None:
        return ""
    return f"{translate(JOB_STATE_LABELS[job.state][0])}: {format_job_title(job)}"


def format_page_title(running: Sequence[Job], waiting: Sequence[Job]) -> str:
    """Return the title of the window, with the progress of the running job."""
    if not running:
        text = translate(f"{len(waiting)} waiting")
        return f"{text} · {PAGE_TITLE}" if waiting else PAGE_TITLE
    share = running[0].progress.fraction
    progress = f"{round(100 * share)} %" if share is not None else format_progress(running[0])
    return f"{progress} · {PAGE_TITLE}"
