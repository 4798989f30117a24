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

from jobs.job import Job
from studio.causes import cause_named
from studio.layout import Layout
from studio.results import clip_name
from webui.clips import (
    Shown,
    button,
    clips_html,
    copy_button,
    sampled_voice,
    score_told,
    switch,
)
from webui.line_view import lines_of_clip, spoken_so_far
from webui.links import name_in_results
from webui.words import clock, seconds_told, stage_told

# Any: requests, takes and results are plain values.

STATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {  # how it is told, and a sign beside the colour
        "waiting": ("Waiting", "…"),
        "running": ("Working", "▸"),
        "done": ("Done", "✓"),
        "failed": ("Failed", "✕"),
        "stopped": ("Stopped", "■"),
    }
)
SPEAKING = ("speak", "redo", "rejoin")
LONGEST_TITLE = 70


@dataclass(frozen=True, kw_only=True)
class Looks:
    """What a card needs beside its job.

    newest: the job whose candidates the number keys play;  stars: the clips that have one.
    """

    layout: Layout
    newest: str = ""
    stars: Collection[str] = ()


def card(job: Job, looks: Looks) -> str:
    """Draw one job."""
    told, sign = STATES[job.state]
    title = escape(title_of(job))
    header = (
        f'<header><span class="state {job.state}"><span aria-hidden="true">{sign}</span> '
        f"{told}</span> <h3>{title}</h3></header>"
    )
    mark = " newest" if job.id == looks.newest else ""
    return (
        f'<article class="job is-{job.state}{mark}" data-key="{escape(job.id)}" '
        f'aria-label="{told}: {title}">{header}{"".join(_body(job, looks))}</article>'
    )


def title_of(job: Job) -> str:
    """Name a job in a few words."""
    title = " ".join((job.title or str(job.request.get("text", "")) or job.task).split())
    return shorten(title, LONGEST_TITLE, placeholder=" …")


def _body(job: Job, looks: Looks) -> Iterator[str]:
    if job.state == "waiting":
        place = f"Number {job.place} in the queue." if job.place else "In the queue."
        yield f'<p class="quiet">{place}</p>'
        yield _buttons(button("cancel", job.id, "Cancel"))
    if job.state == "running":
        yield progress_bar(job)
        yield _buttons(button("cancel", job.id, "Stop", look="danger"))
    if job.failure is not None:
        yield failure_told(job)
    yield from (f'<p class="warning">Note: {escape(word)}</p>' for word in job.warnings)
    if job.state == "done" and job.result is not None and job.task in SPEAKING:
        yield from _spoken(job, job.result, looks)
        return
    if job.state in ("stopped", "failed") and job.task == "speak":
        words = "Go on with the next line" if job.takes else "Try again"
        yield _buttons(button("resume", job.id, words))
    yield spoken_so_far(job, looks.layout)


def progress_bar(job: Job) -> str:
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
        f'<p class="quiet">{escape(progress_told(job))}</p>'
    )


def progress_told(job: Job, now: float | None = None) -> str:
    """Say the stage, the count, how long it still takes and how long it ran."""
    progress = job.progress
    words = [stage_told(progress.stage)]
    if progress.total:
        words.append(f"{progress.done:,} of {progress.total:,}")
    if progress.eta_s is not None:
        words.append(f"{seconds_told(progress.eta_s)} left")
    if job.started is not None:
        words.append(f"{clock((now or time.time()) - job.started)} so far")
    if progress.message:
        words.append(progress.message)
    return " · ".join(words)


def failure_told(job: Job) -> str:
    """Draw why a job failed and what to do, with the details to copy."""
    assert job.failure is not None
    cause = cause_named(job.failure.cause)
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


def _spoken(job: Job, result: Mapping[str, Any], looks: Looks) -> Iterator[str]:
    heard = " ".join(str(result.get("heard") or result.get("text", "")).split())
    if heard != title_of(job):
        yield f'<p class="heard">{escape(heard)}</p>'
    candidates = [
        _candidate(job, take, result) for take in enumerate(result["candidates"], start=1)
    ]
    yield f'<div class="takes side-by-side">{clips_html(candidates, looks.layout)}</div>'
    yield f'<p class="quiet">{escape(_facts(job, result))}</p>'
    path = Path(str(result["path"]))
    starred = clip_name(looks.layout, path) in looks.stars
    yield _buttons(
        button("seed", job.id, "Keep this seed", value=str(result["seed"])),
        button("settings", job.id, "Copy Settings"),
        switch("star", job.id, "★ Starred" if starred else "☆ Star", on=starred),
    )
    yield lines_of_clip(job, path, looks.layout)
    yield _settings(job)
    yield sampled_voice(looks.layout, str(result.get("voice", "")), f"{job.id}-voice")


def _candidate(
    job: Job, numbered: tuple[int, Mapping[str, Any]], result: Mapping[str, Any]
) -> Shown:
    number, take = numbered
    several = len(result["candidates"]) > 1
    key = f'<kbd title="The key {number} plays it">{number}</kbd>' if number < 10 else ""
    return Shown(
        key=f"{job.id}-c{number}",
        label=f"Take {number}{' (best)' if several and number == 1 else ''}",
        path=str(take["path"]),
        note=score_told(take.get("score")),
        mark=key,
    )


def _facts(job: Job, result: Mapping[str, Any]) -> str:
    took = (job.ended or job.created) - (job.started or job.created)
    words = [
        f"{float(result.get('seconds', 0)):.1f} s of sound",
        f"spoken in {clock(took)}",
        f"voice {result.get('voice', '')}",
        f"seed {result['seed']}",
        name_in_results(str(result["path"])),
    ]
    return " · ".join(words)


def _settings(job: Job) -> str:
    """The settings as a line that can be copied; a redone line has those of its clip."""
    if job.task != "speak":
        return ""
    line = settings_line(job.request)
    return (
        f'<details class="settings" data-key="{escape(job.id)}-settings">'
        f"<summary>Settings</summary><p><code>{escape(line)}</code></p>"
        f"{copy_button('Copy the settings line', line)}</details>"
    )


def settings_line(request: Mapping[str, Any]) -> str:
    """Tell how a request is spoken, in one line."""
    named = {
        "voice": request.get("voice"),
        "model": request.get("bundle"),
        **request.get("options", {}),
        **{name: value for name, value in request.get("delivery", {}).items() if value != ""},
    }
    return ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)


def _buttons(*buttons: str) -> str:
    return f'<div class="buttons">{"".join(buttons)}</div>'
