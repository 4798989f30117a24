"""The curves of a training: what is drawn, what is said, and what may not break the picture."""

from __future__ import annotations

import math
import random
import re

import pytest

from support.html_reader import EVIL, Reader
from webui.components.line_chart import (
    ChartLine,
    LineChart,
    compute_ticks,
    format_number,
    line_chart_html,
    summarize_chart,
)


def paths(html: str, look: str) -> list[str]:
    """What is drawn of one look."""
    return [str(a["d"]) for a in Reader(html).all("path") if a["class"] == look]


def loss(*values: float, name: str = "training", look: str = "step") -> LineChart:
    points = [(float(step), value) for step, value in enumerate(values, start=1)]
    return LineChart(
        key="loss", title="Loss", lines=[ChartLine(name=name, points=points, style=look)]
    )


def test_nothing_is_drawn_before_something_was_measured() -> None:
    assert line_chart_html(LineChart(key="loss", title="Loss", lines=[])) == ""
    assert line_chart_html(loss(math.nan, math.inf)) == ""


def test_a_plot_tells_a_screen_reader_where_it_began_and_how_it_stands() -> None:
    read = Reader(line_chart_html(loss(4.0, 2.0, 3.0)))
    label = next(a["aria-label"] for tag, a in read.tags if tag == "svg")
    assert label == "Loss: training from 4 at step 1 to 3 at 3, lowest 2 at 2."


def test_every_step_is_told_on_hover_with_every_line_measured_there() -> None:
    lines = [
        ChartLine(name="training", points=[(1, 4.0), (2, 3.0)], style="step"),
        ChartLine(name="validation", points=[(2, 3.5)], style="validation"),
    ]
    read = Reader(line_chart_html(LineChart(key="loss", title="Loss", lines=lines)))
    told = [word for word in read.words if word.startswith("step ")]
    assert told == ["step 1: training 4", "step 2: training 3, validation 3.5"]


def test_what_is_drawn_lies_within_the_drawing_whatever_is_measured() -> None:
    draw = random.Random(4)
    for _ in range(60):
        count = draw.choice([1, 2, 3, 700])
        odd = [math.nan, math.inf, 0.0, -1e-30, 1e30, 1e-5]
        values = [draw.choice([*odd, draw.gauss(0, 1), 3.0]) for _ in range(count)]
        for place in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", line_chart_html(loss(*values))):
            assert 0 <= float(place[0]) <= 1000 and 0 <= float(place[1]) <= 300


def test_a_single_point_is_a_dot_and_a_level_line_is_drawn() -> None:
    assert paths(line_chart_html(loss(2.0)), "dots step")
    assert paths(line_chart_html(loss(2.0, 2.0)), "line step") == ["M0.0 150.0L1000.0 150.0"]


def test_one_wild_step_does_not_flatten_the_rest() -> None:
    (path,) = paths(line_chart_html(loss(*[3.0, 2.0] * 60, 5000.0)), "line step")
    heights = [float(y) for y in re.findall(r" ([\d.]+)", path)]
    assert heights[-1] == 0 and max(heights[:-1]) - min(heights[:-1]) > 200


def test_names_from_elsewhere_do_not_become_markup() -> None:
    plot = LineChart(
        key=EVIL, title=EVIL, lines=[ChartLine(name=EVIL, points=[(1, 1.0)])], x_label=EVIL
    )
    assert "<script" not in line_chart_html(plot)
    assert not any(tag == "script" for tag, _ in Reader(line_chart_html(plot)).tags)


@pytest.mark.parametrize(
    ("ends", "wanted"),
    [
        ((0, 100), [0, 25, 50, 75, 100]),
        ((0, 1e-5), [0, 2.5e-6, 5e-6, 7.5e-6, 1e-5]),
        ((1.9, 4.2), [2, 3, 4]),
        ((-1, 1), [-1, -0.5, 0, 0.5, 1]),
    ],
)
def test_ticks_are_round_and_within(ends: tuple[float, float], wanted: list[float]) -> None:
    assert compute_ticks(ends) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, "0"), (2.314, "2.31"), (0.00001, "1e-5"), (12_000, "12,000"), (350.0, "350")],
)
def test_numbers_are_short(value: float, told: str) -> None:
    assert format_number(value) == told


def test_the_summary_names_each_line() -> None:
    lines = [ChartLine(name="one", points=[(1, 1.0)]), ChartLine(name="two", points=[(5, 2.0)])]
    assert summarize_chart("Loss", lines).count("lowest") == 2
