"""Beside the list of the tab History: one clip with its settings, two to compare, or the bin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from core.errors import AppError
from core.formatting import format_count, format_timestamp
from studio.history.query import ClipFile, ClipSummary
from studio.history.service import History
from studio.history.trash import Deletion
from studio.schemas.take_metadata import TakeMetadata, to_json
from webui.components.file_links import get_file_url
from webui.components.messages import error_html
from webui.history.list_view import HistoryViewState, clip_text_html

MAX_TRASH_ROWS = 50  # deletions listed; older ones come up as these are brought back


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipDetails:
    """One clip with all that is known of it; record: None where it carries no settings."""

    row: ClipSummary
    parts: Sequence[ClipFile]
    record: TakeMetadata | None


def detail_panel_html(history: History, view: HistoryViewState, can_show: bool) -> str:
    """Draw what the browser has opened; nothing where nothing is.

    can_show: whether a folder can be opened on this machine for whoever looks.
    """
    try:
        if view.is_trash_open:
            return _render_trash(history, view)
        opened = [_load_clip_details(history, ref) for ref in view.open_refs]
        if len(opened) == 2:
            return _render_comparison(history, opened)
        return _render_clip(history, opened[0], can_show) if opened else ""
    except AppError as cause:
        return (
            f'<section class="job" data-key="gone">{error_html(cause)}'
            f"{_render_close_button()}</section>"
        )


def _load_clip_details(history: History, ref: str) -> ClipDetails:
    row = history.get_clip(ref)
    record = None
    if not row.foreign:
        record = history.read_metadata(row.path)
    return ClipDetails(row=row, parts=history.list_files(ref), record=record)


def _render_clip(history: History, clip: ClipDetails, can_show: bool) -> str:
    row = clip.row
    text = clip.record.text if clip.record is not None else ""
    parts = [
        f"<header><h3>{escape(row.name)}</h3>{_render_close_button()}</header>",
        f'<p class="heard">{escape(text) or clip_text_html(row)}</p>',
        _render_player(history, row.path),
        *_render_warnings(row),
        _render_buttons(
            clip, can_show, get_file_url(history.layout, str(history.layout.results / row.path))
        ),
        _render_rename_form(row),
        *_render_candidates_and_lines(history, clip.parts),
    ]
    if clip.record is not None:
        parts += [_render_settings(clip.record), _render_json(clip.record)]
    return (
        f'<section class="job opened" data-key="opened-{escape(row.ref)}" '
        f'aria-label="Clip {escape(row.name)}">{"".join(parts)}</section>'
    )


def _render_warnings(row: ClipSummary) -> Iterator[str]:
    if row.foreign:
        yield (
            '<p class="warning">It carries no settings that can be read: it comes from elsewhere, '
            "or is damaged.</p>"
        )
    if not row.whole:
        yield (
            '<p class="warning">This clip was not finished: these are the lines spoken so far. '
            "Its job on the tab Generate can go on.</p>"
        )
    yield (
        f'<p class="quiet">{escape(row.path)} · {_format_size(row.size)} · '
        f"{format_timestamp(row.created)}</p>"
    )


def _render_buttons(clip: ClipDetails, can_show: bool, link: str) -> str:
    row, ref = clip.row, escape(clip.row.ref)
    star = "Remove star" if row.starred else "Star"
    buttons = []
    if clip.record is not None:
        buttons.append(
            f'<button type="button" class="small strong" id="history-copy" data-act="copy" '
            f'data-ref="{escape(row.path)}">Copy Settings to Generate</button>'
        )
    buttons += [
        f'<button type="button" class="small" id="history-star-opened" data-act="star-one" '
        f'data-ref="{ref}" aria-pressed="{str(row.starred).lower()}">{star}</button>',
        f'<a class="small" id="history-download" href="{escape(link)}&amp;download=1" download>'
        "Download</a>",
    ]
    if can_show:
        buttons.append(
            f'<button type="button" class="small" id="history-show" data-act="show" '
            f'data-ref="{ref}">Show in folder</button>'
        )
    buttons.append(
        f'<button type="button" class="small danger" id="history-delete-opened" '
        f'data-act="delete-one" data-ref="{ref}">Delete</button>'
    )
    return f'<div class="buttons">{"".join(buttons)}</div>'


def _render_rename_form(row: ClipSummary) -> str:
    ref, name = escape(row.ref), escape(row.name)
    return (
        '<div class="naming"><label for="history-name">Name</label>'
        f'<input type="text" id="history-name" data-name="{ref}" value="{name}" maxlength="100" '
        'autocomplete="off" spellcheck="false">'
        f'<button type="button" class="small" id="history-rename" data-act="rename" '
        f'data-ref="{ref}">Rename</button></div>'
    )


def _render_candidates_and_lines(history: History, parts: Sequence[ClipFile]) -> Iterator[str]:
    """The candidates of the whole clip, and the takes of its lines."""
    candidates = [part for part in parts if part.line == 0]
    if len(candidates) > 1:
        drawn = "".join(
            _render_take(history, part, f"Take {part.candidate}") for part in candidates
        )
        yield _render_details("Candidates", f"{len(candidates)} candidates", drawn)
    lines = [(line, list(takes)) for line, takes in groupby(parts, lambda part: part.line) if line]
    if len(lines) > 1 or (lines and not candidates):
        drawn = "".join(
            _render_take(history, part, _format_line_label(line, part, len(takes)))
            for line, takes in lines
            for part in takes
        )
        yield _render_details("Lines", format_count(len(lines), "line"), drawn)


def _format_line_label(line: int, part: ClipFile, takes: int) -> str:
    return f"Line {line}, take {part.candidate}" if takes > 1 else f"Line {line}"


def _render_take(history: History, part: ClipFile, label: str) -> str:
    words = " ".join(part.text.split())
    score = "" if part.score is None else f' <span class="quiet">score {part.score:.3g}</span>'
    told = f": {escape(words[:200])}" if words and part.line else ""
    return (
        f'<figure class="take" data-key="{escape(part.path)}"><figcaption><strong>{label}</strong>'
        f"{told}{score}</figcaption>{_render_player(history, part.path)}</figure>"
    )


def _render_details(kind: str, label: str, drawn: str) -> str:
    return (
        f'<details data-key="{kind}"><summary>{label}</summary><div class="takes">{drawn}</div>'
        "</details>"
    )


def _render_player(history: History, path: str, key: str = "") -> str:
    link = escape(get_file_url(history.layout, str(history.layout.results / path)))
    sign = f'<kbd title="Press {key} to play">{key}</kbd>' if key else ""
    return (
        f'<div class="player">{sign}<audio controls preload="metadata" src="{link}" '
        f'aria-label="{escape(path)}"></audio></div>'
    )


def _render_comparison(history: History, clips: Sequence[ClipDetails]) -> str:
    """Two clips side by side, and what differs between their settings."""
    sides = "".join(
        f'<figure class="take" data-key="{escape(clip.row.ref)}"><figcaption><strong>{letter}'
        f"</strong> {clip_text_html(clip.row)}</figcaption>"
        f"{_render_player(history, clip.row.path, key)}"
        f'<p class="quiet">{escape(clip.row.name)}</p></figure>'
        for letter, key, clip in zip("AB", "12", clips, strict=True)
    )
    key = "|".join(clip.row.ref for clip in clips)
    return (
        f'<section class="job compared" data-key="compared-{escape(key)}" aria-label="Two clips">'
        f"<header><h3>Compare by ear</h3>{_render_close_button()}</header>"
        '<p class="quiet">Press <kbd>1</kbd> and <kbd>2</kbd> to hear one or the other.</p>'
        f'<div class="takes side-by-side">{sides}</div>{_render_differences(clips)}</section>'
    )


def _render_differences(clips: Sequence[ClipDetails]) -> str:
    facts = [format_settings(clip.record) if clip.record is not None else {} for clip in clips]
    names = dict.fromkeys(name for side in facts for name in side)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(side.get(name, '—'))}</td>" for side in facts)
        + "</tr>"
        for name in names
        if facts[0].get(name) != facts[1].get(name)
    )
    if not rows:
        return '<p class="quiet">Their settings do not differ.</p>'
    return (
        '<table class="facts"><caption>What differs</caption><thead><tr><th scope="col">Setting'
        f'</th><th scope="col">A</th><th scope="col">B</th></tr></thead><tbody>{rows}</tbody>'
        "</table>"
    )


def format_settings(record: TakeMetadata) -> dict[str, str]:
    """Return how a take was spoken, name by name, as people read it."""
    told = {
        "text": record.text,
        "voice": record.voice,
        "engine": record.engine,
        "model": record.bundle,
        "weights": record.weights_id,
        "seed": str(record.seed),
        **_format_options(record.options, ("seed",)),
        **_format_options(record.delivery, ()),
        "spoken": record.created,
        "length": f"{record.duration_s:.2f} s",
        "machine": ", ".join(filter(None, (record.machine.device, record.machine.torch))),
        "seconds of work": ", ".join(f"{name} {took:g}" for name, took in record.took.items()),
        "warnings": " ".join(record.warnings),
    }
    if record.score is not None:
        told["score"] = f"{record.score:.4g}"
    return {name: value for name, value in told.items() if value}


def _format_options(values: Mapping[str, object], without: Sequence[str]) -> dict[str, str]:
    words = {True: "on", False: "off"}
    return {
        name.replace("_", " "): words[value] if isinstance(value, bool) else str(value)
        for name, value in values.items()
        if name not in without and value is not None
    }


def _render_settings(record: TakeMetadata) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in format_settings(record).items()
        if name != "text"
    )
    return (
        '<details open data-key="settings"><summary>Settings</summary><table class="facts">'
        f"<tbody>{rows}</tbody></table></details>"
    )


def _render_json(record: TakeMetadata) -> str:
    text = escape(to_json(record))
    return (
        '<details data-key="json"><summary>Settings as JSON</summary>'
        f'<pre class="json" tabindex="0">{text}</pre><button type="button" class="small" '
        f'id="history-copy-json" data-copy="{text}">Copy the JSON</button></details>'
    )


def _render_trash(history: History, view: HistoryViewState) -> str:
    found = history.list_trash()
    listed = "".join(_render_trash_entry(one) for one in found[:MAX_TRASH_ROWS])
    if not found:
        inside = '<p class="quiet">The bin is empty.</p>'
    elif view.is_confirming:
        inside = (
            f'<p class="warning">This deletes {_format_size(history.compute_trash_size())} for '
            f"good.</p>"
            '<div class="buttons"><button type="button" class="small danger" '
            'id="history-empty-really" data-act="empty-really">Delete for good</button>'
            '<button type="button" class="small" data-act="bin-open">Keep it</button></div>'
        )
    else:
        inside = (
            '<div class="buttons"><button type="button" class="small danger" id="history-empty" '
            'data-act="empty">Empty the bin</button></div>'
        )
    return (
        '<section class="job binned" data-key="bin" aria-label="Bin"><header><h3>Bin</h3>'
        f'{_render_close_button()}</header>{inside}<ul class="deletions">{listed}</ul></section>'
    )


def _render_trash_entry(deletion: Deletion) -> str:
    names = ", ".join(clip.ref for clip in deletion.clips)
    short = names if len(names) <= 120 else names[:119] + "…"
    return (
        f'<li data-key="{escape(deletion.id)}"><span>{escape(short)} <span class="quiet">'
        f'{format_timestamp(deletion.when)}</span></span><button type="button" class="small" '
        f'data-act="undo" '
        f'data-ref="{escape(deletion.id)}">Bring back</button></li>'
    )


def _render_close_button() -> str:
    return (
        '<button type="button" class="small close" id="history-close" data-act="close" '
        'aria-label="Close">Close</button>'
    )


def _format_size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
