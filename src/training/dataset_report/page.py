"""Render a dataset report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import soundfile
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from audio.clip import Clip, ClipError
from core.files import write_text
from training.dataset_report.content import ReportContent, ReportRow, find_rate_outliers
from training.dataset_report.plots import draw_alignment, draw_plots

WORST = 20
SOUND_RATE = 24_000
REPORT_FILE = "report.html"


def write_page(path: Path, content: ReportContent) -> Path:
    """Write the page. Raises AppError without matplotlib."""
    write_text(path, render_page(content))
    return path


def render_page(content: ReportContent) -> str:
    """Return the page."""
    environment = Environment(
        loader=PackageLoader("training.dataset_report", ""),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
    )
    used = content.used
    return environment.get_template("report.html").render(
        title=content.title,
        speakers=_summarize_speakers(content.rows),
        reasons=_count_reasons(content.rows),
        flagged=content.flagged,
        overlaps=content.overlaps,
        outliers=find_rate_outliers(used)[:WORST],
        plots=draw_plots(content),
        worst=_load_worst(content.rows),
        kept=len(used),
        minutes=sum(row.duration for row in used) / 60,
        left_out=len(content.rows) - len(used),
    )


def _load_worst(rows: Sequence[ReportRow]) -> list[tuple[ReportRow, str, str]]:
    """Return the worst utterances with their alignment as SVG and their sound."""
    scored = sorted(rows, key=lambda row: (1.0 if row.score is None else row.score, row.id))
    found = []
    for row in scored[:WORST]:
        svg, sound = "", ""
        if row.load is not None:
            try:
                clip = row.load()
            except (ClipError, OSError):  # the audio is gone
                found.append((row, svg, sound))
                continue
            svg = draw_alignment(clip, row.words)
            sound = _encode_sound(clip)
        found.append((row, svg, sound))
    return found


def _count_reasons(rows: Sequence[ReportRow]) -> list[tuple[str, int, float]]:
    """Return reason, utterances and minutes of what is left out, the largest first."""
    totals: dict[str, tuple[int, float]] = {}
    for row in rows:
        for problem in row.problems[:1]:
            reason = problem.split(" for ")[0]
            count, minutes = totals.get(reason, (0, 0.0))
            totals[reason] = (count + 1, minutes + row.duration / 60)
    found = [(reason, count, minutes) for reason, (count, minutes) in totals.items()]
    return sorted(found, key=lambda total: -total[2])


def _summarize_speakers(rows: Sequence[ReportRow]) -> list[tuple[str, int, float, float]]:
    """Return name, utterances, minutes and words a minute of each speaker."""
    summary = []
    for name in sorted({row.speaker for row in rows}):
        own = [row for row in rows if row.speaker == name and not row.problems]
        minutes = sum(row.duration for row in own) / 60
        words = sum(len(row.text.split()) for row in own)
        summary.append((name or "all", len(own), minutes, words / minutes if minutes else 0.0))
    return summary


def _encode_sound(clip: Clip) -> str:
    """Return a clip as a data address, in Opus."""
    buffer = io.BytesIO()
    wave = clip.resample(SOUND_RATE).wave.numpy()
    soundfile.write(buffer, wave, SOUND_RATE, format="OGG", subtype="OPUS")
    return "data:audio/ogg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
