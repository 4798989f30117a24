"""What is in a data set, drawn: numbers that add up, and told to whoever cannot see the bars."""

from __future__ import annotations

import re

from training.dataset_prep.manifest import ClipRow, Dataset, SourceRow
from training.dataset_prep.report import build_dataset_report
from webui.components.histogram import HEIGHT, WIDTH, Bar, histogram_html
from webui.datasets.report import report_html


def test_a_histogram_has_a_bar_for_each_count_and_tells_all_of_them() -> None:
    bars = [Bar(low=0, high=2, kept=0), Bar(low=2, high=4, kept=30, dropped=10)]
    html = histogram_html("Length", "s", bars)
    assert html.count("<rect") == 2
    assert "2 to 4 s: 30 kept, 10 dropped" in html and "0 to 2 s" not in html.partition("<ul>")[2]
    heights = [float(found) for found in re.findall(r'<rect[^>]*height="([0-9.]+)"', html)]
    assert heights[0] == 3 * heights[1]


def test_all_of_a_histogram_lies_in_its_picture() -> None:
    bars = [Bar(low=low, high=low + 1, kept=low * 7 % 5, dropped=low % 3) for low in range(40)]
    html = histogram_html("Loudness", "dB", bars)
    for x, y, width, height in re.findall(
        r'<rect[^>]*x="([0-9.]+)" y="([0-9.]+)" width="([0-9.]+)" height="([0-9.]+)"', html
    ):
        assert float(x) >= 0 and float(x) + float(width) <= WIDTH
        assert float(y) >= 0 and float(y) + float(height) <= HEIGHT


def test_nothing_counted_is_nothing_drawn_and_a_title_stays_text() -> None:
    assert histogram_html("Length", "s", [Bar(low=0, high=1, kept=0)]) == ""
    html = histogram_html("<b>x</b>", "s", [Bar(low=0, high=1, kept=1)], about="<i>")
    assert "<b>" not in html and "<i>" not in html


def test_a_report_tells_what_is_kept_and_why_the_rest_is_not() -> None:
    kept = [
        ClipRow(
            id=f"c{at}", source="talk.wav", start_s=5.0 * at, stop_s=5.0 * at + 4,
            text=f"Text {at}.", part="validation" if at == 0 else "train", level_db=-20.0 - at,
        )
        for at in range(20)
    ]  # fmt: skip
    noisy = ClipRow(
        id="n", source="talk.wav", start_s=200.0, stop_s=262.0, text="Noise.", kept=False,
        reason="noisy",
    )  # fmt: skip
    failed = SourceRow(path="<b>.mp3", state="failed", message="It is <i>no</i> sound.")
    html = report_html(
        build_dataset_report(Dataset(name="nora", clips=(*kept, noisy), sources=(failed,)))
    )
    assert "Kept</span><b>1:20</b><span class='quiet'>20 clips" in html
    assert "Dropped</span><b>1:02</b><span class='quiet'>1 clip<" in html
    assert "To judge by</span><b>0:04</b>" in html
    assert 'data-act="show" data-value="noisy"' in html and html.count("<figure") == 2
    assert "1 recording could not be used" in html and "<b>.mp3" not in html and "<i>" not in html
