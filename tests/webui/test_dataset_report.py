"""The summary of a dataset: totals, reasons, and the charts as text for screen readers."""

from __future__ import annotations

from training.dataset_prep.manifest import ClipRow, Dataset, SourceRow
from training.dataset_prep.report import build_dataset_report
from webui.datasets.review_view import build_bars, report_html


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
    report = build_dataset_report(Dataset(name="nora", clips=(*kept, noisy), sources=(failed,)))
    html = report_html(report)
    assert 'Kept</span><b>1:20</b><span class="quiet">20 clips' in html
    assert 'Dropped</span><b>1:02</b><span class="quiet">1 clip<' in html
    assert "Validation</span><b>0:04</b>" in html
    assert 'data-act="show" data-value="noisy"' in html
    assert "<p>Length: " in html and "<p>Loudness: " in html
    assert sum(bar.kept + bar.dropped for bar in build_bars(report.lengths)) == 21
    assert "1 recording could not be used" in html and "<b>.mp3" not in html and "<i>" not in html
