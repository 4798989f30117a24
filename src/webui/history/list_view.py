"""The list of the tab History: one page of clips, and what can be done with the chosen ones.

Everything that came from a user or a file is escaped; buttons say in data-act what they want.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from html import escape

from core.background import BackgroundTask
from core.error_classifier import format_user_message
from core.errors import AppError
from core.formatting import format_clock, format_count, format_timestamp
from core.paths import ProjectPaths
from core.progress import Cancelled
from studio.history.query import PAGE_SIZE, ClipSummary, HistoryPage, Search
from studio.history.service import ScanStatus
from webui.components.file_links import get_file_url
from webui.components.messages import error_html, note_html

EMPTY_HTML = (
    '<p class="hint" data-key="empty">No clips yet. What you speak on the tab '
    "<strong>Generate</strong> is kept here, to be heard, compared and used again.</p>"
)
NO_RESULTS_HTML = (
    '<p class="hint" data-key="empty">No clip fits. Use fewer words, or take a filter away.</p>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryViewState:
    """What one browser looks at.

    page: from 0;  opened: the clips in the panel, two to compare them;  binned: the bin is shown;
    sure: asked whether the bin shall really be emptied;  told: what came of the last button, HTML;
    every: all clips of a search, where they were chosen at once;  errand: what is being done.
    """

    page: int = 0
    open_refs: tuple[str, ...] = ()
    is_trash_open: bool = False
    is_confirming: bool = False
    message_html: str = ""
    bulk_selection: tuple[str, ...] = ()
    background_task: BackgroundTask[Callable[[HistoryViewState], HistoryViewState]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListContext:
    """What is in the list, and how it came to be there; listing: None where it cannot be told."""

    layout: ProjectPaths
    search: Search
    listing: HistoryPage | None
    view: HistoryViewState
    scan_status: ScanStatus


def history_html(shelf: ListContext, panel: str) -> str:
    """Draw the whole tab below its filters; panel: HTML of what is opened, or of the bin."""
    told = f'<div class="history-told" data-key="told">{_render_message(shelf.view)}</div>'
    mark = " has-panel" if panel else ""
    return (
        f'<div class="history{mark}" data-key="history">{told}'
        f'<div class="found" data-key="found">{"".join(_render_list(shelf))}</div>'
        f'<div class="panel" data-key="panel">{panel}</div></div>'
    )


def apply_finished_task(view: HistoryViewState) -> HistoryViewState:
    """Return the view as it is once what was being done is done; as it is where it is not."""
    errand = view.background_task
    if errand is None or not errand.is_over:
        return view
    view, problem = replace(view, background_task=None), errand.problem
    if problem is None:
        return errand.result()(view)
    if isinstance(problem, Cancelled):
        return replace(view, message_html=note_html("Stopped."))
    return replace(view, message_html=error_html(AppError(format_user_message(problem))))


def _render_message(view: HistoryViewState) -> str:
    """What came of the last button, or how far it is."""
    if view.background_task is None:
        return view.message_html
    done, total = view.background_task.progress
    label = escape(view.background_task.label)
    if not total:
        return f'<p class="note" role="status">{label} …</p>'
    return (
        f'<p class="note undo" role="status">{label}: {done:,} of {total:,} <button type="button" '
        'class="small" id="history-stop" data-act="stop">Stop</button></p>'
    )


def _render_list(shelf: ListContext) -> Iterator[str]:
    listing = shelf.listing
    if listing is None:
        return
    total = listing.total
    yield (
        f'<p class="quiet counted" data-key="counted" role="status">{format_count(total, "clip")}'
        f"{_format_scan_status(shelf.scan_status)}</p>"
    )
    yield _render_selection_bar(listing, shelf.view)
    if total:
        every = set(shelf.view.bulk_selection)
        rows = "".join(_render_row(row, shelf, row.ref in every) for row in listing.rows)
        yield f'<ul class="clips" data-key="clips" aria-label="Clips">{rows}</ul>'
    elif not shelf.scan_status.running:
        yield EMPTY_HTML if shelf.search == Search(order=shelf.search.order) else NO_RESULTS_HTML
    yield _render_pagination(total, shelf.view.page)


def _format_scan_status(looking: ScanStatus) -> str:
    if looking.problem:
        return f" · could not look at the disk: {escape(looking.problem)}"
    if not looking.running or not looking.total:
        return ""
    return f" · reading new clips: {looking.done:,} of {looking.total:,}"


def _render_selection_bar(listing: HistoryPage, view: HistoryViewState) -> str:
    """The buttons for the chosen clips; the page enables them as clips are chosen."""
    every = (
        f'<button type="button" class="small" id="history-every" data-act="all-found">'
        f"Choose all {listing.total:,} found</button>"
        if listing.total > len(listing.rows)
        else ""
    )
    buttons = (
        ("compare", "Compare two", "2"),
        ("star", "Star", "1"),
        ("unstar", "Remove star", "1"),
        ("export", "Export as zip", "1"),
        ("delete", "Delete", "1"),
        ("clear", "Choose none", "1"),
    )
    drawn = "".join(
        f'<button type="button" class="small" id="history-{act}" data-act="{act}" data-needs="'
        f'{needs}" disabled>{label}</button>'
        for act, label, needs in buttons
    )
    return (
        f'<div class="chosen" data-key="chosen" data-all="{len(view.bulk_selection)}">'
        '<label class="all"><input type="checkbox" id="history-all"> '
        f"<span>All on this page</span></label>{every}"
        '<span class="quiet how-many" id="history-chosen" role="status">None chosen</span>'
        f'<div class="buttons">{drawn}<button type="button" class="small" id="history-bin" '
        'data-act="bin">Bin</button></div></div>'
    )


def _render_row(row: ClipSummary, shelf: ListContext, is_chosen: bool) -> str:
    ref, name = escape(row.ref), escape(row.name)
    link = escape(get_file_url(shelf.layout, str(shelf.layout.results / row.path)))
    current = ' aria-current="true"' if row.ref in shelf.view.open_refs else ""
    among = " data-among" if is_chosen else ""
    star, pressed = ("★", "true") if row.starred else ("☆", "false")
    return (
        f'<li class="clip" data-key="{ref}"{current}{among}>'
        f'<input type="checkbox" data-ref="{ref}" aria-label="Choose {name}">'
        f'<button type="button" class="play" data-play="{link}" aria-label="Play {name}" '
        'title="Play"><span aria-hidden="true">▶</span></button>'
        f'<button type="button" class="open" data-act="open" data-ref="{ref}">'
        f'<span class="said">{clip_text_html(row)}</span>'
        f'<span class="quiet">{escape(" · ".join(_get_facts(row)))}</span></button>'
        f'<button type="button" class="star" data-act="star-one" data-ref="{ref}" '
        f'aria-pressed="{pressed}" aria-label="Star for {name}" title="Star">'
        f'<span aria-hidden="true">{star}</span></button></li>'
    )


def clip_text_html(row: ClipSummary) -> str:
    """What a clip says, or its name where it does not tell; HTML."""
    words = " ".join(row.text.split())
    return escape(words) if words else f"<em>{escape(row.name)}</em>"


def _get_facts(row: ClipSummary) -> Iterator[str]:
    yield row.speaker or row.voice or "no voice"
    if row.seconds is not None:
        yield format_clock(row.seconds)
    yield format_timestamp(row.created)
    if row.score is not None:
        yield f"score {row.score:.3g}"
    if row.candidates > 1:
        yield format_count(row.candidates, "candidate")
    if row.lines > 1:
        yield format_count(row.lines, "line")
    if not row.whole:
        yield "not finished"
    if row.foreign:
        yield "no settings inside"


def _render_pagination(total: int, page: int) -> str:
    if total <= PAGE_SIZE:
        return ""
    first, last = page * PAGE_SIZE + 1, min(total, (page + 1) * PAGE_SIZE)
    before = "" if page else " disabled"
    after = "" if last < total else " disabled"
    return (
        '<nav class="pages" data-key="pages" aria-label="Pages">'
        f'<button type="button" class="small" id="history-before" data-act="before"{before}>'
        f'Back</button><span class="quiet">{first:,} to {last:,} of {total:,}</span>'
        f'<button type="button" class="small" id="history-after" data-act="after"{after}>'
        "Further</button></nav>"
    )
