"""The buttons of the History tab. A browser sends an action name, clip refs and a new name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from core.background import BackgroundTask
from core.errors import AppError
from core.formatting import format_count
from core.progress import ProgressReporter
from studio.history.file_manager import open_clip_folder
from studio.history.query import Search
from studio.history.service import History
from studio.history.trash import Deletion
from webui.components.live_panel import PanelAction
from webui.components.messages import note_html
from webui.history.view import HistoryViewState, message_html

MAX_REF_LENGTH = 1_000  # characters
PROGRESS_DELAY_S = 0.5  # a task that is done by then shows no progress

ViewUpdate = Callable[[HistoryViewState], HistoryViewState]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAction:
    """An action requested by a browser.

    ref: the clip of the button;  refs: selected clips;  excluded: clips deselected after all clips
    of a search were selected;  name: new name of a clip;  search: search of the list shown;
    is_local: the page is reachable from this machine only.
    """

    act: str = ""
    ref: str = ""
    refs: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    name: str = ""
    search: Search = field(default_factory=Search)
    is_local: bool = False


def parse_action(action: PanelAction) -> HistoryAction:
    """Read what a browser sent; values that are too long are cut."""
    return HistoryAction(
        act=action.name,
        ref=action.text("ref")[:MAX_REF_LENGTH],
        refs=tuple(ref[:MAX_REF_LENGTH] for ref in action.texts("refs")),
        excluded=tuple(ref[:MAX_REF_LENGTH] for ref in action.texts("spared")),
        name=action.text("name")[:MAX_REF_LENGTH],
    )


def handle_history_action(
    history: History, view: HistoryViewState, action: HistoryAction
) -> HistoryViewState:
    """Perform an action and return the new view. Raises AppError if it cannot be done."""
    handler = _HANDLERS.get(action.act)
    if handler is None:
        raise AppError("Unknown action. Reload the page.")
    deselected = {*action.excluded, *action.refs}
    remaining = (
        ref for ref in history.filter_existing(view.bulk_selection) if ref not in deselected
    )
    refs = (*remaining, *action.refs)
    view = replace(view, message_html="", is_confirming=False, copied=None)
    return handler(_Context(history=history, view=view, action=replace(action, refs=refs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """An action on the clips of a history and the view it starts from."""

    history: History
    view: HistoryViewState
    action: HistoryAction

    @property
    def count(self) -> str:
        return format_count(len(set(self.action.refs)), "clip")

    def compare(self) -> HistoryViewState:
        if len(self.action.refs) != 2:
            raise AppError(f"{self.count} selected. Select two to compare.")
        return replace(self.view, open_refs=self.action.refs, is_trash_open=False)

    def set_starred(self, starred: bool) -> HistoryViewState:
        self.history.set_starred(self.action.refs, starred)
        text = f"{self.count} starred." if starred else f"Star removed from {self.count}."
        return replace(self.view, message_html=note_html(text))

    def toggle_star(self) -> HistoryViewState:
        ref = self.action.ref
        self.history.set_starred([ref], not self.history.get_clip(ref).starred)
        return self.view

    def rename(self) -> HistoryViewState:
        old, new = self.action.ref, self.history.rename(self.action.ref, self.action.name)
        return replace(
            self.view,
            open_refs=tuple(new if ref == old else ref for ref in self.view.open_refs),
            bulk_selection=tuple(new if ref == old else ref for ref in self.view.bulk_selection),
            message_html=note_html(f"Renamed to {new}."),
        )

    def delete(self) -> HistoryViewState:
        def work(report: ProgressReporter) -> ViewUpdate:
            deletion = self.history.delete(self.action.refs)
            return lambda view: _with_deletion(view, deletion)

        view = self._start_task(work, f"Moving {self.count} to the trash")
        return replace(view, bulk_selection=())

    def restore(self) -> HistoryViewState:
        def work(report: ProgressReporter) -> ViewUpdate:
            restored = format_count(len(self.history.restore(self.action.ref or None)), "clip")
            return lambda view: replace(view, message_html=note_html(f"{restored} restored."))

        return self._start_task(work, "Restoring clips")

    def export(self) -> HistoryViewState:
        def work(report: ProgressReporter) -> ViewUpdate:
            path = self.history.export(self.action.refs, report)
            link = message_html(f"{self.count} exported:", zip_name=path.name)
            return lambda view: replace(view, message_html=link)

        return self._start_task(work, f"Exporting {self.count}")

    def _start_task(
        self, work: Callable[[ProgressReporter], ViewUpdate], label: str
    ) -> HistoryViewState:
        running = self.view.background_task
        if running is not None:
            raise AppError(f"{running.label} is still running. Wait for it, or stop it.")
        task = BackgroundTask(work, label)
        task.wait(PROGRESS_DELAY_S)
        return replace(self.view, background_task=task)

    def stop_task(self) -> HistoryViewState:
        if self.view.background_task is not None:
            self.view.background_task.stop()
        return self.view

    def select_all(self) -> HistoryViewState:
        found = tuple(self.history.list_matching_refs(self.action.search))
        total = self.history.find(self.action.search, count=1).total
        text = f"Selected the first {len(found):,} of {total:,} clips, the most at once."
        message = note_html(text) if total > len(found) else ""
        return replace(self.view, bulk_selection=found, message_html=message)

    def empty_trash(self) -> HistoryViewState:
        text = f"Trash emptied; {self.history.empty_trash() / 1e6:.1f} MB freed."
        return replace(self.view, message_html=note_html(text))

    def show_in_folder(self) -> HistoryViewState:
        path = self.history.resolve_path(self.history.get_clip(self.action.ref).path)
        if not self.action.is_local:
            raise AppError("Only available on the local machine.")
        open_clip_folder(path)
        return replace(self.view, message_html=note_html(f"Opened the folder of {path.name}."))


def _with_deletion(view: HistoryViewState, deletion: Deletion) -> HistoryViewState:
    deleted = {clip.ref for clip in deletion.clips}
    text = f"{format_count(len(deletion.clips), 'clip')} moved to the trash."
    return replace(
        view,
        open_refs=view.open_refs if deleted.isdisjoint(view.open_refs) else (),
        message_html=message_html(text, act="undo", ref=deletion.id),
    )


def _parse_page(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0


_HANDLERS: Mapping[str, Callable[[_Context], HistoryViewState]] = {
    "open": lambda it: replace(it.view, open_refs=(it.action.ref,), is_trash_open=False),
    "close": lambda it: replace(it.view, open_refs=(), is_trash_open=False),
    "compare": _Context.compare,
    "page": lambda it: replace(it.view, page=_parse_page(it.action.ref)),
    "star": lambda it: it.set_starred(True),
    "unstar": lambda it: it.set_starred(False),
    "star-one": _Context.toggle_star,
    "rename": _Context.rename,
    "delete": _Context.delete,
    "delete-one": lambda it: _with_deletion(it.view, it.history.delete([it.action.ref])),
    "undo": _Context.restore,
    "all-found": _Context.select_all,
    "clear": lambda it: replace(it.view, bulk_selection=()),
    "stop": _Context.stop_task,
    "bin": lambda it: replace(it.view, is_trash_open=not it.view.is_trash_open, open_refs=()),
    "bin-open": lambda it: replace(it.view, is_trash_open=True),
    "empty": lambda it: replace(it.view, is_confirming=True),
    "empty-really": _Context.empty_trash,
    "export": _Context.export,
    "show": _Context.show_in_folder,
    "copy": lambda it: replace(it.view, copied=it.history.read_metadata(it.action.ref)),
}
ACTION_NAMES = tuple(_HANDLERS)
