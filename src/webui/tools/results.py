"""What the jobs of the tab Utilities found, as pieces of the page. Everything is escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Any

from core.error_classifier import get_error_info
from core.formatting import format_bytes
from core.paths import ProjectPaths
from jobs.models import Job
from webui.components.audio_player import ClipPlayer, clips_html
from webui.components.job_card import JOB_STATE_LABELS, format_progress

# Any: results of jobs, in their plain form.

RATING_LABELS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {  # a sign and a word beside the colour
        "good": ("✓", "Good"),
        "fair": ("!", "Fair"),
        "poor": ("✕", "Poor"),
    }
)
RATING_SUMMARIES: Mapping[str, str] = MappingProxyType(
    {
        "good": "Nothing speaks against cloning from this.",
        "fair": "Usable; what is marked could be better.",
        "poor": "Not fit to clone from as it is.",
    }
)


def tool_job_html(job: Job, layout: ProjectPaths) -> str:
    """Draw a job of this tab: how far it is, why it failed, or what it found."""
    state, sign = JOB_STATE_LABELS[job.state]
    head = (
        f'<header><span class="state {job.state}"><span aria-hidden="true">{sign}</span> {state}'
        f"</span> <h3>{escape(job.title)}</h3></header>"
    )
    body = "".join(f'<p class="warning">Note: {escape(word)}</p>' for word in job.warnings)
    if job.failure is not None:
        cause = get_error_info(job.failure.cause)
        body += f'<p class="failure">{escape(job.failure.message)}</p>'
        if cause.what_to_do and job.failure.cause != "refused":
            body += f'<p class="quiet">{escape(cause.what_to_do)}</p>'
    elif job.state == "done" and job.result is not None:
        body += RESULT_RENDERERS[job.task](job.result, layout)
    elif job.state == "running":
        body += f'<p class="quiet">{escape(format_progress(job))}</p>'
    elif job.state == "waiting":
        body += '<p class="quiet">Begins when the work before it is done.</p>'
    return f'<section class="job is-{job.state}" role="status">{head}{body}</section>'


def rating_html(name: str) -> str:
    """Draw one traffic light: a sign and a word, coloured."""
    sign, word = RATING_LABELS[name]
    return f'<span class="light {name}"><span aria-hidden="true">{sign}</span> {word}</span>'


def _render_check_result(result: Mapping[str, Any], layout: ProjectPaths) -> str:
    found = (
        f"<p>{rating_html(result['light'])} {RATING_SUMMARIES[result['light']]}</p>"
        f"{_render_findings(result['findings'])}"
    )
    clips = "".join(
        f"<details{' open' if clip['light'] == 'poor' else ''}><summary>"
        f"{rating_html(clip['light'])} "
        f"{escape(clip['name'])} <span class='quiet'>{clip['duration_s']:.1f} s</span></summary>"
        f"{_render_findings(clip['findings'])}</details>"
        for clip in result.get("clips", ())
    )
    return found + (f"<h4>Each clip</h4>{clips}" if clips else "")


def _render_findings(findings: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<li>{rating_html(item['light'])} <strong>{escape(item['topic'])}:</strong> "
        f"{escape(item['words'])} <span class='quiet'>{escape(item['measured'])}</span>"
        + (f'<div class="advice">{escape(item["advice"])}</div>' if item["advice"] else "")
        + "</li>"
        for item in findings
    )
    return f'<ul class="looked-at">{rows}</ul>'


def _render_clean_result(result: Mapping[str, Any], layout: ProjectPaths) -> str:
    before, after = result["noise_db"]
    quiet, loud = result["lufs"]
    path = str(layout.results / str(result["clip"]).removeprefix("results/"))
    told = ClipPlayer(key="after", label="After", path=path, note=path.rpartition("/")[2])
    return (
        f"<p>Speech lay {before:g} dB above the background; now it lies {after:g} dB above it. "
        f"Loudness {quiet:g} LUFS, now {loud:g} LUFS.</p>{clips_html([told], layout)}"
        f'<p class="quiet">A new file, {escape(result["clip"])}; yours is as it was.</p>'
    )


def _render_detection_result(result: Mapping[str, Any], layout: ProjectPaths) -> str:
    share = result["likely"]
    words = (
        "very likely made by TorToiSe"
        if share > 0.9
        else "perhaps made by TorToiSe"
        if share > 0.5
        else "probably not made by TorToiSe"
    )
    pieces = ", ".join(f"{piece:.0%}" for piece in result["pieces"])
    return (
        f"<p><strong>{share:.0%}</strong>: {words}.</p>"
        f'<p class="quiet">By piece: {pieces}. The classifier of {escape(result["bundle"])} knows '
        "what TorToiSe's published weights make and nothing else: other programs pass it by, and "
        "so may clips that were changed afterwards. It is a hint, no proof.</p>"
    )


def _render_merge_result(result: Mapping[str, Any], layout: ProjectPaths) -> str:
    mixed = ", ".join(result["mixed"]) or "nothing: both were the same"
    return (
        f"<p><strong>{escape(result['name'])}</strong> is there, {format_bytes(result['size'])}. "
        "Choose it as the model in Generate.</p>"
        f'<p class="quiet">Mixed: {escape(mixed)}. Weights {escape(result["weights_id"])}.</p>'
    )


def _render_import_result(result: Mapping[str, Any], layout: ProjectPaths) -> str:
    return (
        f"<p>The voice <strong>{escape(result['voice'])}</strong> is in the list of voices in "
        "Generate.</p>"
    )


RESULT_RENDERERS: Mapping[str, Callable[[Mapping[str, Any], ProjectPaths], str]] = MappingProxyType(
    {
        "check_clip": _render_check_result,
        "check_voice": _render_check_result,
        "clean_clip": _render_clean_result,
        "judge_clip": _render_detection_result,
        "merge_models": _render_merge_result,
        "bring_voice": _render_import_result,
    }
)
"""Task -> what it found."""
