"""Curves of a training as SVG: thin lines, labelled axes, values on hover, a sentence to hear.

The lines stretch with the window while the words beside them keep their size, so the words lie
outside of the SVG. Colours come from assets/training_train.css, for both looks.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Literal, TypeAlias, TypeVar

Point: TypeAlias = tuple[float, float]
"""A step, and what was measured there."""
LineStyle: TypeAlias = Literal["step", "smooth", "other", "validation"]
AxisRange: TypeAlias = tuple[float, float]
T = TypeVar("T")

WIDTH, HEIGHT = 1000.0, 300.0  # of the drawing, in units of its own
MAX_HOVER_POINTS = 60  # places where values are told on hover
OUTLIER_SHARE = 0.02  # share of the steps that may leave the picture, so that the rest can be seen
MARGIN = 0.06  # air above and below the lines, as a share of the height
MAX_TICKS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartLine:
    """One line of a plot; name: as the legend has it."""

    name: str
    points: Sequence[Point]
    style: LineStyle = "smooth"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChart:
    """What is drawn.

    key: names it among its neighbours;  title: what is measured, in what unit;  across: what is
    counted below;  floor: the lowest value that can be, to be in the picture, or None.
    """

    key: str
    title: str
    lines: Sequence[ChartLine]
    x_label: str = "step"
    y_min: float | None = None


def line_chart_html(plot: LineChart) -> str:
    """Draw a plot; nothing where nothing was measured yet."""
    lines = [replace(line, points=drop_non_finite(line.points)) for line in plot.lines]
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    frame = ChartAxes(x_range=_compute_x_range(lines), y_range=_compute_y_range(lines, plot.y_min))
    legend = "".join(
        f'<span class="name {line.style}"><i aria-hidden="true"></i>{escape(line.name)}</span>'
        for line in lines
    )
    return (
        f'<figure class="curve" data-key="{escape(plot.key)}"><figcaption><strong>'
        f'{escape(plot.title)}</strong><span class="legend">{legend}</span></figcaption>'
        f'<div class="plot">{_render_y_axis(frame)}<div class="area">'
        f"{_render_svg(plot, lines, frame)}</div>"
        f"{_render_x_axis(frame, plot.x_label)}</div></figure>"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartAxes:
    """From where to where a plot reaches: across in steps, and up in what is measured."""

    x_range: AxisRange
    y_range: AxisRange

    def to_pixels(self, point: Point) -> Point:
        """Return where a point lies in the drawing; what is above or below lies at the edge."""
        share = min(1.0, max(0.0, _normalize(point[1], self.y_range)))
        return _normalize(point[0], self.x_range) * WIDTH, (1 - share) * HEIGHT


def drop_non_finite(points: Sequence[Point]) -> list[Point]:
    """Leave out what is no number: a run that diverged measured some."""
    return [point for point in points if all(map(math.isfinite, point))]


def compute_ticks(ends: AxisRange, most: int = MAX_TICKS) -> list[float]:
    """Return round numbers within the ends, at most `most` + 1 of them."""
    low, high = ends
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def format_number(value: float) -> str:
    """Write a number as short as it stays clear: 2.31, 0.004, 1.5e-5, 12,000."""
    if value == 0:
        return "0"
    if abs(value) < 0.001:
        return f"{value:.2g}".replace("e-0", "e-")
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def summarize_chart(title: str, lines: Sequence[ChartLine], across: str = "step") -> str:
    """Say in a sentence what the lines show."""
    told = []
    for line in lines:
        (first, begin), (last, end) = line.points[0], line.points[-1]
        low = min(line.points, key=_get_value)
        way = (
            f"from {format_number(begin)} at {across} {first:g} to {format_number(end)} at {last:g}"
        )
        told.append(f"{line.name} {way}, lowest {format_number(low[1])} at {low[0]:g}")
    return f"{title}: {'; '.join(told)}."


def _render_svg(plot: LineChart, lines: Sequence[ChartLine], frame: ChartAxes) -> str:
    label = escape(summarize_chart(plot.title, lines, plot.x_label))
    grid = "".join(
        f'<path class="grid" d="M0 {y:.1f}H{WIDTH:g}"/>'
        for y in (
            frame.to_pixels((frame.x_range[0], tick))[1] for tick in compute_ticks(frame.y_range)
        )
    )
    drawn = "".join(_render_path(line, frame) for line in lines)
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}">{grid}{drawn}{"".join(_render_hover_bands(plot, lines, frame))}'
        f"</svg>"
    )


def _render_path(line: ChartLine, frame: ChartAxes) -> str:
    places = [frame.to_pixels(point) for point in line.points]
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    drawn = f'<path class="line {line.style}" d="M{steps}"/>'
    if line.style == "step" and len(places) > 1:
        return drawn
    # a stroke of no length with round ends is a dot that stays round however the drawing stretches
    dots = "".join(f"M{x:.1f} {y:.1f}h.01" for x, y in places)
    has_dots = line.style == "validation" or len(places) == 1
    return f'{drawn}<path class="dots {line.style}" d="{dots}"/>' if has_dots else drawn


def _render_hover_bands(
    plot: LineChart, lines: Sequence[ChartLine], frame: ChartAxes
) -> Iterator[str]:
    """Yield bands from top to bottom that tell, where the pointer is, what was measured there."""
    places = sorted({point[0] for line in lines for point in line.points})
    stops = [stretch[-1] for stretch in _split_evenly(places, MAX_HOVER_POINTS)]
    before = frame.x_range[0]
    for stop in stops:
        near = ((line.name, _find_last_point(line.points, stop)) for line in lines)
        values = ", ".join(
            f"{name} {format_number(point[1])}"
            for name, point in near
            if point is not None and (point[0] > before or point[0] == stop)
        )
        left, right = (_normalize(edge, frame.x_range) * WIDTH for edge in (before, stop))
        yield (
            f'<rect class="band" x="{left:.1f}" y="0" width="{max(4.0, right - left):.1f}" '
            f'height="{HEIGHT:g}"><title>{escape(f"{plot.x_label} {stop:g}: {values}")}</title>'
            "</rect>"
        )
        before = stop


def _render_y_axis(frame: ChartAxes) -> str:
    marks = "".join(
        f'<span style="top:{100 * (1 - _normalize(tick, frame.y_range)):.1f}%">'
        f"{format_number(tick)}</span>"
        for tick in compute_ticks(frame.y_range)
    )
    return f'<div class="up" aria-hidden="true">{marks}</div>'


def _render_x_axis(frame: ChartAxes, across: str) -> str:
    marks = "".join(
        f'<span style="left:{100 * _normalize(tick, frame.x_range):.1f}%">{format_number(tick)}'
        f"</span>"
        for tick in compute_ticks(frame.x_range)
    )
    return (
        f'<div class="across" aria-hidden="true">{marks}</div>'
        f'<div class="counted" aria-hidden="true">{escape(across)}</div>'
    )


def _compute_x_range(lines: Sequence[ChartLine]) -> AxisRange:
    steps = [step for line in lines for step, _ in line.points]
    low, high = min(steps), max(steps)
    return (low, high) if high > low else (low - 1, high + 1)


def _compute_y_range(lines: Sequence[ChartLine], floor: float | None) -> AxisRange:
    values: list[float] = []
    for line in lines:
        ordered = sorted(value for _, value in line.points)
        spared = int(len(ordered) * OUTLIER_SHARE) if line.style == "step" else 0
        values += [ordered[0], ordered[-1 - spared]]
    low, high = min(values), max(values)
    if floor is not None:
        low = min(low, floor)
    air = (high - low) * MARGIN or abs(high) * MARGIN or 1.0
    bottom = low - air if low < 0 else max(0.0, low - air)
    return (low if low == floor else bottom), high + air


def _normalize(value: float, ends: AxisRange) -> float:
    return (value - ends[0]) / (ends[1] - ends[0])


def _find_last_point(points: Sequence[Point], stop: float) -> Point | None:
    at = bisect_right(points, stop, key=_get_step)
    return points[at - 1] if at else None


def _get_step(point: Point) -> float:
    return point[0]


def _get_value(point: Point) -> float:
    return point[1]


def _split_evenly(things: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """Cut into at most `most` stretches of about one length."""
    size = max(1, math.ceil(len(things) / most))
    return (things[start : start + size] for start in range(0, len(things), size))
