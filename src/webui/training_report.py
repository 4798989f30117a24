"""What a data set comes to: what is kept and dropped and why, how clips are spread, what is odd.

Buttons say in data-value which clips they show in the list below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from studio.datasets import REASONS, Bin, Report, Share
from webui.training_histogram import Bar, histogram_html
from webui.words import clock, counted

LEGEND = (
    '<p class="quiet"><span class="legend" aria-hidden="true"></span>kept'
    '<span class="legend dropped" aria-hidden="true"></span>dropped</p>'
)


def report_html(report: Report) -> str:
    """Draw the report."""
    return f'<div class="report" data-key="report">{"".join(_parts(report))}</div>'


def _parts(report: Report) -> Iterator[str]:
    yield f'<ul class="sums" data-key="sums">{"".join(_sums(report))}</ul>'
    if report.remarks:
        lines = "".join(f'<p class="warning">{escape(line)}</p>' for line in report.remarks)
        yield f'<div class="jobs" data-key="remarks">{lines}</div>'
    charts = histogram_html("Length", "s", _bars(report.lengths)) + histogram_html(
        "Loudness", "LUFS", _bars(report.levels)
    )
    if charts:
        yield f'<div class="charts" data-key="charts">{charts}</div>{LEGEND}'
    yield _reasons("Dropped, and why", report.dropped_by)
    yield _reasons("Kept, but worth a look", report.marked_by)
    yield _failed(report)


def _sums(report: Report) -> Iterator[str]:
    sums = (
        ("Kept", report.kept),
        ("Dropped", report.dropped),
        ("To learn from", report.train),
        ("To judge by", report.validation),
    )
    for label, share in sums:
        yield (
            f"<li><span class='quiet'>{label}</span><b>{clock(share.seconds)}</b>"
            f"<span class='quiet'>{counted(share.clips, 'clip')}</span></li>"
        )


def _bars(bins: Sequence[Bin]) -> list[Bar]:
    return [Bar(low=one.low, high=one.high, kept=one.kept, dropped=one.dropped) for one in bins]


def _reasons(caption: str, shares: Mapping[str, Share]) -> str:
    """How much each reason took, each with a button that shows its clips."""
    if not shares:
        return ""
    rows = "".join(_reason(reason, share) for reason, share in shares.items())
    return (
        f'<table data-key="{caption}"><caption>{caption}</caption><thead><tr>'
        '<th scope="col">Because</th><th scope="col" class="number">Clips</th>'
        '<th scope="col" class="number">Time</th><td></td></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _reason(reason: str, share: Share) -> str:
    words = REASONS.get(reason, reason)
    return (
        f'<tr><th scope="row">{escape(words)}</th><td class="number">{share.clips:,}</td>'
        f'<td class="number">{clock(share.seconds)}</td><td class="number"><button type="button" '
        f'class="small" data-act="show" data-value="{escape(reason)}" '
        f'aria-label="Show: {escape(words)}">Show</button></td></tr>'
    )


def _failed(report: Report) -> str:
    """Recordings that could not be used at all."""
    if not report.failed:
        return ""
    rows = "".join(
        f"<li><strong>{escape(path)}</strong>: {escape(message)}</li>"
        for path, message in report.failed
    )
    many = counted(len(report.failed), "recording")
    return (
        f'<details data-key="failed" open><summary>{many} could not be used</summary>'
        f'<ul class="looked-at">{rows}</ul></details>'
    )
