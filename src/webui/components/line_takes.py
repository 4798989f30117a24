"""The lines of a clip: each can be played, regenerated, or replaced by another of its takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from core.errors import AppError
from core.paths import ProjectPaths
from jobs.models import Job
from studio.synthesis.line_takes import LineTakes, read_line_takes
from studio.synthesis.output_paths import OutputPath
from webui.components.audio_player import ClipPlayer, clips_html, format_score
from webui.components.templates import render, render_macro

MAX_LINES = 100


def partial_lines_html(job: Job, layout: ProjectPaths) -> Markup:
    """Render the lines of a job that is not finished."""
    takes = [take for take in job.takes if take.get("path")]
    clips = [_build_partial_player(job, take) for take in takes[-MAX_LINES:]]
    return _render_lines(job, "Lines generated so far", clips, layout, is_open=True)


def line_takes_html(job: Job, clip: Path, layout: ProjectPaths) -> Markup:
    """Render the lines of a finished clip as they are now; a single line only as a form."""
    destination = OutputPath(clip_path=clip)
    try:
        lines = read_line_takes(destination)
    except AppError:
        return Markup("")  # regenerating a line reports lines that cannot be read
    if lines is None or (len(lines.lines) < 2 and len(lines.lines[0].takes) < 2):
        text = str(job.takes[0].get("text", "")) if job.takes else ""
        return render("line_takes.html", job=job.id, single_text=text, clips="")
    count = len(lines.lines)
    clips = [
        _build_line_player(job, index, line, destination.lines_folder)
        for index, line in enumerate(lines.lines[:MAX_LINES])
    ]
    first = f"first {MAX_LINES} of " if count > MAX_LINES else ""
    return _render_lines(job, f"Lines ({first}{count})", clips, layout, is_open=False)


def _render_lines(
    job: Job, summary: str, clips: list[ClipPlayer], layout: ProjectPaths, *, is_open: bool
) -> Markup:
    return render(
        "line_takes.html",
        job=job.id,
        single_text="",
        summary=summary,
        clips=clips_html(clips, layout) if clips else "",
        is_open=is_open,
    )


def _build_partial_player(job: Job, take: Mapping[str, Any]) -> ClipPlayer:
    index = int(take.get("index", 0))
    return ClipPlayer(
        key=f"{job.id}-l{index}",
        label=f"Line {index + 1}",
        path=str(take["path"]),
        note=" · ".join(filter(None, [str(take.get("text", "")), format_score(take.get("score"))])),
    )


def _build_line_player(job: Job, index: int, line: LineTakes, folder: Path) -> ClipPlayer:
    chosen = line.take(line.chosen) if line.chosen else line.takes[0]
    facts = [chosen.heard, f"seed {chosen.seed}", format_score(chosen.score)]
    return ClipPlayer(
        key=f"{job.id}-l{index}",
        label=f"Line {index + 1}",
        path=str(folder / chosen.file),
        note=" · ".join(filter(None, facts)),
        details_html=render_macro("line_details", job.id, index, line, chosen),
    )
