"""Charts with gr.LinePlot and gr.BarPlot, and their content as text for screen readers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import gradio as gr
import pandas as pd

from webui.components.templates import render
from webui.languages.catalogue import translate

Point: TypeAlias = tuple[float, float]
"""A step, and the value measured there."""
CHART_HEIGHT = 260
OUTLIER_SHARE = 0.02  # of the points of a noisy line that may be outside of the y range
MARGIN = 0.06  # of the y range, above and below the lines
GREY, TEAL, AMBER = "#8b949a", "#0d9488", "#d97706"  # readable in the light and the dark theme
LINE_COLORS = {"noisy": GREY, "line": TEAL, "validation": AMBER}
BAR_COLORS = {"Kept": TEAL, "Dropped": GREY}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartLine:
    """One line of a chart.  style: "line", "validation", or "noisy", whose outliers are clipped."""

    name: str
    points: Sequence[Point]
    style: str = "line"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChart:
    """A line chart. y_min: a value that is always in the picture."""

    title: str
    lines: Sequence[ChartLine]
    x_label: str = "step"
    y_min: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The number of clips from `low` up to `high`."""

    low: float
    high: float
    kept: int
    dropped: int = 0


def create_line_plot(elem_id: str, chart: LineChart | None = None) -> gr.LinePlot:
    """Create a line plot, hidden while there is nothing to show; see `line_plot_update`."""
    shown = {} if chart is None else line_plot_update(chart)
    return gr.LinePlot(
        shown.get("value"),
        x="x",
        y="y",
        color="line",
        y_title=" ",
        height=CHART_HEIGHT,
        visible=bool(shown.get("visible")),
        elem_id=elem_id,
    )


def line_plot_update(chart: LineChart) -> dict[str, Any]:
    """Return the update of a line plot that shows a chart; hidden where nothing was measured."""
    lines = _drop_empty_lines(chart.lines)
    if not lines:
        return gr.update(visible=False)
    highest = compute_y_range(lines, chart.y_min)[1]
    rows: list[tuple[float, float | None, str]] = [
        (x, min(y, highest), translate(line.name)) for line in lines for x, y in line.points
    ]
    # A plot whose range or colours change together with its value may go on showing the old value,
    # so they stay the same: outliers are clipped, and a line without points has an empty row.
    plotted = {line.name for line in lines}
    empty = [line.name for line in chart.lines if line.name not in plotted]
    rows += [(rows[0][0], None, translate(name)) for name in empty]
    return gr.update(
        value=pd.DataFrame(rows, columns=["x", "y", "line"]),
        title=chart.title,
        x_title=chart.x_label,
        color_title=" ",
        color_map={translate(line.name): LINE_COLORS[line.style] for line in chart.lines},
        y_lim=None if chart.y_min is None else [chart.y_min, None],
        visible=True,
    )


def create_bar_plot(elem_id: str) -> gr.BarPlot:
    """Create a histogram of kept and dropped clips, hidden while there is nothing to show."""
    return gr.BarPlot(
        x="from",
        y="clips",
        color="state",
        color_map=BAR_COLORS,
        y_title="Clips",
        color_title=" ",
        height=CHART_HEIGHT,
        visible=False,
        elem_id=elem_id,
    )


def bar_plot_update(title: str, unit: str, bars: Sequence[Bar]) -> dict[str, Any]:
    """Return the update of a histogram; hidden where nothing was counted."""
    if not any(bar.kept + bar.dropped for bar in bars):
        return gr.update(visible=False)
    # The plot sorts labels as text. Invisible characters in front keep them in numeric order.
    labels = ["\u200b" * index + f"{bar.low:g}" for index, bar in enumerate(bars)]
    kept, dropped = translate("Kept"), translate("Dropped")
    rows = [(label, bar.kept, kept) for label, bar in zip(labels, bars, strict=True)]
    rows += [(label, bar.dropped, dropped) for label, bar in zip(labels, bars, strict=True)]
    title = translate(title)
    return gr.update(
        value=pd.DataFrame(rows, columns=["from", "clips", "state"]),
        title=f"{title} ({unit})",
        x_title=f"{title} ({unit})",
        visible=True,
    )


def chart_text_html(summaries: Iterable[str]) -> str:
    """Return what charts show as text that only screen readers read out."""
    return render("chart_text.html", summaries=[text for text in summaries if text])


def summarize_chart(chart: LineChart) -> str:
    """Describe each line of a chart in a sentence; "" where nothing was measured."""
    parts = []
    for line in _drop_empty_lines(chart.lines):
        (first, begin), (last, end) = line.points[0], line.points[-1]
        low = min(line.points, key=lambda point: point[1])
        text = (
            f"{line.name} from {format_number(begin)} at {chart.x_label} {first:g} to "
            f"{format_number(end)} at {last:g}, lowest {format_number(low[1])} at {low[0]:g}"
        )
        parts.append(translate(text))
    return f"{translate(chart.title)}: {'; '.join(parts)}." if parts else ""


def summarize_histogram(title: str, unit: str, bars: Sequence[Bar]) -> str:
    """Describe a histogram in a sentence; "" where nothing was counted."""
    parts = [
        translate(f"{bar.low:g} to {bar.high:g} {unit}: {bar.kept:,} kept")
        + (translate(f", {bar.dropped:,} dropped") if bar.dropped else "")
        for bar in bars
        if bar.kept + bar.dropped
    ]
    return f"{translate(title)}: {'; '.join(parts)}." if parts else ""


def compute_y_range(lines: Sequence[ChartLine], y_min: float | None = None) -> Point:
    """Return the range of the y axis. Outliers of noisy lines may be above it."""
    values: list[float] = []
    for line in lines:
        ordered = sorted(y for _, y in line.points)
        clipped = int(len(ordered) * OUTLIER_SHARE) if line.style == "noisy" else 0
        values += [ordered[0], ordered[-1 - clipped]]
    low, high = min(values), max(values)
    if y_min is not None:
        low = min(low, y_min)
    margin = (high - low) * MARGIN or abs(high) * MARGIN or 1.0
    bottom = low - margin if low < 0 else max(0.0, low - margin)
    return (low if low == y_min else bottom), high + margin


def format_number(value: float) -> str:
    """Format a number as short as it stays clear: 2.31, 0.004, 1.5e-5, 12,000."""
    if value == 0:
        return "0"
    if abs(value) < 0.001:
        return f"{value:.2g}".replace("e-0", "e-")
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _drop_empty_lines(lines: Sequence[ChartLine]) -> list[ChartLine]:
    """Leave out values that are not finite, and lines without values."""
    finite = [
        ChartLine(
            name=line.name,
            points=[point for point in line.points if all(map(math.isfinite, point))],
            style=line.style,
        )
        for line in lines
    ]
    return [line for line in finite if line.points]
