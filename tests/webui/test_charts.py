"""Charts: what is plotted, what is said of it, and what may not break the picture."""

from __future__ import annotations

import math
import random

import pytest

from support.html_reader import EVIL, Reader
from webui.components.charts import (
    Bar,
    ChartLine,
    LineChart,
    bar_plot_update,
    chart_text_html,
    compute_y_range,
    format_number,
    line_plot_update,
    summarize_chart,
    summarize_histogram,
)


def loss(*values: float, style: str = "noisy") -> LineChart:
    points = [(float(step), value) for step, value in enumerate(values, start=1)]
    return LineChart(title="Loss", lines=[ChartLine(name="training", points=points, style=style)])


@pytest.mark.parametrize("chart", [LineChart(title="Loss", lines=[]), loss(math.nan, math.inf)])
def test_nothing_is_shown_before_something_was_measured(chart: LineChart) -> None:
    assert line_plot_update(chart)["visible"] is False and summarize_chart(chart) == ""


def test_every_line_is_plotted_under_its_name() -> None:
    lines = [
        ChartLine(name="training", points=[(1, 4.0), (2, 3.0)], style="noisy"),
        ChartLine(name="validation", points=[(2, 3.5)], style="validation"),
    ]
    shown = line_plot_update(LineChart(title="Loss", lines=lines))
    rows = [tuple(row) for row in shown["value"].itertuples(index=False)]
    assert rows == [(1, 4.0, "training"), (2, 3.0, "training"), (2, 3.5, "validation")]
    assert set(shown["color_map"]) == {"training", "validation"} and shown["visible"]


def test_what_a_plot_is_created_with_never_changes_with_its_points() -> None:
    def shown(*points: tuple[float, float]) -> dict[str, object]:
        lines = [
            ChartLine(name="training", points=[(1, 4.0), *points], style="noisy"),
            ChartLine(name="validation", points=points, style="validation"),
        ]
        return line_plot_update(LineChart(title="Loss", lines=lines, y_min=0))

    first, later = shown(), shown((2, 9.0))
    assert first["value"]["line"].tolist() == ["training", "validation"]
    assert first["value"]["y"].isna().tolist() == [False, True]
    assert {**first, "value": None} == {**later, "value": None} and first["y_lim"] == [0, None]


def test_outliers_of_a_noisy_line_are_drawn_at_the_edge() -> None:
    shown = line_plot_update(loss(*[3.0, 2.0] * 60, 5000.0))
    assert len(shown["value"]) == 121 and shown["value"]["y"].max() < 4


def test_a_summary_says_where_each_line_began_and_how_it_stands() -> None:
    assert summarize_chart(loss(4.0, 2.0, 3.0)) == (
        "Loss: training from 4 at step 1 to 3 at 3, lowest 2 at 2."
    )


def test_the_range_holds_whatever_is_measured_but_outliers() -> None:
    draw = random.Random(4)
    for _ in range(60):
        values = [
            draw.choice([0.0, -1e-30, 1e30, 1e-5, draw.gauss(0, 1)])
            for _ in range(draw.choice([1, 2, 3, 700]))
        ]
        low, high = compute_y_range(loss(*values, style="line").lines)
        assert low < high and low <= min(values) and max(values) <= high


def test_one_wild_step_does_not_flatten_the_rest() -> None:
    values = [3.0, 2.0] * 60
    assert compute_y_range(loss(*values, 5000.0).lines)[1] < 4


def test_names_from_elsewhere_do_not_become_markup() -> None:
    chart = LineChart(title=EVIL, lines=[ChartLine(name=EVIL, points=[(1, 1.0)])], x_label=EVIL)
    html = chart_text_html([summarize_chart(chart), ""])
    assert "<script" not in html and len(Reader(html).all("p")) == 1


def test_a_histogram_counts_kept_and_dropped_clips() -> None:
    bars = [Bar(low=0, high=1, kept=2, dropped=1), Bar(low=1, high=2, kept=0)]
    shown = bar_plot_update("Length", "s", bars)
    assert shown["value"]["clips"].tolist() == [2, 0, 1, 0] and shown["visible"]
    assert summarize_histogram("Length", "s", bars) == "Length: 0 to 1 s: 2 kept, 1 dropped."


def test_an_empty_histogram_is_hidden() -> None:
    bars = [Bar(low=0, high=1, kept=0)]
    assert bar_plot_update("Length", "s", bars)["visible"] is False
    assert summarize_histogram("Length", "s", bars) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (2.314, "2.31"), (0.00001, "1e-5"), (12_000, "12,000"), (350.0, "350")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert format_number(value) == text


def test_bars_keep_their_numeric_order_although_the_plot_sorts_labels_as_text() -> None:
    bars = [Bar(low=low, high=low + 1, kept=1) for low in (-24.0, -21.0, 1.0, 10.0, 2.0e1)]
    labels = bar_plot_update("Length", "s", bars)["value"]["from"].iloc[: len(bars)].tolist()
    assert sorted(labels) == labels and [float(label.strip("\u200b")) for label in labels] == [
        *(bar.low for bar in bars)
    ]
