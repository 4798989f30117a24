"""Beside the list of the tab History: one clip with its settings, two to compare, or the bin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from studio.errors import StudioError
from studio.history import History
from studio.history_bin import Deletion
from studio.history_query import Part, Row
from studio.takes import TakeRecord, to_json
from webui.history_view import View, said, when
from webui.links import link_of
from webui.messages import refusal
from webui.words import counted

MOST_BINNED = 50  # deletions listed; older ones come up as these are brought back


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """One clip with all that is known of it; record: None where it carries no settings."""

    row: Row
    parts: Sequence[Part]
    record: TakeRecord | None


def panel_of(history: History, view: View, can_show: bool) -> str:
    """Draw what the browser has opened; nothing where nothing is.

    can_show: whether a folder can be opened on this machine for whoever looks.
    """
    try:
        if view.binned:
            return _bin(history, view)
        opened = [_opened(history, ref) for ref in view.opened]
        if len(opened) == 2:
            return _compared(history, opened)
        return _clip(history, opened[0], can_show) if opened else ""
    except StudioError as cause:
        return f'<section class="job" data-key="gone">{refusal(cause)}{_close()}</section>'


def _opened(history: History, ref: str) -> Opened:
    row = history.row(ref)
    record = None
    if not row.foreign:
        record = history.record(row.path)
    return Opened(row=row, parts=history.parts(ref), record=record)


def _clip(history: History, clip: Opened, can_show: bool) -> str:
    row = clip.row
    text = clip.record.text if clip.record is not None else ""
    parts = [
        f"<header><h3>{escape(row.name)}</h3>{_close()}</header>",
        f'<p class="heard">{escape(text) or said(row)}</p>',
        _player(history, row.path),
        *_remarks(row),
        _buttons(clip, can_show, link_of(history.layout, str(history.layout.results / row.path))),
        _rename(row),
        *_others(history, clip.parts),
    ]
    if clip.record is not None:
        parts += [_settings(clip.record), _json(clip.record)]
    return (
        f'<section class="job opened" data-key="opened-{escape(row.ref)}" '
        f'aria-label="Clip {escape(row.name)}">{"".join(parts)}</section>'
    )


def _remarks(row: Row) -> Iterator[str]:
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
    yield f'<p class="quiet">{escape(row.path)} · {_size(row.size)} · {when(row.created)}</p>'


def _buttons(clip: Opened, can_show: bool, link: str) -> str:
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


def _rename(row: Row) -> str:
    ref, name = escape(row.ref), escape(row.name)
    return (
        '<div class="naming"><label for="history-name">Name</label>'
        f'<input type="text" id="history-name" data-name="{ref}" value="{name}" maxlength="100" '
        'autocomplete="off" spellcheck="false">'
        f'<button type="button" class="small" id="history-rename" data-act="rename" '
        f'data-ref="{ref}">Rename</button></div>'
    )


def _others(history: History, parts: Sequence[Part]) -> Iterator[str]:
    """The candidates of the whole clip, and the takes of its lines."""
    candidates = [part for part in parts if part.line == 0]
    if len(candidates) > 1:
        drawn = "".join(_take(history, part, f"Take {part.candidate}") for part in candidates)
        yield _folded("Candidates", f"{len(candidates)} candidates", drawn)
    lines = [(line, list(takes)) for line, takes in groupby(parts, lambda part: part.line) if line]
    if len(lines) > 1 or (lines and not candidates):
        drawn = "".join(
            _take(history, part, _line_named(line, part, len(takes)))
            for line, takes in lines
            for part in takes
        )
        yield _folded("Lines", counted(len(lines), "line"), drawn)


def _line_named(line: int, part: Part, takes: int) -> str:
    return f"Line {line}, take {part.candidate}" if takes > 1 else f"Line {line}"


def _take(history: History, part: Part, label: str) -> str:
    words = " ".join(part.text.split())
    score = "" if part.score is None else f' <span class="quiet">score {part.score:.3g}</span>'
    told = f": {escape(words[:200])}" if words and part.line else ""
    return (
        f'<figure class="take" data-key="{escape(part.path)}"><figcaption><strong>{label}</strong>'
        f"{told}{score}</figcaption>{_player(history, part.path)}</figure>"
    )


def _folded(kind: str, label: str, drawn: str) -> str:
    return (
        f'<details data-key="{kind}"><summary>{label}</summary><div class="takes">{drawn}</div>'
        "</details>"
    )


def _player(history: History, path: str, key: str = "") -> str:
    link = escape(link_of(history.layout, str(history.layout.results / path)))
    sign = f'<kbd title="Press {key} to play">{key}</kbd>' if key else ""
    return (
        f'<div class="player">{sign}<audio controls preload="metadata" src="{link}" '
        f'aria-label="{escape(path)}"></audio></div>'
    )


def _compared(history: History, clips: Sequence[Opened]) -> str:
    """Two clips side by side, and what differs between their settings."""
    sides = "".join(
        f'<figure class="take" data-key="{escape(clip.row.ref)}"><figcaption><strong>{letter}'
        f"</strong> {said(clip.row)}</figcaption>{_player(history, clip.row.path, key)}"
        f'<p class="quiet">{escape(clip.row.name)}</p></figure>'
        for letter, key, clip in zip("AB", "12", clips, strict=True)
    )
    key = "|".join(clip.row.ref for clip in clips)
    return (
        f'<section class="job compared" data-key="compared-{escape(key)}" aria-label="Two clips">'
        f"<header><h3>Compare by ear</h3>{_close()}</header>"
        '<p class="quiet">Press <kbd>1</kbd> and <kbd>2</kbd> to hear one or the other.</p>'
        f'<div class="takes side-by-side">{sides}</div>{_differences(clips)}</section>'
    )


def _differences(clips: Sequence[Opened]) -> str:
    facts = [settings_of(clip.record) if clip.record is not None else {} for clip in clips]
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


def settings_of(record: TakeRecord) -> dict[str, str]:
    """Return how a take was spoken, name by name, as people read it."""
    told = {
        "text": record.text,
        "voice": record.voice,
        "engine": record.engine,
        "model": record.bundle,
        "weights": record.weights_id,
        "seed": str(record.seed),
        **_plain(record.options, ("seed",)),
        **_plain(record.delivery, ()),
        "spoken": record.created,
        "length": f"{record.duration_s:.2f} s",
        "machine": ", ".join(filter(None, (record.machine.device, record.machine.torch))),
        "seconds of work": ", ".join(f"{name} {took:g}" for name, took in record.took.items()),
        "warnings": " ".join(record.warnings),
    }
    if record.score is not None:
        told["score"] = f"{record.score:.4g}"
    return {name: value for name, value in told.items() if value}


def _plain(values: Mapping[str, object], without: Sequence[str]) -> dict[str, str]:
    words = {True: "on", False: "off"}
    return {
        name.replace("_", " "): words[value] if isinstance(value, bool) else str(value)
        for name, value in values.items()
        if name not in without and value is not None
    }


def _settings(record: TakeRecord) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in settings_of(record).items()
        if name != "text"
    )
    return (
        '<details open data-key="settings"><summary>Settings</summary><table class="facts">'
        f"<tbody>{rows}</tbody></table></details>"
    )


def _json(record: TakeRecord) -> str:
    text = escape(to_json(record))
    return (
        '<details data-key="json"><summary>Settings as JSON</summary>'
        f'<pre class="json" tabindex="0">{text}</pre><button type="button" class="small" '
        f'id="history-copy-json" data-copy="{text}">Copy the JSON</button></details>'
    )


def _bin(history: History, view: View) -> str:
    found = history.binned()
    listed = "".join(_deletion(one) for one in found[:MOST_BINNED])
    if not found:
        inside = '<p class="quiet">The bin is empty.</p>'
    elif view.sure:
        inside = (
            f'<p class="warning">This deletes {_size(history.bin_size())} for good.</p>'
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
        f'{_close()}</header>{inside}<ul class="deletions">{listed}</ul></section>'
    )


def _deletion(deletion: Deletion) -> str:
    names = ", ".join(clip.ref for clip in deletion.clips)
    short = names if len(names) <= 120 else names[:119] + "…"
    return (
        f'<li data-key="{escape(deletion.id)}"><span>{escape(short)} <span class="quiet">'
        f'{when(deletion.when)}</span></span><button type="button" class="small" data-act="undo" '
        f'data-ref="{escape(deletion.id)}">Bring back</button></li>'
    )


def _close() -> str:
    return (
        '<button type="button" class="small close" id="history-close" data-act="close" '
        'aria-label="Close">Close</button>'
    )


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
