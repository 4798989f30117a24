"""What the buttons of the tab History do. What a browser sends is only ever words and refs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from jobs.report import Reporter
from studio.beside import Errand
from studio.errors import StudioError
from studio.history import History
from studio.history_bin import Deletion
from studio.history_folder import show_folder
from studio.history_query import Search
from studio.takes import TakeRecord
from webui.history_view import View
from webui.messages import note
from webui.words import counted

MOST_CHOSEN = 10_000
LONGEST_REF = 1_000  # characters
SOON_S = 0.5  # what is done by then needs no word on how far it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a button asks for.

    ref: the one clip it stands beside;  refs: the chosen ones;  spared: those of all that were
    chosen at once that are not chosen after all;  name: what was typed;  search: whose clips the
    list shows;  is_here: whoever asks sits at this machine.
    """

    act: str = ""
    ref: str = ""
    refs: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()
    name: str = ""
    search: Search = field(default_factory=Search)
    is_here: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What comes of a button: what is looked at now, and a take to fill the form from."""

    view: View
    record: TakeRecord | None = None


def asked_of(data: Any) -> Asked:  # Any: whatever a browser sends
    """Read what a browser sent; what is no text counts as nothing."""
    told: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    return Asked(
        act=_word(told.get("act")),
        ref=_word(told.get("ref")),
        refs=_words(told.get("refs")),
        spared=_words(told.get("spared")),
        name=_word(told.get("name")),
    )


def act(history: History, view: View, asked: Asked) -> Outcome:
    """Do what a button asks for. Raises StudioError for what cannot be done."""
    wanted = ACTS.get(asked.act)
    if wanted is None:
        raise StudioError("The page asked for something that is not known. Reload it.")
    view = replace(view, told="", sure=False)
    return wanted(history, view, replace(asked, refs=_chosen(history, view, asked)))


def _chosen(history: History, view: View, asked: Asked) -> tuple[str, ...]:
    """Return what is chosen one by one, after what is left of all that were chosen at once."""
    spared = {*asked.spared, *asked.refs}
    return (*(ref for ref in history.still_there(view.every) if ref not in spared), *asked.refs)


def _words(value: Any) -> tuple[str, ...]:  # Any: whatever a browser sends
    return tuple(map(_word, value[:MOST_CHOSEN])) if isinstance(value, list) else ()


def _word(value: Any) -> str:  # Any: whatever a browser sends
    return value[:LONGEST_REF] if isinstance(value, str) else ""


def _open(history: History, view: View, asked: Asked) -> Outcome:
    return Outcome(view=replace(view, opened=(asked.ref,), binned=False))


def _close(history: History, view: View, asked: Asked) -> Outcome:
    return Outcome(view=replace(view, opened=(), binned=False))


def _compare(history: History, view: View, asked: Asked) -> Outcome:
    if len(asked.refs) != 2:
        raise StudioError(f"{counted(len(asked.refs), 'clip')} chosen. Choose two to compare.")
    return Outcome(view=replace(view, opened=asked.refs, binned=False))


def _before(history: History, view: View, asked: Asked) -> Outcome:
    return Outcome(view=replace(view, page=max(0, view.page - 1)))


def _after(history: History, view: View, asked: Asked) -> Outcome:
    return Outcome(view=replace(view, page=view.page + 1))


def _star(history: History, view: View, asked: Asked) -> Outcome:
    history.star(asked.refs, True)
    return _told(view, f"{counted(len(asked.refs), 'clip')} starred.")


def _unstar(history: History, view: View, asked: Asked) -> Outcome:
    history.star(asked.refs, False)
    return _told(view, f"Star removed from {counted(len(asked.refs), 'clip')}.")


def _star_one(history: History, view: View, asked: Asked) -> Outcome:
    history.star([asked.ref], not history.row(asked.ref).starred)
    return Outcome(view=view)


def _rename(history: History, view: View, asked: Asked) -> Outcome:
    new = history.rename(asked.ref, asked.name)
    opened = tuple(new if ref == asked.ref else ref for ref in view.opened)
    every = tuple(new if ref == asked.ref else ref for ref in view.every)
    return _told(replace(view, opened=opened, every=every), f"It is now named {new}.")


def _delete(history: History, view: View, asked: Asked) -> Outcome:
    def work(report: Reporter) -> Callable[[View], View]:
        deletion = history.delete(asked.refs)
        return lambda view: _deleted(view, deletion)

    begun = _begun(view, work, f"Moving {counted(len(asked.refs), 'clip')} to the bin")
    return replace(begun, view=replace(begun.view, every=()))


def _delete_one(history: History, view: View, asked: Asked) -> Outcome:
    return Outcome(view=_deleted(view, history.delete([asked.ref])))


def _deleted(view: View, deletion: Deletion) -> View:
    gone = {clip.ref for clip in deletion.clips}
    kept = view.opened if gone.isdisjoint(view.opened) else ()
    number = len(deletion.clips)
    words = f"{counted(number, 'clip')} {'is' if number == 1 else 'are'} in the bin."
    undo = (
        f'<p class="note undo" role="status">{words} <button type="button" class="small" '
        f'id="history-undo" data-act="undo" data-ref="{escape(deletion.id)}">Undo</button></p>'
    )
    return replace(view, opened=kept, told=undo)


def _undo(history: History, view: View, asked: Asked) -> Outcome:
    def work(report: Reporter) -> Callable[[View], View]:
        back = counted(len(history.undo(asked.ref or None)), "clip")
        return lambda view: replace(view, told=note(f"{back} back."))

    return _begun(view, work, "Bringing clips back")


def _every(history: History, view: View, asked: Asked) -> Outcome:
    found = tuple(history.matching(asked.search))
    total = history.find(asked.search, count=1).total
    view = replace(view, every=found)
    if total <= len(found):
        return Outcome(view=view)
    words = f"The first {len(found):,} of {total:,} are chosen; more cannot be taken at once."
    return _told(view, words)


def _none(history: History, view: View, asked: Asked) -> Outcome:
    return Outcome(view=replace(view, every=()))


def _stop(history: History, view: View, asked: Asked) -> Outcome:
    if view.errand is not None:
        view.errand.stop()
    return Outcome(view=view)


def _begun(view: View, work: Callable[[Reporter], Callable[[View], View]], label: str) -> Outcome:
    """Begin what may take long for many clips; what is soon done is shown at once."""
    if view.errand is not None:
        raise StudioError(f"{view.errand.label} is not done yet. Wait for it, or stop it.")
    errand = Errand(work, label)
    errand.wait(SOON_S)
    return Outcome(view=replace(view, errand=errand))


def _bin(history: History, view: View, asked: Asked) -> Outcome:
    return Outcome(view=replace(view, binned=not view.binned, opened=()))


def _bin_open(history: History, view: View, asked: Asked) -> Outcome:
    return Outcome(view=replace(view, binned=True))


def _empty(history: History, view: View, asked: Asked) -> Outcome:
    return Outcome(view=replace(view, sure=True))


def _empty_really(history: History, view: View, asked: Asked) -> Outcome:
    freed = history.empty_bin()
    return _told(view, f"The bin is empty; {freed / 1e6:.1f} MB are free.")


def _export(history: History, view: View, asked: Asked) -> Outcome:
    number = counted(len(set(asked.refs)), "clip")

    def work(report: Reporter) -> Callable[[View], View]:
        path = history.export(asked.refs, report)
        link = (
            f'<p class="note" role="status">{number} in a zip file: '
            f'<a class="small" id="history-zip" href="api/exports/{quote(path.name)}" download>'
            f"Save {escape(path.name)}</a></p>"
        )
        return lambda view: replace(view, told=link)

    return _begun(view, work, f"Packing {number}")


def _show(history: History, view: View, asked: Asked) -> Outcome:
    path = history.file(history.row(asked.ref).path)
    if not asked.is_here:
        raise StudioError("A folder can be opened only by whoever sits at this machine.")
    show_folder(path)
    return _told(view, f"The folder of {path.name} is open.")


def _copy(history: History, view: View, asked: Asked) -> Outcome:
    return Outcome(view=view, record=history.record(asked.ref))


def _told(view: View, words: str) -> Outcome:
    return Outcome(view=replace(view, told=note(words)))


ACTS: Mapping[str, Callable[[History, View, Asked], Outcome]] = MappingProxyType(
    {
        "open": _open,
        "close": _close,
        "compare": _compare,
        "before": _before,
        "after": _after,
        "star": _star,
        "unstar": _unstar,
        "star-one": _star_one,
        "rename": _rename,
        "delete": _delete,
        "delete-one": _delete_one,
        "undo": _undo,
        "all-found": _every,
        "clear": _none,
        "stop": _stop,
        "bin": _bin,
        "bin-open": _bin_open,
        "empty": _empty,
        "empty-really": _empty_really,
        "export": _export,
        "show": _show,
        "copy": _copy,
    }
)
