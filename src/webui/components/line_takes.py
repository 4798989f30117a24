"""The lines of a clip: each to be heard, spoken anew, or exchanged for another of its takes."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from core.errors import AppError
from core.formatting import format_count
from core.paths import ProjectPaths
from jobs.models import Job
from studio.synthesis.line_takes import LineTakes, LineTakesFile, SavedTake, read_line_takes
from studio.synthesis.output_paths import OutputPath
from webui.components.audio_player import ClipPlayer, action_button, clips_html, format_score

MAX_LINES = 100  # lines that are shown; a book has more than a page can hold


def partial_lines_html(job: Job, layout: ProjectPaths) -> str:
    """Draw the lines of a job that is not finished, each to be heard already."""
    takes = [take for take in job.takes if take.get("path")]
    if not takes:
        return ""
    shown = [_build_partial_player(job, take) for take in takes[-MAX_LINES:]]
    return _render_details(job, "Spoken so far", clips_html(shown, layout), is_open=True)


def line_takes_html(job: Job, clip: Path, layout: ProjectPaths) -> str:
    """Draw the lines of a finished clip as they are now; nothing for one of a single line."""
    destination = OutputPath(clip_path=clip)
    try:
        lines = read_line_takes(destination)
    except AppError:
        return ""  # lines that cannot be read are told of when one is spoken anew
    if lines is None or (len(lines.lines) < 2 and len(lines.lines[0].takes) < 2):
        return _render_single_line(job)
    shown = [
        _build_line_player(job, index, line, destination.lines_folder)
        for index, line in enumerate(lines.lines[:MAX_LINES])
    ]
    return _render_details(job, _format_summary(lines), clips_html(shown, layout), is_open=False)


def _format_summary(lines: LineTakesFile) -> str:
    number = len(lines.lines)
    first = f"the first {MAX_LINES} of " if number > MAX_LINES else ""
    return f"{first}{format_count(number, 'line')} one by one, to hear or to redo"


def _render_single_line(job: Job) -> str:
    """A clip of one piece: it is its own line."""
    text = str(job.takes[0].get("text", "")) if job.takes else ""
    return _render_retake_form(job, 0, text, "", "Redo with another seed or text") if text else ""


def _render_details(job: Job, summary: str, inside: str, *, is_open: bool) -> str:
    return (
        f'<details class="lines" data-key="{escape(job.id)}-lines"{" open" if is_open else ""}>'
        f'<summary>{escape(summary)}</summary><div class="takes">{inside}</div></details>'
    )


def _build_partial_player(job: Job, take: Mapping[str, Any]) -> ClipPlayer:
    index = int(take.get("index", 0))
    score = take.get("score")
    return ClipPlayer(
        key=f"{job.id}-l{index}",
        label=f"Line {index + 1}",
        path=str(take["path"]),
        note=" · ".join(filter(None, [str(take.get("text", "")), format_score(score)])),
    )


def _build_line_player(job: Job, index: int, line: LineTakes, folder: Path) -> ClipPlayer:
    chosen = line.take(line.chosen) if line.chosen else line.takes[0]
    others = [take for take in line.takes if take.file != chosen.file]
    told = [chosen.heard, f"seed {chosen.seed}", format_score(chosen.score)]
    again = _render_retake_form(job, index, chosen.text, str(chosen.seed), f"Redo line {index + 1}")
    return ClipPlayer(
        key=f"{job.id}-l{index}",
        label=f"Line {index + 1}",
        path=str(folder / chosen.file),
        note=" · ".join(filter(None, told)),
        details_html=_render_other_takes(job, index, others) + again,
    )


def _render_other_takes(job: Job, index: int, takes: list[SavedTake]) -> str:
    """The other takes of a line, each of which can take the place of the one in use."""
    if not takes:
        return ""
    buttons = "".join(
        action_button(
            "use",
            job.id,
            f"Use {_format_take_label(take)}",
            value=f"{index}/{take.file}",
        )
        for take in takes
    )
    return f'<div class="buttons" role="group" aria-label="Other takes">{buttons}</div>'


def _format_take_label(take: SavedTake) -> str:
    candidate = f", candidate {take.candidate}" if take.candidate > 1 else ""
    return f"the take of seed {take.seed}{candidate}"


def _render_retake_form(job: Job, index: int, text: str, seed: str, summary: str) -> str:
    was = f' placeholder="was {escape(seed)}"' if seed else ""
    return (
        f'<details class="redo" data-key="{escape(job.id)}-r{index}">'
        f"<summary>{escape(summary)}</summary>"
        f'<label>Text<textarea rows="2" data-field="text">{escape(text)}</textarea></label>'
        f'<label>Seed, empty for a new one<input inputmode="numeric" data-field="seed"{was}>'
        f"</label>{action_button('redo', job.id, 'Speak it again', value=str(index))}</details>"
    )
