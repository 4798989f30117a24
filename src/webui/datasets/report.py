"""What a data set comes to: what is kept and dropped and why, how clips are spread, what is odd.

Buttons say in data-value which clips they show in the list below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from core.formatting import format_clock, format_count
from studio.datasets.service import CLIP_REASONS, ClipTotals, DatasetReport, HistogramBin
from webui.components.histogram import Bar, histogram_html

LEGEND_HTML = (
    '<p class="quiet"><span class="legend" aria-hidden="true"></span>kept'
    '<span class="legend dropped" aria-hidden="true"></span>dropped</p>'
)


def report_html(report: DatasetReport) -> str:
    """Draw the report."""
    return f'<div class="report" data-key="report">{"".join(_render_sections(report))}</div>'


def _render_sections(report: DatasetReport) -> Iterator[str]:
    yield f'<ul class="sums" data-key="sums">{"".join(_render_totals(report))}</ul>'
    if report.remarks:
        lines = "".join(f'<p class="warning">{escape(line)}</p>' for line in report.remarks)
        yield f'<div class="jobs" data-key="remarks">{lines}</div>'
    charts = histogram_html("Length", "s", _build_bars(report.lengths)) + histogram_html(
        "Loudness", "LUFS", _build_bars(report.levels)
    )
    if charts:
        yield f'<div class="charts" data-key="charts">{charts}</div>{LEGEND_HTML}'
    yield _render_reason_table("Dropped, and why", report.dropped_by)
    yield _render_reason_table("Kept, but worth a look", report.marked_by)
    yield _render_failed_recordings(report)


def _render_totals(report: DatasetReport) -> Iterator[str]:
    sums = (
        ("Kept", report.kept),
        ("Dropped", report.dropped),
        ("To learn from", report.train),
        ("To judge by", report.validation),
    )
    for label, share in sums:
        yield (
            f"<li><span class='quiet'>{label}</span><b>{format_clock(share.seconds)}</b>"
            f"<span class='quiet'>{format_count(share.clips, 'clip')}</span></li>"
        )


def _build_bars(bins: Sequence[HistogramBin]) -> list[Bar]:
    return [Bar(low=one.low, high=one.high, kept=one.kept, dropped=one.dropped) for one in bins]


def _render_reason_table(caption: str, shares: Mapping[str, ClipTotals]) -> str:
    """How much each reason took, each with a button that shows its clips."""
    if not shares:
        return ""
    rows = "".join(_render_reason_row(reason, share) for reason, share in shares.items())
    return (
        f'<table data-key="{caption}"><caption>{caption}</caption><thead><tr>'
        '<th scope="col">Because</th><th scope="col" class="number">Clips</th>'
        '<th scope="col" class="number">Time</th><td></td></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _render_reason_row(reason: str, share: ClipTotals) -> str:
    words = CLIP_REASONS.get(reason, reason)
    return (
        f'<tr><th scope="row">{escape(words)}</th><td class="number">{share.clips:,}</td>'
        f'<td class="number">{format_clock(share.seconds)}</td><td class="number"><button '
        f'type="button" '
        f'class="small" data-act="show" data-value="{escape(reason)}" '
        f'aria-label="Show: {escape(words)}">Show</button></td></tr>'
    )


def _render_failed_recordings(report: DatasetReport) -> str:
    """Recordings that could not be used at all."""
    if not report.failed:
        return ""
    rows = "".join(
        f"<li><strong>{escape(path)}</strong>: {escape(message)}</li>"
        for path, message in report.failed
    )
    many = format_count(len(report.failed), "recording")
    return (
        f'<details data-key="failed" open><summary>{many} could not be used</summary>'
        f'<ul class="looked-at">{rows}</ul></details>'
    )
