"""The curves of a training: what is drawn, what is said, and what may not break the picture."""

from __future__ import annotations

import math
import random
import re

import pytest

from html_reader import EVIL, Reader
from webui.training_curves import (
    Line,
    Plot,
    number_told,
    plot_html,
    summary,
    ticks,
)


def paths(html: str, look: str) -> list[str]:
    """What is drawn of one look."""
    return [str(a["d"]) for a in Reader(html).all("path") if a["class"] == look]


def loss(*values: float, name: str = "training", look: str = "step") -> Plot:
    points = [(float(step), value) for step, value in enumerate(values, start=1)]
    return Plot(key="loss", title="Loss", lines=[Line(name=name, points=points, look=look)])


def test_nothing_is_drawn_before_something_was_measured() -> None:
    assert plot_html(Plot(key="loss", title="Loss", lines=[])) == ""
    assert plot_html(loss(math.nan, math.inf)) == ""


def test_a_plot_tells_a_screen_reader_where_it_began_and_how_it_stands() -> None:
    read = Reader(plot_html(loss(4.0, 2.0, 3.0)))
    label = next(a["aria-label"] for tag, a in read.tags if tag == "svg")
    assert label == "Loss: training from 4 at step 1 to 3 at 3, lowest 2 at 2."


def test_every_step_is_told_on_hover_with_every_line_measured_there() -> None:
    lines = [
        Line(name="training", points=[(1, 4.0), (2, 3.0)], look="step"),
        Line(name="validation", points=[(2, 3.5)], look="validation"),
    ]
    read = Reader(plot_html(Plot(key="loss", title="Loss", lines=lines)))
    told = [word for word in read.words if word.startswith("step ")]
    assert told == ["step 1: training 4", "step 2: training 3, validation 3.5"]


def test_what_is_drawn_lies_within_the_drawing_whatever_is_measured() -> None:
    draw = random.Random(4)
    for _ in range(60):
        count = draw.choice([1, 2, 3, 700])
        odd = [math.nan, math.inf, 0.0, -1e-30, 1e30, 1e-5]
        values = [draw.choice([*odd, draw.gauss(0, 1), 3.0]) for _ in range(count)]
        for place in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", plot_html(loss(*values))):
            assert 0 <= float(place[0]) <= 1000 and 0 <= float(place[1]) <= 300


def test_a_single_point_is_a_dot_and_a_level_line_is_drawn() -> None:
    assert paths(plot_html(loss(2.0)), "dots step")
    assert paths(plot_html(loss(2.0, 2.0)), "line step") == ["M0.0 150.0L1000.0 150.0"]


def test_one_wild_step_does_not_flatten_the_rest() -> None:
    (path,) = paths(plot_html(loss(*[3.0, 2.0] * 60, 5000.0)), "line step")
    heights = [float(y) for y in re.findall(r" ([\d.]+)", path)]
    assert heights[-1] == 0 and max(heights[:-1]) - min(heights[:-1]) > 200


def test_names_from_elsewhere_do_not_become_markup() -> None:
    plot = Plot(key=EVIL, title=EVIL, lines=[Line(name=EVIL, points=[(1, 1.0)])], across=EVIL)
    assert "<script" not in plot_html(plot)
    assert not any(tag == "script" for tag, _ in Reader(plot_html(plot)).tags)


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
    assert ticks(ends) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, "0"), (2.314, "2.31"), (0.00001, "1e-5"), (12_000, "12,000"), (350.0, "350")],
)
def test_numbers_are_short(value: float, told: str) -> None:
    assert number_told(value) == told


def test_the_summary_names_each_line() -> None:
    lines = [Line(name="one", points=[(1, 1.0)]), Line(name="two", points=[(5, 2.0)])]
    assert summary("Loss", lines).count("lowest") == 2
