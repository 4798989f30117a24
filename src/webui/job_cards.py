"""A job as a piece of the page: what it does, what it spoke, and what can be done with it.

Everything that came from a user or a file is escaped; buttons say in data-act what they want.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Any

from jobs.job import Job
from studio.causes import cause_named
from studio.errors import StudioError
from studio.layout import Layout
from studio.voices import find_voice, parse_blend
from webui.links import link_of, name_in_results
from webui.words import clock, counted, seconds_told, stage_told

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
SPEAKING = ("speak", "redo")
LONGEST_TITLE = 70


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One clip in a list: a label for the ear, and what stands beside the player."""

    key: str
    label: str
    path: str
    note: str = ""
    more: str = ""  # HTML


def card(job: Job, layout: Layout, *, newest: bool = False, starred: bool = False) -> str:
    """Draw one job.

    newest: whether it is the one whose candidates the number keys play.
    """
    told, sign = STATES[job.state]
    parts = [
        f'<header><span class="state {job.state}"><span aria-hidden="true">{sign}</span> '
        f"{told}</span> <h3>{escape(title_of(job))}</h3></header>",
        *_body(job, layout, starred),
    ]
    mark = " newest" if newest else ""
    return (
        f'<article class="job is-{job.state}{mark}" data-key="{escape(job.id)}" '
        f'aria-label="{told}: {escape(title_of(job))}">{"".join(parts)}</article>'
    )


def title_of(job: Job) -> str:
    """Name a job in a few words."""
    title = " ".join((job.title or str(job.request.get("text", "")) or job.task).split())
    return title if len(title) <= LONGEST_TITLE else title[: LONGEST_TITLE - 1] + "…"


def _body(job: Job, layout: Layout, starred: bool) -> Iterator[str]:
    if job.state == "waiting":
        place = f"Number {job.place} in the queue." if job.place else "In the queue."
        yield f'<p class="quiet">{place}</p>'
        yield _buttons(_button("cancel", job, "Cancel"))
        return
    if job.state == "running":
        yield _progress(job)
        yield _buttons(_button("cancel", job, "Stop", "danger"))
    if job.failure is not None:
        yield _failure(job)
    yield from (f'<p class="warning">Note: {escape(word)}</p>' for word in job.warnings)
    if job.state == "done" and job.result is not None and "candidates" in job.result:
        yield from _spoken(job, job.result, layout, starred)
    if job.state in ("stopped", "failed") and job.task in SPEAKING:
        yield _buttons(_button("resume", job, _resume_words(job)))
    yield _lines(job, layout)
    if job.state == "done" and job.task in SPEAKING:
        yield _sampled(job, layout)


def _resume_words(job: Job) -> str:
    return "Go on with the next line" if job.takes else "Try again"


def _progress(job: Job) -> str:
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


def _failure(job: Job) -> str:
    assert job.failure is not None
    cause = cause_named(job.failure.cause)
    report = f"{job.failure.message}\n\n{job.failure.details}".strip()
    lines = [
        f"<strong>{escape(cause.title)}.</strong> {escape(job.failure.message)}",
        f"Why: {escape(cause.why)}" if cause.why else "",
        f"What to do: {escape(cause.what_to_do)}" if cause.what_to_do else "",
    ]
    told = "".join(f"<p>{line}</p>" for line in lines if line)
    return (
        f'<div class="failure" role="alert">{told}'
        f'<button type="button" class="small" data-copy="{escape(report)}">Copy the details'
        "</button></div>"
    )


def _spoken(job: Job, result: Mapping[str, Any], layout: Layout, starred: bool) -> Iterator[str]:
    candidates = result["candidates"]
    several = len(candidates) > 1
    shown = [
        Shown(
            key=f"{job.id}-c{number}",
            label=f"Take {number}{' (best)' if several and number == 1 else ''}",
            path=str(take["path"]),
            note=_score(take.get("score")),
            more=f'<kbd title="Press {number} to play">{number}</kbd>' if number < 10 else "",
        )
        for number, take in enumerate(candidates, start=1)
    ]
    yield f'<p class="heard">{escape(str(result.get("heard") or result.get("text", "")))}</p>'
    yield f'<div class="takes side-by-side">{_clips(shown, layout)}</div>'
    yield _facts(job, result)
    star = "Starred" if starred else "Star"
    yield _buttons(
        _button("seed", job, f"Keep seed {result['seed']}", value=str(result["seed"])),
        _button("settings", job, "Copy Settings", value=str(result["path"])),
        _button("star", job, star, "pressed" if starred else "", value=str(result["path"])),
        f'<button type="button" class="small" data-copy="{escape(settings_line(job))}">'
        "Copy the settings line</button>",
    )


def _facts(job: Job, result: Mapping[str, Any]) -> str:
    took = (job.ended or job.created) - (job.started or job.created)
    words = [
        f"{float(result.get('seconds', 0)):.1f} s of sound",
        f"spoken in {clock(took)}",
        f"seed {result['seed']}",
        name_in_results(str(result["path"])),
    ]
    line = escape(settings_line(job))
    return (
        f'<p class="quiet">{escape(" · ".join(words))}</p>'
        f'<p class="settings-line"><code>{line}</code></p>'
    )


def settings_line(job: Job) -> str:
    """Tell how it was spoken in one line that can be copied."""
    request = job.request
    options = request.get("options", {})
    named = {"voice": request.get("voice"), "model": request.get("bundle"), **options}
    return ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)


def _lines(job: Job, layout: Layout) -> str:
    """The takes of the single lines: to be heard at once, and to be spoken anew in the end."""
    takes = [take for take in job.takes if take.get("path")]
    if not takes or (job.state == "done" and len(takes) < 2):
        return ""
    is_over = job.state == "done"
    shown = [_line(job, take, _redo(job, take) if is_over else "") for take in takes]
    told = f"{counted(len(shown), 'line')} one by one, to hear or to redo"
    return (
        f'<details class="lines" data-key="{escape(job.id)}-lines"{"" if is_over else " open"}>'
        f"<summary>{told if is_over else 'Spoken so far'}</summary>"
        f'<div class="takes">{_clips(shown, layout)}</div></details>'
    )


def _line(job: Job, take: Mapping[str, Any], more: str = "") -> Shown:
    number = int(take.get("index", 0)) + 1
    return Shown(
        key=f"{job.id}-l{number}",
        label=f"Line {number}",
        path=str(take["path"]),
        note=" · ".join(filter(None, [str(take.get("text", "")), _score(take.get("score"))])),
        more=more,
    )


def _redo(job: Job, take: Mapping[str, Any]) -> str:
    index = int(take.get("index", 0))
    text, seed = escape(str(take.get("text", ""))), escape(str(take.get("seed", "")))
    return (
        f'<details class="redo" data-key="{escape(job.id)}-r{index}"><summary>Redo</summary>'
        f'<label>Text of line {index + 1}<textarea rows="2" data-field="text">{text}</textarea>'
        '</label><label>Seed, empty for a new one<input inputmode="numeric" data-field="seed" '
        f'placeholder="was {seed}"></label>'
        f"{_button('redo', job, 'Speak this line again', value=str(index))}</details>"
    )


def _sampled(job: Job, layout: Layout) -> str:
    """A clip of the voice that was imitated, to compare with."""
    found = link_of_voice(layout, str(job.request.get("voice", "")))
    if found is None:
        return ""
    name, link = found
    return (
        f'<details class="sampled" data-key="{escape(job.id)}-v"><summary>The sampled voice'
        f'</summary><audio controls preload="none" src="{escape(link)}" '
        f'aria-label="A clip of the voice {escape(name)}"></audio></details>'
    )


def link_of_voice(layout: Layout, voice: str) -> tuple[str, str] | None:
    """Return (voice, address of its first clip), None for one without clips."""
    try:
        parts = [part for part in parse_blend(voice) if not part.is_random]
        clips = find_voice(layout, parts[0].voice).clips if parts else ()
    except StudioError:
        return None
    return (parts[0].voice, link_of(layout, str(clips[0]))) if clips else None


def _clips(shown: Sequence[Shown], layout: Layout) -> str:
    return "".join(_clip(clip, layout) for clip in shown)


def _clip(clip: Shown, layout: Layout) -> str:
    link = escape(link_of(layout, clip.path))
    label = escape(clip.label)
    return (
        f'<figure class="take" data-key="{escape(clip.key)}"><figcaption><strong>{label}</strong> '
        f'<span class="quiet">{escape(clip.note)}</span></figcaption>'
        f'<div class="player"><audio controls preload="none" src="{link}" aria-label="{label}">'
        f'</audio><a class="small" href="{link}" download aria-label="Download {label}">'
        f"Download</a>{clip.more}</div></figure>"
    )


def _score(score: Any) -> str:
    return f"score {float(score):.3f}" if isinstance(score, (int, float)) else ""


def _buttons(*buttons: str) -> str:
    return f'<div class="buttons">{"".join(buttons)}</div>'


def _button(act: str, job: Job, label: str, look: str = "", value: str = "") -> str:
    pressed = ' aria-pressed="true"' if look == "pressed" else ""
    return (
        f'<button type="button" class="small {look}" data-act="{act}" data-job="{escape(job.id)}" '
        f'data-value="{escape(value)}"{pressed}>{escape(label)}</button>'
    )
