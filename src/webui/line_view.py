"""The lines of a clip: each to be heard, spoken anew, or exchanged for another of its takes."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from jobs.job import Job
from studio.errors import StudioError
from studio.layout import Layout
from studio.line_takes import ClipLines, KeptLine, KeptTake, read_lines
from studio.results import Destination
from webui.clips import Shown, button, clips_html, score_told
from webui.words import counted

MOST = 100  # lines that are shown; a book has more than a page can hold


def spoken_so_far(job: Job, layout: Layout) -> str:
    """Draw the lines of a job that is not finished, each to be heard already."""
    takes = [take for take in job.takes if take.get("path")]
    if not takes:
        return ""
    shown = [_take_of_job(job, take) for take in takes[-MOST:]]
    return _fold(job, "Spoken so far", clips_html(shown, layout), is_open=True)


def lines_of_clip(job: Job, clip: Path, layout: Layout) -> str:
    """Draw the lines of a finished clip as they are now; nothing for one of a single line."""
    destination = Destination(final=clip)
    try:
        lines = read_lines(destination)
    except StudioError:
        return ""  # lines that cannot be read are told of when one is spoken anew
    if lines is None or (len(lines.lines) < 2 and len(lines.lines[0].takes) < 2):
        return _single(job)
    shown = [
        _line(job, index, line, destination.folder) for index, line in enumerate(lines.lines[:MOST])
    ]
    return _fold(job, _told(lines), clips_html(shown, layout), is_open=False)


def _told(lines: ClipLines) -> str:
    number = len(lines.lines)
    first = f"the first {MOST} of " if number > MOST else ""
    return f"{first}{counted(number, 'line')} one by one, to hear or to redo"


def _single(job: Job) -> str:
    """A clip of one piece: it is its own line."""
    text = str(job.takes[0].get("text", "")) if job.takes else ""
    return _redo(job, 0, text, "", "Redo with another seed or text") if text else ""


def _fold(job: Job, summary: str, inside: str, *, is_open: bool) -> str:
    return (
        f'<details class="lines" data-key="{escape(job.id)}-lines"{" open" if is_open else ""}>'
        f'<summary>{escape(summary)}</summary><div class="takes">{inside}</div></details>'
    )


def _take_of_job(job: Job, take: Mapping[str, Any]) -> Shown:
    index = int(take.get("index", 0))
    score = take.get("score")
    return Shown(
        key=f"{job.id}-l{index}",
        label=f"Line {index + 1}",
        path=str(take["path"]),
        note=" · ".join(filter(None, [str(take.get("text", "")), score_told(score)])),
    )


def _line(job: Job, index: int, line: KeptLine, folder: Path) -> Shown:
    chosen = line.take(line.chosen) if line.chosen else line.takes[0]
    others = [take for take in line.takes if take.file != chosen.file]
    told = [chosen.heard, f"seed {chosen.seed}", score_told(chosen.score)]
    again = _redo(job, index, chosen.text, str(chosen.seed), f"Redo line {index + 1}")
    return Shown(
        key=f"{job.id}-l{index}",
        label=f"Line {index + 1}",
        path=str(folder / chosen.file),
        note=" · ".join(filter(None, told)),
        more=_others(job, index, others) + again,
    )


def _others(job: Job, index: int, takes: list[KeptTake]) -> str:
    """The other takes of a line, each of which can take the place of the one in use."""
    if not takes:
        return ""
    buttons = "".join(
        button(
            "use",
            job.id,
            f"Use {_named(take)}",
            value=f"{index}/{take.file}",
        )
        for take in takes
    )
    return f'<div class="buttons" role="group" aria-label="Other takes">{buttons}</div>'


def _named(take: KeptTake) -> str:
    candidate = f", candidate {take.candidate}" if take.candidate > 1 else ""
    return f"the take of seed {take.seed}{candidate}"


def _redo(job: Job, index: int, text: str, seed: str, summary: str) -> str:
    was = f' placeholder="was {escape(seed)}"' if seed else ""
    return (
        f'<details class="redo" data-key="{escape(job.id)}-r{index}">'
        f"<summary>{escape(summary)}</summary>"
        f'<label>Text<textarea rows="2" data-field="text">{escape(text)}</textarea></label>'
        f'<label>Seed, empty for a new one<input inputmode="numeric" data-field="seed"{was}>'
        f"</label>{button('redo', job.id, 'Speak it again', value=str(index))}</details>"
    )
