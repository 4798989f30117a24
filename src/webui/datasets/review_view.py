"""HTML of a dataset: the report, and the list of clips to review."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from core.paths import ProjectPaths
from jobs.models import Job
from studio.datasets.service import CLIP_REASONS, ClipRow, DatasetReport, HistogramBin
from webui.components.charts import Bar, chart_text_html, summarize_histogram
from webui.components.file_links import get_file_url
from webui.components.job_card import failure_html, progress_bar_html
from webui.components.templates import render

PAGE_SIZE = 25
LOW_CONFIDENCE = 0.6  # texts below this are doubtful
KEYBOARD_SHORTCUTS = (
    ("J or ↓", "next clip"),
    ("K or ↑", "previous clip"),
    ("Space", "play or pause"),
    ("Enter", "edit the text; Enter again saves, Escape cancels"),
    ("A", "accept"),
    ("D", "drop"),
    ("R", "restore"),
    ("M", "join with next"),
    ("S", "split"),
    ("?", "show or hide these keys"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewListing:
    """A page of clips. total: clips that match;  page: from 0;  all: clips in the dataset."""

    rows: Sequence[ClipRow] = ()
    total: int = 0
    page: int = 0
    all: int = 0


def report_html(report: DatasetReport) -> str:
    """Render the kept and dropped clips by reason, with buttons that filter the list."""
    charts = (("Length", "s", report.lengths), ("Loudness", "LUFS", report.levels))
    texts = [summarize_histogram(title, unit, build_bars(bins)) for title, unit, bins in charts]
    return render(
        "datasets/report.html",
        report=report,
        chart_text=chart_text_html(texts),
        CLIP_REASONS=CLIP_REASONS,
    )


def report_link_html(name: str, path: Path | None, job: Job | None) -> str:
    """Render the link to the HTML report, or the progress or failure of the job that writes it."""
    has_failed = job is not None and job.failure is not None
    return render(
        "datasets/report_link.html",
        url=f"api/datasets/{quote(f'prepared/{name}')}/report" if path is not None else "",
        progress=progress_bar_html(job) if job is not None and not job.is_over else "",
        failure=failure_html(job) if job is not None and has_failed else "",
    )


def build_bars(bins: Sequence[HistogramBin]) -> list[Bar]:
    """Return the bars of a histogram."""
    return [Bar(low=one.low, high=one.high, kept=one.kept, dropped=one.dropped) for one in bins]


def review_html(name: str, listing: ReviewListing, layout: ProjectPaths) -> str:
    """Render a page of clips with their texts, tags and buttons."""
    return render(
        "datasets/review.html",
        dataset=name,
        listing=listing,
        file_url=lambda row: get_file_url(layout, str(layout.training / name / row.file)),
        get_facts=_get_facts,
        get_tags=_get_tags,
        is_doubtful=_is_doubtful,
        text_version=lambda row: sha256(row.text.encode()).hexdigest()[:8],
        KEYBOARD_SHORTCUTS=KEYBOARD_SHORTCUTS,
        PAGE_SIZE=PAGE_SIZE,
    )


def _is_doubtful(row: ClipRow) -> bool:
    return bool(row.reason) or (
        not row.edited and row.confidence is not None and row.confidence < LOW_CONFIDENCE
    )


def _get_tags(row: ClipRow) -> Iterator[tuple[str, str, str]]:
    """Yield (class, sign, label); a kept clip may have a reason to check it, too."""
    reason = CLIP_REASONS.get(row.reason, "")
    if not row.kept:
        yield "dropped", "✕", f"Dropped: {reason or 'left out'}"
    elif reason:
        yield "doubtful", "!", reason[:1].upper() + reason[1:]
    elif _is_doubtful(row):
        yield "doubtful", "!", "Low confidence"
    if row.edited:
        yield "edited", "✎", "Edited by you"


def _get_facts(row: ClipRow) -> Iterator[str]:
    yield f"{row.seconds:.1f} s"
    yield f"{row.words_per_s:.1f} words/s"
    if row.confidence is not None:
        yield f"{row.confidence:.0%} confidence"
    if row.level_db is not None:
        yield f"level {_format_signed(row.level_db)} dB"
    if row.snr_db is not None:
        yield f"SNR {_format_signed(row.snr_db)} dB"
    if row.clipped_share:
        yield f"{row.clipped_share:.2%} clipped"
    if row.kept and row.part:
        yield {"train": "training", "validation": "validation"}[row.part]
    minutes, seconds = divmod(row.start_s, 60)
    yield f"{Path(row.source).name} at {int(minutes)}:{seconds:04.1f}"


def _format_signed(number: float) -> str:
    return f"{number:.0f}".replace("-", "−")
