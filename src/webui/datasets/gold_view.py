"""HTML of Gold Dataset: the steps, the waveform coloured by speaker, the turns, the jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from core.formatting import format_clock, format_count
from core.paths import ProjectPaths
from jobs.models import Job
from studio.datasets.gold_project import GoldView
from studio.datasets.gold_request import STEP_HELP
from studio.datasets.gold_turns import describe_turn
from webui.components.file_links import get_file_url
from webui.components.job_card import JOB_STATE_LABELS, format_job_title
from webui.components.templates import render
from webui.datasets.prepare_view import get_job_body_html

# Any: requests and results of jobs are plain values.

GOLD_TASK, EXPORT_TASK, FINETUNE_TASK = "make_gold", "export_gold", "finetune_gold"
TASKS = (GOLD_TASK, EXPORT_TASK, FINETUNE_TASK)  # of Gold Dataset
ORIGIN = "gold"  # of the jobs that this part submits
COLOURS = 8  # of speakers in dataset.css; more speakers share them
PAGE_SIZE = 50
STEP_STATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {  # label, and a sign beside the colour
        "done": ("Done", "✓"),
        "outdated": ("Outdated", "↻"),
        "missing": ("Not run", "○"),
        "running": ("Running", "▸"),
    }
)


def list_running_steps(jobs: Sequence[Job], name: str) -> frozenset[str]:
    """Return the steps that active jobs of a project run or wait to run."""
    requests = [job.request for job in jobs if job.task == GOLD_TASK and not job.is_over]
    return frozenset(
        step
        for request in requests
        if request.get("name") == name
        for step in request.get("steps", ())
    )


def steps_html(view: GoldView | None, running: frozenset[str]) -> Markup:
    """Render the steps of a project, each with its state and a button that runs it."""
    has_report = view is not None and view.report is not None
    return render(
        "datasets/gold_steps.html",
        view=view,
        running=running,
        STEP_STATES=STEP_STATES,
        STEP_HELP=STEP_HELP,
        report_url=f"api/datasets/gold/{quote(view.name)}/report" if view and has_report else "",
    )


def turns_html(view: GoldView | None, page: int, layout: ProjectPaths) -> Markup:
    """Render the waveform, the speakers and a page of the turns, to listen to and to correct."""
    if view is None or not view.turns:
        return Markup("")
    page = max(0, min(page, (len(view.turns) - 1) // PAGE_SIZE))
    colours = {name: number % COLOURS for number, name in enumerate(view.speakers)}
    first = page * PAGE_SIZE
    shown = list(enumerate(view.turns))[first : first + PAGE_SIZE]
    return render(
        "datasets/gold_turns.html",
        view=view,
        page=page,
        PAGE_SIZE=PAGE_SIZE,
        colours=colours,
        speakers=_sum_speakers(view),
        paths=_draw_waveform(view, colours),
        turns=shown,
        describe_turn=describe_turn,
        audio=get_file_url(layout, view.audio) if view.audio else "",
        clock=format_clock,
    )


def gold_jobs_html(jobs: Sequence[Job]) -> Markup:
    """Render the active jobs, oldest first, or else the latest one. jobs: newest first."""
    jobs = [job for job in jobs if job.task in TASKS]
    active = [job for job in jobs if not job.is_over]
    return render(
        "datasets/gold_jobs.html",
        cards=[
            (job, format_job_title(job), get_job_body_html(job)) for job in active[::-1] or jobs[:1]
        ],
        format_result=_format_result,
        JOB_STATE_LABELS=JOB_STATE_LABELS,
    )


def _format_result(job: Job) -> str:
    result: Mapping[str, Any] = job.result or {}
    kept = format_count(int(result.get("utterances", 0)), "utterance")
    if job.task == EXPORT_TASK:
        return f"Exported: {kept} in {result.get('folder', '')}"
    if job.task == FINETUNE_TASK:
        return " ".join([str(result.get("message", "")), f"Model: {result.get('run', '')}."])
    ran = ", ".join(result.get("ran", ())) or "nothing has changed since the last run"
    parts = [f"Steps: {ran}."]
    if result.get("turns"):
        parts.append(f"Turns to check: {result['flagged']} of {result['turns']}.")
    if result.get("utterances") or result.get("left_out"):
        parts.append(
            f"Kept: {kept}, {format_clock(float(result['seconds']))}; "
            f"{result['left_out']} left out."
        )
    return " ".join(parts)


def _sum_speakers(view: GoldView) -> list[tuple[str, int, float]]:
    """Return name, number of turns and seconds of each speaker."""
    return [
        (
            name,
            sum(turn.speaker == name for turn in view.turns),
            sum(turn.duration for turn in view.turns if turn.speaker == name),
        )
        for name in view.speakers
    ]


def _draw_waveform(view: GoldView, colours: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return class and path of the waveform of each colour, 0 to 100 high."""
    count = len(view.peaks)
    lines: dict[str, list[str]] = {"none": []}
    position = 0
    for number, peak in enumerate(view.peaks):
        at = (number + 0.5) * view.duration_s / count
        while position < len(view.turns) - 1 and view.turns[position].stop < at:
            position += 1
        turn = view.turns[position]
        kind = str(colours[turn.speaker]) if turn.start <= at <= turn.stop else "none"
        half = max(1.0, round(49 * peak, 1))
        lines.setdefault(kind, []).append(f"M{number} {50 - half:g}V{50 + half:g}")
    return [(kind, "".join(drawn)) for kind, drawn in lines.items() if drawn]
