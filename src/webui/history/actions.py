"""What the buttons of the tab History do. What a browser sends is only ever words and refs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from core.background import BackgroundTask
from core.errors import AppError
from core.formatting import format_count
from core.progress import ProgressReporter
from studio.history.file_manager import open_clip_folder
from studio.history.query import Search
from studio.history.service import History
from studio.history.trash import Deletion
from studio.schemas.take_metadata import TakeMetadata
from webui.components.messages import note_html
from webui.history.list_view import HistoryViewState

MAX_SELECTED = 10_000
MAX_REF_LENGTH = 1_000  # characters
PROGRESS_DELAY_S = 0.5  # what is done by then needs no word on how far it is


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAction:
    """What a button asks for.

    ref: the one clip it stands beside;  refs: the chosen ones;  spared: those of all that were
    chosen at once that are not chosen after all;  name: what was typed;  search: whose clips the
    list shows;  is_here: whoever asks sits at this machine.
    """

    act: str = ""
    ref: str = ""
    refs: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    name: str = ""
    search: Search = field(default_factory=Search)
    is_local: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryActionResult:
    """What comes of a button: what is looked at now, and a take to fill the form from."""

    view: HistoryViewState
    record: TakeMetadata | None = None


def parse_action(data: Any) -> HistoryAction:  # Any: whatever a browser sends
    """Read what a browser sent; what is no text counts as nothing."""
    told: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    return HistoryAction(
        act=_parse_string(told.get("act")),
        ref=_parse_string(told.get("ref")),
        refs=_parse_strings(told.get("refs")),
        excluded=_parse_strings(told.get("spared")),
        name=_parse_string(told.get("name")),
    )


def handle_history_action(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> HistoryActionResult:
    """Do what a button asks for. Raises StudioError for what cannot be done."""
    wanted = ACTION_HANDLERS.get(asked.act)
    if wanted is None:
        raise AppError("The page asked for something that is not known. Reload it.")
    view = replace(view, message_html="", is_confirming=False)
    return wanted(history, view, replace(asked, refs=_get_selected_refs(history, view, asked)))


def _get_selected_refs(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> tuple[str, ...]:
    """Return what is chosen one by one, after what is left of all that were chosen at once."""
    spared = {*asked.excluded, *asked.refs}
    return (
        *(ref for ref in history.filter_existing(view.bulk_selection) if ref not in spared),
        *asked.refs,
    )


def _parse_strings(value: Any) -> tuple[str, ...]:  # Any: whatever a browser sends
    return tuple(map(_parse_string, value[:MAX_SELECTED])) if isinstance(value, list) else ()


def _parse_string(value: Any) -> str:  # Any: whatever a browser sends
    return value[:MAX_REF_LENGTH] if isinstance(value, str) else ""


def _open(history: History, view: HistoryViewState, asked: HistoryAction) -> HistoryActionResult:
    return HistoryActionResult(view=replace(view, open_refs=(asked.ref,), is_trash_open=False))


def _close(history: History, view: HistoryViewState, asked: HistoryAction) -> HistoryActionResult:
    return HistoryActionResult(view=replace(view, open_refs=(), is_trash_open=False))


def _compare(history: History, view: HistoryViewState, asked: HistoryAction) -> HistoryActionResult:
    if len(asked.refs) != 2:
        raise AppError(f"{format_count(len(asked.refs), 'clip')} chosen. Choose two to compare.")
    return HistoryActionResult(view=replace(view, open_refs=asked.refs, is_trash_open=False))


def _previous_page(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> HistoryActionResult:
    return HistoryActionResult(view=replace(view, page=max(0, view.page - 1)))


def _next_page(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> HistoryActionResult:
    return HistoryActionResult(view=replace(view, page=view.page + 1))


def _star(history: History, view: HistoryViewState, asked: HistoryAction) -> HistoryActionResult:
    history.set_starred(asked.refs, True)
    return _with_message(view, f"{format_count(len(asked.refs), 'clip')} starred.")


def _unstar(history: History, view: HistoryViewState, asked: HistoryAction) -> HistoryActionResult:
    history.set_starred(asked.refs, False)
    return _with_message(view, f"Star removed from {format_count(len(asked.refs), 'clip')}.")


def _toggle_star(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> HistoryActionResult:
    history.set_starred([asked.ref], not history.get_clip(asked.ref).starred)
    return HistoryActionResult(view=view)


def _rename(history: History, view: HistoryViewState, asked: HistoryAction) -> HistoryActionResult:
    new = history.rename(asked.ref, asked.name)
    opened = tuple(new if ref == asked.ref else ref for ref in view.open_refs)
    every = tuple(new if ref == asked.ref else ref for ref in view.bulk_selection)
    return _with_message(
        replace(view, open_refs=opened, bulk_selection=every), f"It is now named {new}."
    )


def _delete(history: History, view: HistoryViewState, asked: HistoryAction) -> HistoryActionResult:
    def work(report: ProgressReporter) -> Callable[[HistoryViewState], HistoryViewState]:
        deletion = history.delete(asked.refs)
        return lambda view: _with_delete_message(view, deletion)

    begun = _start_task(view, work, f"Moving {format_count(len(asked.refs), 'clip')} to the bin")
    return replace(begun, view=replace(begun.view, bulk_selection=()))


def _delete_one(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> HistoryActionResult:
    return HistoryActionResult(view=_with_delete_message(view, history.delete([asked.ref])))


def _with_delete_message(view: HistoryViewState, deletion: Deletion) -> HistoryViewState:
    gone = {clip.ref for clip in deletion.clips}
    kept = view.open_refs if gone.isdisjoint(view.open_refs) else ()
    number = len(deletion.clips)
    words = f"{format_count(number, 'clip')} {'is' if number == 1 else 'are'} in the bin."
    undo = (
        f'<p class="note undo" role="status">{words} <button type="button" class="small" '
        f'id="history-undo" data-act="undo" data-ref="{escape(deletion.id)}">Undo</button></p>'
    )
    return replace(view, open_refs=kept, message_html=undo)


def _undo_delete(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> HistoryActionResult:
    def work(report: ProgressReporter) -> Callable[[HistoryViewState], HistoryViewState]:
        back = format_count(len(history.restore(asked.ref or None)), "clip")
        return lambda view: replace(view, message_html=note_html(f"{back} back."))

    return _start_task(view, work, "Bringing clips back")


def _select_all(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> HistoryActionResult:
    found = tuple(history.list_matching_refs(asked.search))
    total = history.find(asked.search, count=1).total
    view = replace(view, bulk_selection=found)
    if total <= len(found):
        return HistoryActionResult(view=view)
    words = f"The first {len(found):,} of {total:,} are chosen; more cannot be taken at once."
    return _with_message(view, words)


def _clear_selection(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> HistoryActionResult:
    return HistoryActionResult(view=replace(view, bulk_selection=()))


def _stop_task(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> HistoryActionResult:
    if view.background_task is not None:
        view.background_task.stop()
    return HistoryActionResult(view=view)


def _start_task(
    view: HistoryViewState,
    work: Callable[[ProgressReporter], Callable[[HistoryViewState], HistoryViewState]],
    label: str,
) -> HistoryActionResult:
    """Begin what may take long for many clips; what is soon done is shown at once."""
    if view.background_task is not None:
        raise AppError(f"{view.background_task.label} is not done yet. Wait for it, or stop it.")
    errand = BackgroundTask(work, label)
    errand.wait(PROGRESS_DELAY_S)
    return HistoryActionResult(view=replace(view, background_task=errand))


def _toggle_trash(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> HistoryActionResult:
    return HistoryActionResult(
        view=replace(view, is_trash_open=not view.is_trash_open, open_refs=())
    )


def _open_trash(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> HistoryActionResult:
    return HistoryActionResult(view=replace(view, is_trash_open=True))


def _confirm_empty_trash(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> HistoryActionResult:
    return HistoryActionResult(view=replace(view, is_confirming=True))


def _empty_trash(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> HistoryActionResult:
    freed = history.empty_trash()
    return _with_message(view, f"The bin is empty; {freed / 1e6:.1f} MB are free.")


def _export(history: History, view: HistoryViewState, asked: HistoryAction) -> HistoryActionResult:
    number = format_count(len(set(asked.refs)), "clip")

    def work(report: ProgressReporter) -> Callable[[HistoryViewState], HistoryViewState]:
        path = history.export(asked.refs, report)
        link = (
            f'<p class="note" role="status">{number} in a zip file: '
            f'<a class="small" id="history-zip" href="api/exports/{quote(path.name)}" download>'
            f"Save {escape(path.name)}</a></p>"
        )
        return lambda view: replace(view, message_html=link)

    return _start_task(view, work, f"Packing {number}")


def _show_in_folder(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> HistoryActionResult:
    path = history.resolve_path(history.get_clip(asked.ref).path)
    if not asked.is_local:
        raise AppError("A folder can be opened only by whoever sits at this machine.")
    open_clip_folder(path)
    return _with_message(view, f"The folder of {path.name} is open.")


def _copy_settings(
    history: History, view: HistoryViewState, asked: HistoryAction
) -> HistoryActionResult:
    return HistoryActionResult(view=view, record=history.read_metadata(asked.ref))


def _with_message(view: HistoryViewState, words: str) -> HistoryActionResult:
    return HistoryActionResult(view=replace(view, message_html=note_html(words)))


ACTION_HANDLERS: Mapping[
    str, Callable[[History, HistoryViewState, HistoryAction], HistoryActionResult]
] = MappingProxyType(
    {
        "open": _open,
        "close": _close,
        "compare": _compare,
        "before": _previous_page,
        "after": _next_page,
        "star": _star,
        "unstar": _unstar,
        "star-one": _toggle_star,
        "rename": _rename,
        "delete": _delete,
        "delete-one": _delete_one,
        "undo": _undo_delete,
        "all-found": _select_all,
        "clear": _clear_selection,
        "stop": _stop_task,
        "bin": _toggle_trash,
        "bin-open": _open_trash,
        "empty": _confirm_empty_trash,
        "empty-really": _empty_trash,
        "export": _export,
        "show": _show_in_folder,
        "copy": _copy_settings,
    }
)
