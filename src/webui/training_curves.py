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
Look: TypeAlias = Literal["step", "smooth", "other", "validation"]
Ends: TypeAlias = tuple[float, float]
T = TypeVar("T")

WIDTH, HEIGHT = 1000.0, 300.0  # of the drawing, in units of its own
MOST_TOLD = 60  # places where values are told on hover
OUTLIERS = 0.02  # share of the steps that may leave the picture, so that the rest can be seen
MARGIN = 0.06  # air above and below the lines, as a share of the height
TICKS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a plot; name: as the legend has it."""

    name: str
    points: Sequence[Point]
    look: Look = "smooth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """What is drawn.

    key: names it among its neighbours;  title: what is measured, in what unit;  across: what is
    counted below;  floor: the lowest value that can be, to be in the picture, or None.
    """

    key: str
    title: str
    lines: Sequence[Line]
    across: str = "step"
    floor: float | None = None


def plot_html(plot: Plot) -> str:
    """Draw a plot; nothing where nothing was measured yet."""
    lines = [replace(line, points=finite(line.points)) for line in plot.lines]
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    frame = Frame(across=_across(lines), up=_up(lines, plot.floor))
    legend = "".join(
        f'<span class="name {line.look}"><i aria-hidden="true"></i>{escape(line.name)}</span>'
        for line in lines
    )
    return (
        f'<figure class="curve" data-key="{escape(plot.key)}"><figcaption><strong>'
        f'{escape(plot.title)}</strong><span class="legend">{legend}</span></figcaption>'
        f'<div class="plot">{_scale(frame)}<div class="area">{_drawing(plot, lines, frame)}</div>'
        f"{_foot(frame, plot.across)}</div></figure>"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """From where to where a plot reaches: across in steps, and up in what is measured."""

    across: Ends
    up: Ends

    def place(self, point: Point) -> Point:
        """Return where a point lies in the drawing; what is above or below lies at the edge."""
        share = min(1.0, max(0.0, _share(point[1], self.up)))
        return _share(point[0], self.across) * WIDTH, (1 - share) * HEIGHT


def finite(points: Sequence[Point]) -> list[Point]:
    """Leave out what is no number: a run that diverged measured some."""
    return [point for point in points if all(map(math.isfinite, point))]


def ticks(ends: Ends, most: int = TICKS) -> list[float]:
    """Return round numbers within the ends, at most `most` + 1 of them."""
    low, high = ends
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def number_told(value: float) -> str:
    """Write a number as short as it stays clear: 2.31, 0.004, 1.5e-5, 12,000."""
    if value == 0:
        return "0"
    if abs(value) < 0.001:
        return f"{value:.2g}".replace("e-0", "e-")
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def summary(title: str, lines: Sequence[Line], across: str = "step") -> str:
    """Say in a sentence what the lines show."""
    told = []
    for line in lines:
        (first, begin), (last, end) = line.points[0], line.points[-1]
        low = min(line.points, key=_value)
        way = f"from {number_told(begin)} at {across} {first:g} to {number_told(end)} at {last:g}"
        told.append(f"{line.name} {way}, lowest {number_told(low[1])} at {low[0]:g}")
    return f"{title}: {'; '.join(told)}."


def _drawing(plot: Plot, lines: Sequence[Line], frame: Frame) -> str:
    label = escape(summary(plot.title, lines, plot.across))
    grid = "".join(
        f'<path class="grid" d="M0 {y:.1f}H{WIDTH:g}"/>'
        for y in (frame.place((frame.across[0], tick))[1] for tick in ticks(frame.up))
    )
    drawn = "".join(_path(line, frame) for line in lines)
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}">{grid}{drawn}{"".join(_told_on_hover(plot, lines, frame))}</svg>'
    )


def _path(line: Line, frame: Frame) -> str:
    places = [frame.place(point) for point in line.points]
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    drawn = f'<path class="line {line.look}" d="M{steps}"/>'
    if line.look == "step" and len(places) > 1:
        return drawn
    # a stroke of no length with round ends is a dot that stays round however the drawing stretches
    dots = "".join(f"M{x:.1f} {y:.1f}h.01" for x, y in places)
    has_dots = line.look == "validation" or len(places) == 1
    return f'{drawn}<path class="dots {line.look}" d="{dots}"/>' if has_dots else drawn


def _told_on_hover(plot: Plot, lines: Sequence[Line], frame: Frame) -> Iterator[str]:
    """Yield bands from top to bottom that tell, where the pointer is, what was measured there."""
    places = sorted({point[0] for line in lines for point in line.points})
    stops = [stretch[-1] for stretch in _stretches(places, MOST_TOLD)]
    before = frame.across[0]
    for stop in stops:
        near = ((line.name, _last_until(line.points, stop)) for line in lines)
        values = ", ".join(
            f"{name} {number_told(point[1])}"
            for name, point in near
            if point is not None and (point[0] > before or point[0] == stop)
        )
        left, right = (_share(edge, frame.across) * WIDTH for edge in (before, stop))
        yield (
            f'<rect class="band" x="{left:.1f}" y="0" width="{max(4.0, right - left):.1f}" '
            f'height="{HEIGHT:g}"><title>{escape(f"{plot.across} {stop:g}: {values}")}</title>'
            "</rect>"
        )
        before = stop


def _scale(frame: Frame) -> str:
    marks = "".join(
        f'<span style="top:{100 * (1 - _share(tick, frame.up)):.1f}%">{number_told(tick)}</span>'
        for tick in ticks(frame.up)
    )
    return f'<div class="up" aria-hidden="true">{marks}</div>'


def _foot(frame: Frame, across: str) -> str:
    marks = "".join(
        f'<span style="left:{100 * _share(tick, frame.across):.1f}%">{number_told(tick)}</span>'
        for tick in ticks(frame.across)
    )
    return (
        f'<div class="across" aria-hidden="true">{marks}</div>'
        f'<div class="counted" aria-hidden="true">{escape(across)}</div>'
    )


def _across(lines: Sequence[Line]) -> Ends:
    steps = [step for line in lines for step, _ in line.points]
    low, high = min(steps), max(steps)
    return (low, high) if high > low else (low - 1, high + 1)


def _up(lines: Sequence[Line], floor: float | None) -> Ends:
    values: list[float] = []
    for line in lines:
        ordered = sorted(value for _, value in line.points)
        spared = int(len(ordered) * OUTLIERS) if line.look == "step" else 0
        values += [ordered[0], ordered[-1 - spared]]
    low, high = min(values), max(values)
    if floor is not None:
        low = min(low, floor)
    air = (high - low) * MARGIN or abs(high) * MARGIN or 1.0
    bottom = low - air if low < 0 else max(0.0, low - air)
    return (low if low == floor else bottom), high + air


def _share(value: float, ends: Ends) -> float:
    return (value - ends[0]) / (ends[1] - ends[0])


def _last_until(points: Sequence[Point], stop: float) -> Point | None:
    at = bisect_right(points, stop, key=_step)
    return points[at - 1] if at else None


def _step(point: Point) -> float:
    return point[0]


def _value(point: Point) -> float:
    return point[1]


def _stretches(things: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """Cut into at most `most` stretches of about one length."""
    size = max(1, math.ceil(len(things) / most))
    return (things[start : start + size] for start in range(0, len(things), size))
