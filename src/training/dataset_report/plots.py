"""The plots of a dataset report, as SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audio.clip import Clip
from core.errors import AppError
from training.dataset_report.content import ReportContent, ReportRow, ReportWord

ALIGNMENT_WIDTH, ALIGNMENT_HEIGHT = 900, 96
GOOD_SCORE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A plot as SVG text. title: what it shows."""

    title: str
    svg: str


def draw_plots(content: ReportContent) -> list[Plot]:
    """Draw the plots that the dataset has data for. Raises AppError without matplotlib."""
    used = content.used
    rows = [row for row in used if row.text]
    plots = [_draw_histogram("Duration", "seconds", [row.duration for row in used])]
    if rows:
        rates = [row.words_per_minute for row in rows]
        plots.append(_draw_histogram("Rate", "words a minute", rates))
        plots.append(_draw_rates(rows))
    scores = [row.score for row in content.rows if row.score is not None]
    if scores:
        plots.append(_draw_histogram("Score", "agreement with what is heard", scores))
    if content.turns:
        plots.append(_draw_timeline(content))
    if content.embeddings and len(content.embeddings) > 2:
        plots.append(_draw_speaker_map(content))
    return plots


def draw_alignment(clip: Clip, words: Sequence[ReportWord]) -> str:
    """Draw a waveform with its words at their times; doubtful words are dashed. Plain SVG."""
    wave, duration = clip.wave.numpy(), max(len(clip.wave) / clip.sample_rate, 1e-3)
    parts = np.array_split(np.abs(wave), ALIGNMENT_WIDTH // 2)
    peaks = [float(part.max(initial=0.0)) for part in parts]
    highest = max([*peaks, 1e-6])
    middle = ALIGNMENT_HEIGHT * 0.38
    path = "".join(
        f"M{2 * at + 1} {middle - half:.1f}v{2 * half + 1:.1f}"
        for at, half in enumerate(middle * peak / highest for peak in peaks)
    )
    lines = [f'<path d="{path}" stroke="#888"/>']
    for number, word in enumerate(words):
        left, right = (ALIGNMENT_WIDTH * max(0.0, at) / duration for at in (word.start, word.stop))
        dash = "" if word.score >= GOOD_SCORE else ' stroke-dasharray="4 3"'
        color = "#0f766e" if word.score >= GOOD_SCORE else "#b3261e"
        y = 84 + 11 * (number % 2)
        lines.append(
            f'<path d="M{left:.1f} 76H{right:.1f}" stroke="{color}" stroke-width="3"{dash}/>'
            f'<text x="{left:.1f}" y="{y}" font-size="9" fill="{color}">{_escape(word.text)}</text>'
        )
    size = f'viewBox="0 0 {ALIGNMENT_WIDTH} {ALIGNMENT_HEIGHT}"'
    return f'<svg class="alignment" {size} role="img" aria-label="Words">{"".join(lines)}</svg>'


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _draw_histogram(title: str, label: str, values: Sequence[float]) -> Plot:
    figure, axes = _create_figure(5, 2.6)
    axes.hist(list(values), bins=24)
    axes.set_xlabel(label)
    axes.set_ylabel("utterances")
    return Plot(title=title, svg=_to_svg(figure))


def _draw_rates(rows: Sequence[ReportRow]) -> Plot:
    figure, axes = _create_figure(5, 2.6)
    for number, speaker in enumerate(sorted({row.speaker for row in rows})):
        own = [row for row in rows if row.speaker == speaker]
        axes.scatter(
            [row.duration for row in own],
            [row.syllables_per_minute for row in own],
            s=12,
            color=f"C{number % 10}",
            label=speaker or None,
        )
    axes.set_xlabel("seconds")
    axes.set_ylabel("syllables a minute")
    return Plot(title="Rate by duration", svg=_to_svg(figure))


def _draw_timeline(content: ReportContent) -> Plot:
    names = sorted({turn.speaker for turn in content.turns})
    figure, axes = _create_figure(10, 0.7 + 0.4 * len(names))
    for row, name in enumerate(names):
        spans = [(turn.start, turn.duration) for turn in content.turns if turn.speaker == name]
        axes.broken_barh(spans, (row - 0.4, 0.8), facecolors=f"C{row % 10}")
    for start, stop in content.overlaps:
        axes.axvspan(start, max(stop, start + 0.2), color="red", alpha=0.4)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("seconds; red: two people speak")
    return Plot(title="Who speaks when", svg=_to_svg(figure))


def _draw_speaker_map(content: ReportContent) -> Plot:
    """Draw the first two principal components of the embeddings."""
    embeddings = content.embeddings or {}
    rows = [row for row in content.rows if row.id in embeddings]
    vectors = np.stack([embeddings[row.id] for row in rows])
    centered = vectors - vectors.mean(0)
    points = centered @ np.linalg.svd(centered, full_matrices=False)[2][:2].T
    figure, axes = _create_figure(5, 4)
    for number, speaker in enumerate(sorted({row.speaker for row in rows})):
        own = [at for at, row in enumerate(rows) if row.speaker == speaker]
        color = f"C{number % 10}"
        axes.scatter(points[own, 0], points[own, 1], s=14, color=color, label=speaker or None)
    if any(row.speaker for row in rows):
        axes.legend(fontsize="small")
    axes.set_xticks([])
    axes.set_yticks([])
    return Plot(title="Map of the voices", svg=_to_svg(figure))


def _create_figure(width: float, height: float) -> tuple[Any, Any]:  # Any: matplotlib's
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise AppError(
            "The report needs matplotlib, which is not installed. See requirements-extra.txt."
        ) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _to_svg(figure: Any) -> str:  # Any: matplotlib's
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
