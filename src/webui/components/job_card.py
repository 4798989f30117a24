"""A job as a piece of the page: what it does, what it spoke, and what can be done with it.

Everything that came from a user or a file is escaped; buttons say in data-act what they want.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from textwrap import shorten
from types import MappingProxyType
from typing import Any

from core.error_classifier import get_error_info
from core.formatting import format_clock, format_duration, format_stage
from core.paths import ProjectPaths
from jobs.models import Job
from studio.synthesis.output_paths import get_clip_name
from webui.components.audio_player import (
    ClipPlayer,
    action_button,
    clips_html,
    copy_button,
    format_score,
    toggle_button,
    voice_sample_html,
)
from webui.components.file_links import format_result_name
from webui.components.line_takes import line_takes_html, partial_lines_html

# Any: requests, takes and results are plain values.

JOB_STATE_LABELS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {  # how it is told, and a sign beside the colour
        "waiting": ("Waiting", "…"),
        "running": ("Working", "▸"),
        "done": ("Done", "✓"),
        "failed": ("Failed", "✕"),
        "stopped": ("Stopped", "■"),
    }
)
SPEECH_TASKS = ("speak", "redo", "rejoin")
MAX_TITLE_LENGTH = 70


@dataclass(frozen=True, kw_only=True)
class JobCardContext:
    """What a card needs beside its job.

    newest: the job whose candidates the number keys play;  stars: the clips that have one.
    """

    layout: ProjectPaths
    newest: str = ""
    stars: Collection[str] = ()


def job_card_html(job: Job, looks: JobCardContext) -> str:
    """Draw one job."""
    told, sign = JOB_STATE_LABELS[job.state]
    title = escape(format_job_title(job))
    header = (
        f'<header><span class="state {job.state}"><span aria-hidden="true">{sign}</span> '
        f"{told}</span> <h3>{title}</h3></header>"
    )
    mark = " newest" if job.id == looks.newest else ""
    return (
        f'<article class="job is-{job.state}{mark}" data-key="{escape(job.id)}" '
        f'aria-label="{told}: {title}">{header}{"".join(_render_body(job, looks))}</article>'
    )


def format_job_title(job: Job) -> str:
    """Name a job in a few words."""
    title = " ".join((job.title or str(job.request.get("text", "")) or job.task).split())
    return shorten(title, MAX_TITLE_LENGTH, placeholder=" …")


def _render_body(job: Job, looks: JobCardContext) -> Iterator[str]:
    if job.state == "waiting":
        place = f"Number {job.place} in the queue." if job.place else "In the queue."
        yield f'<p class="quiet">{place}</p>'
        yield _render_buttons(action_button("cancel", job.id, "Cancel"))
    if job.state == "running":
        yield progress_bar_html(job)
        yield _render_buttons(action_button("cancel", job.id, "Stop", look="danger"))
    if job.failure is not None:
        yield failure_html(job)
    yield from (f'<p class="warning">Note: {escape(word)}</p>' for word in job.warnings)
    if job.state == "done" and job.result is not None and job.task in SPEECH_TASKS:
        yield from _render_speech_result(job, job.result, looks)
        return
    if job.state in ("stopped", "failed") and job.task == "speak":
        words = "Go on with the next line" if job.takes else "Try again"
        yield _render_buttons(action_button("resume", job.id, words))
    yield partial_lines_html(job, looks.layout)


def progress_bar_html(job: Job) -> str:
    """Draw how far a job is, and say it."""
    progress = job.progress
    share = progress.fraction
    if share is None and progress.total:
        share = progress.done / progress.total
    percent = round(100 * share) if share is not None else None
    value = f' aria-valuenow="{percent}"' if percent is not None else ""
    width = f' style="width:{percent}%"' if percent is not None else ' class="unknown"'
    return (
        f'<div class="bar" role="progressbar" aria-label="Progress" aria-valuemin="0" '
        f'aria-valuemax="100"{value}><span{width}></span></div>'
        f'<p class="quiet">{escape(format_progress(job))}</p>'
    )


def format_progress(job: Job, now: float | None = None) -> str:
    """Say the stage, the count, how long it still takes and how long it ran."""
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


def failure_html(job: Job) -> str:
    """Draw why a job failed and what to do, with the details to copy."""
    assert job.failure is not None
    cause = get_error_info(job.failure.cause)
    report = f"{job.failure.message}\n\n{job.failure.details}".strip()
    message = job.failure.message
    general = message.startswith(cause.title)  # the words of the catalogue, told here already
    lines = [
        f"<strong>{escape(cause.title)}.</strong> {'' if general else escape(message)}",
        f"Why: {escape(cause.why)}",
        f"What to do: {escape(cause.what_to_do)}",
    ]
    told = "".join(f"<p>{line}</p>" for line in lines)
    return (
        f'<div class="failure" role="alert">{told}{copy_button("Copy the details", report)}</div>'
    )


def _render_speech_result(
    job: Job, result: Mapping[str, Any], looks: JobCardContext
) -> Iterator[str]:
    heard = " ".join(str(result.get("heard") or result.get("text", "")).split())
    if heard != format_job_title(job):
        yield f'<p class="heard">{escape(heard)}</p>'
    candidates = [
        _build_candidate_player(job, take, result)
        for take in enumerate(result["candidates"], start=1)
    ]
    yield f'<div class="takes side-by-side">{clips_html(candidates, looks.layout)}</div>'
    yield f'<p class="quiet">{escape(_format_facts(job, result))}</p>'
    path = Path(str(result["path"]))
    starred = get_clip_name(looks.layout, path) in looks.stars
    yield _render_buttons(
        action_button("seed", job.id, "Keep this seed", value=str(result["seed"])),
        action_button("settings", job.id, "Copy Settings"),
        toggle_button("star", job.id, "★ Starred" if starred else "☆ Star", on=starred),
    )
    yield line_takes_html(job, path, looks.layout)
    yield _render_settings(job)
    yield voice_sample_html(looks.layout, str(result.get("voice", "")), f"{job.id}-voice")


def _build_candidate_player(
    job: Job, numbered: tuple[int, Mapping[str, Any]], result: Mapping[str, Any]
) -> ClipPlayer:
    number, take = numbered
    several = len(result["candidates"]) > 1
    key = f'<kbd title="The key {number} plays it">{number}</kbd>' if number < 10 else ""
    return ClipPlayer(
        key=f"{job.id}-c{number}",
        label=f"Take {number}{' (best)' if several and number == 1 else ''}",
        path=str(take["path"]),
        note=format_score(take.get("score")),
        badge_html=key,
    )


def _format_facts(job: Job, result: Mapping[str, Any]) -> str:
    took = (job.ended or job.created) - (job.started or job.created)
    words = [
        f"{float(result.get('seconds', 0)):.1f} s of sound",
        f"spoken in {format_clock(took)}",
        f"voice {result.get('voice', '')}",
        f"seed {result['seed']}",
        format_result_name(str(result["path"])),
    ]
    return " · ".join(words)


def _render_settings(job: Job) -> str:
    """The settings as a line that can be copied; a redone line has those of its clip."""
    if job.task != "speak":
        return ""
    line = format_settings_line(job.request)
    return (
        f'<details class="settings" data-key="{escape(job.id)}-settings">'
        f"<summary>Settings</summary><p><code>{escape(line)}</code></p>"
        f"{copy_button('Copy the settings line', line)}</details>"
    )


def format_settings_line(request: Mapping[str, Any]) -> str:
    """Tell how a request is spoken, in one line."""
    named = {
        "voice": request.get("voice"),
        "model": request.get("bundle"),
        **request.get("options", {}),
        **{name: value for name, value in request.get("delivery", {}).items() if value != ""},
    }
    return ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)


def _render_buttons(*buttons: str) -> str:
    return f'<div class="buttons">{"".join(buttons)}</div>'
