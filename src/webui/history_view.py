"""The list of the tab History: one page of clips, and what can be done with the chosen ones.

Everything that came from a user or a file is escaped; buttons say in data-act what they want.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from html import escape

from jobs.report import Cancelled
from studio.beside import Errand
from studio.causes import told
from studio.errors import StudioError
from studio.history import Looking
from studio.history_query import PAGE, Listing, Row, Search
from studio.layout import Layout
from webui.links import link_of
from webui.messages import note, refusal
from webui.words import clock, counted

EMPTY = (
    '<p class="hint" data-key="empty">No clips yet. What you speak on the tab '
    "<strong>Generate</strong> is kept here, to be heard, compared and used again.</p>"
)
NOTHING_FITS = (
    '<p class="hint" data-key="empty">No clip fits. Use fewer words, or take a filter away.</p>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one browser looks at.

    page: from 0;  opened: the clips in the panel, two to compare them;  binned: the bin is shown;
    sure: asked whether the bin shall really be emptied;  told: what came of the last button, HTML;
    every: all clips of a search, where they were chosen at once;  errand: what is being done.
    """

    page: int = 0
    opened: tuple[str, ...] = ()
    binned: bool = False
    sure: bool = False
    told: str = ""
    every: tuple[str, ...] = ()
    errand: Errand[Callable[[View], View]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What is in the list, and how it came to be there; listing: None where it cannot be told."""

    layout: Layout
    search: Search
    listing: Listing | None
    view: View
    looking: Looking


def drawn(shelf: Shelf, panel: str) -> str:
    """Draw the whole tab below its filters; panel: HTML of what is opened, or of the bin."""
    told = f'<div class="history-told" data-key="told">{_told(shelf.view)}</div>'
    mark = " has-panel" if panel else ""
    return (
        f'<div class="history{mark}" data-key="history">{told}'
        f'<div class="found" data-key="found">{"".join(_found(shelf))}</div>'
        f'<div class="panel" data-key="panel">{panel}</div></div>'
    )


def settled(view: View) -> View:
    """Return the view as it is once what was being done is done; as it is where it is not."""
    errand = view.errand
    if errand is None or not errand.is_over:
        return view
    view, problem = replace(view, errand=None), errand.problem
    if problem is None:
        return errand.result()(view)
    if isinstance(problem, Cancelled):
        return replace(view, told=note("Stopped."))
    return replace(view, told=refusal(StudioError(told(problem))))


def _told(view: View) -> str:
    """What came of the last button, or how far it is."""
    if view.errand is None:
        return view.told
    done, total = view.errand.progress
    label = escape(view.errand.label)
    if not total:
        return f'<p class="note" role="status">{label} …</p>'
    return (
        f'<p class="note undo" role="status">{label}: {done:,} of {total:,} <button type="button" '
        'class="small" id="history-stop" data-act="stop">Stop</button></p>'
    )


def _found(shelf: Shelf) -> Iterator[str]:
    listing = shelf.listing
    if listing is None:
        return
    total = listing.total
    yield (
        f'<p class="quiet counted" data-key="counted" role="status">{counted(total, "clip")}'
        f"{_looking(shelf.looking)}</p>"
    )
    yield _chosen(listing, shelf.view)
    if total:
        every = set(shelf.view.every)
        rows = "".join(_row(row, shelf, row.ref in every) for row in listing.rows)
        yield f'<ul class="clips" data-key="clips" aria-label="Clips">{rows}</ul>'
    elif not shelf.looking.running:
        yield EMPTY if shelf.search == Search(order=shelf.search.order) else NOTHING_FITS
    yield _pages(total, shelf.view.page)


def _looking(looking: Looking) -> str:
    if looking.problem:
        return f" · could not look at the disk: {escape(looking.problem)}"
    if not looking.running or not looking.total:
        return ""
    return f" · reading new clips: {looking.done:,} of {looking.total:,}"


def _chosen(listing: Listing, view: View) -> str:
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
        f'<div class="chosen" data-key="chosen" data-all="{len(view.every)}">'
        '<label class="all"><input type="checkbox" id="history-all"> '
        f"<span>All on this page</span></label>{every}"
        '<span class="quiet how-many" id="history-chosen" role="status">None chosen</span>'
        f'<div class="buttons">{drawn}<button type="button" class="small" id="history-bin" '
        'data-act="bin">Bin</button></div></div>'
    )


def _row(row: Row, shelf: Shelf, is_chosen: bool) -> str:
    ref, name = escape(row.ref), escape(row.name)
    link = escape(link_of(shelf.layout, str(shelf.layout.results / row.path)))
    current = ' aria-current="true"' if row.ref in shelf.view.opened else ""
    among = " data-among" if is_chosen else ""
    star, pressed = ("★", "true") if row.starred else ("☆", "false")
    return (
        f'<li class="clip" data-key="{ref}"{current}{among}>'
        f'<input type="checkbox" data-ref="{ref}" aria-label="Choose {name}">'
        f'<button type="button" class="play" data-play="{link}" aria-label="Play {name}" '
        'title="Play"><span aria-hidden="true">▶</span></button>'
        f'<button type="button" class="open" data-act="open" data-ref="{ref}">'
        f'<span class="said">{said(row)}</span>'
        f'<span class="quiet">{escape(" · ".join(_facts(row)))}</span></button>'
        f'<button type="button" class="star" data-act="star-one" data-ref="{ref}" '
        f'aria-pressed="{pressed}" aria-label="Star for {name}" title="Star">'
        f'<span aria-hidden="true">{star}</span></button></li>'
    )


def said(row: Row) -> str:
    """What a clip says, or its name where it does not tell; HTML."""
    words = " ".join(row.text.split())
    return escape(words) if words else f"<em>{escape(row.name)}</em>"


def _facts(row: Row) -> Iterator[str]:
    yield row.speaker or row.voice or "no voice"
    if row.seconds is not None:
        yield clock(row.seconds)
    yield when(row.created)
    if row.score is not None:
        yield f"score {row.score:.3g}"
    if row.candidates > 1:
        yield counted(row.candidates, "candidate")
    if row.lines > 1:
        yield counted(row.lines, "line")
    if not row.whole:
        yield "not finished"
    if row.foreign:
        yield "no settings inside"


def when(moment: float) -> str:
    """Say a time as people write it."""
    try:
        return datetime.fromtimestamp(moment).strftime("%d %b %Y, %H:%M").lstrip("0")
    except (ValueError, OverflowError, OSError):
        return "some time"


def _pages(total: int, page: int) -> str:
    if total <= PAGE:
        return ""
    first, last = page * PAGE + 1, min(total, (page + 1) * PAGE)
    before = "" if page else " disabled"
    after = "" if last < total else " disabled"
    return (
        '<nav class="pages" data-key="pages" aria-label="Pages">'
        f'<button type="button" class="small" id="history-before" data-act="before"{before}>'
        f'Back</button><span class="quiet">{first:,} to {last:,} of {total:,}</span>'
        f'<button type="button" class="small" id="history-after" data-act="after"{after}>'
        "Further</button></nav>"
    )
