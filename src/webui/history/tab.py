"""The tab History: find what was spoken, hear it, compare it, and take its settings up again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import gradio as gr
from gradio.components import Component

from core.errors import AppError, reraise_as_app_error
from core.paths import quote_for_message
from studio.history.file_manager import can_open_folder
from studio.history.query import PAGE_SIZE, SORT_ORDERS, FilterChoices, HistoryPage, Search
from studio.history.service import History
from webui.components.live_html import EVENT_OPTIONS
from webui.components.messages import error_html
from webui.components.page_context import PageContext
from webui.components.theme import ASSETS
from webui.history.actions import handle_history_action, parse_action
from webui.history.detail_panel import detail_panel_html
from webui.history.list_view import HistoryViewState, ListContext, apply_finished_task, history_html

# Any: what a browser sends, and what Gradio's controls take.

POLL_INTERVAL_S = 2.0
ORDER_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "newest": "Newest first",
        "oldest": "Oldest first",
        "voice": "By voice",
        "name": "By name",
        "longest": "Longest first",
        "shortest": "Shortest first",
        "score": "Best score first",
    }
)
CONTAINER_HTML = '<div id="history-view"></div>'
# Carries what is to be painted, unseen; the view paints it without stopping a player.
RENDER_JS = """\
const show = () => document.dispatchEvent(new CustomEvent("testudo-history"));
window.testudoHistory = () => props.value;
watch("value", show);
show();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySessionState:
    """What a browser was sent last: enough to see whether it has to be sent anything.

    search: whose clips it shows.
    """

    state: tuple[object, ...] = ()
    html_hash: str = ""
    search: Search = field(default_factory=Search)
    choices: FilterChoices | None = None


@dataclass(frozen=True, kw_only=True)
class HistoryTab:
    """Everything on the tab that handlers touch.

    is_here: whether only this machine can reach the page, as it was served; what is saved in the
    settings changes that at the next start only.
    """

    history: History
    filters: Mapping[str, Any]  # Gradio gives components their events at run time
    view: gr.State
    session_state: gr.State
    source: gr.HTML
    list_view: gr.HTML
    timer: gr.Timer
    is_local: bool

    @property
    def inputs(self) -> list[Component]:
        """What every handler is given."""
        return [self.view, self.session_state, *self.filters.values()]

    @property
    def outputs(self) -> list[Component]:
        """What every handler answers with."""
        return [
            self.view,
            self.session_state,
            self.source,
            *(self.filters[name] for name in DROPDOWN_FILTERS),
        ]


DROPDOWN_FILTERS = ("voice", "engine", "model")
ALL_LABELS: Mapping[str, str] = MappingProxyType(
    {"voice": "All voices", "engine": "All engines", "model": "All models"}
)


def build_history_tab(page: PageContext) -> None:
    """Draw the tab and wire it."""
    history = History.open(page.studio.layout)
    filters = _build_filters()
    pressed = gr.HTML(
        CONTAINER_HTML,
        html_template=CONTAINER_HTML,
        js_on_load=(ASSETS / "history.js").read_text(encoding="utf-8"),
        elem_id="history-list",
    )
    source = gr.HTML(
        "",
        html_template="<i></i>",
        js_on_load=RENDER_JS,
        visible="hidden",
        elem_id="history-source",
    )
    tab = HistoryTab(
        history=history,
        filters=filters,
        view=gr.State(HistoryViewState()),
        session_state=gr.State(HistorySessionState()),
        source=source,
        list_view=pressed,
        timer=gr.Timer(POLL_INTERVAL_S),
        is_local=can_open_folder(page.studio.settings),
    )
    _bind_events(tab, page)


def _build_filters() -> dict[str, Any]:
    with gr.Row(elem_classes="history-filters"):
        words = gr.Textbox(
            label="Search",
            placeholder="Words of the text, or of the name",
            scale=4,
            min_width=220,
            max_lines=1,
            elem_id="history-search",
        )
        order = gr.Dropdown(
            [(ORDER_LABELS[name], name) for name in SORT_ORDERS],
            value="newest",
            label="Order",
            scale=2,
            min_width=140,
            elem_id="history-order",
        )
        voice = _build_filter_dropdown("voice", "Voice")
        starred = gr.Checkbox(
            label="Only with a star", scale=1, min_width=150, elem_id="history-starred"
        )
    with (
        gr.Accordion("More filters", open=False, elem_id="history-more"),
        gr.Row(elem_classes="history-filters"),
    ):
        engine, model = (
            _build_filter_dropdown("engine", "Engine"),
            _build_filter_dropdown("model", "Model"),
        )
        since, until = _build_date_input("since", "From"), _build_date_input("until", "Up to")
    return {
        "words": words,
        "voice": voice,
        "engine": engine,
        "model": model,
        "starred": starred,
        "since": since,
        "until": until,
        "order": order,
    }


def _build_filter_dropdown(name: str, label: str) -> gr.Dropdown:
    every = [(ALL_LABELS[name], "")]
    return gr.Dropdown(
        every,
        value="",
        label=label,
        scale=2,
        min_width=140,
        allow_custom_value=True,  # a page that outlives a restart shows what is not listed yet
        elem_id=f"history-{name}",
    )


def _build_date_input(name: str, label: str) -> gr.Textbox:
    return gr.Textbox(
        label=label,
        placeholder="2026-01-31",
        scale=2,
        min_width=140,
        max_lines=1,
        elem_id=f"history-{name}",
    )


def _bind_events(tab: HistoryTab, page: PageContext) -> None:
    def look(view: HistoryViewState, seen: HistorySessionState, *given: Any) -> list[Any]:
        tab.history.refresh()
        now, *rest = get_history_updates(tab, view, seen, given)
        # a view that stays is not given back: a button may have changed it meanwhile
        return [gr.skip() if now == view else now, *rest]

    def narrow(view: HistoryViewState, seen: HistorySessionState, *given: Any) -> list[Any]:
        return get_history_updates(tab, replace(view, page=0, message_html=""), seen, given)

    def press(
        asked: gr.EventData, view: HistoryViewState, seen: HistorySessionState, *given: Any
    ) -> list[Any]:
        form = page.form
        nothing = [gr.skip()] * (len(form.components) + 1)
        try:
            came = handle_history_action(
                tab.history,
                view,
                replace(parse_action(asked._data), search=seen.search, is_local=tab.is_local),
            )
        except AppError as cause:
            told = replace(view, message_html=error_html(cause))
            return [*get_history_updates(tab, told, seen, given), *nothing]
        if came.record is None:
            return [*get_history_updates(tab, came.view, seen, given), *nothing]
        filled = [*form.build_updates_from_metadata(came.record), gr.Tabs(selected="generate")]
        return [*get_history_updates(tab, came.view, seen, given), *filled]

    for ask in (tab.timer.tick, page.blocks.load):
        ask(look, tab.inputs, tab.outputs, **EVENT_OPTIONS)
    gr.on(
        [control.change for control in tab.filters.values()],
        narrow,
        tab.inputs,
        tab.outputs,
        trigger_mode="always_last",
        **EVENT_OPTIONS,
    )
    goes_to = [*tab.outputs, *page.form.components, page.tabs]
    tab.list_view.click(press, tab.inputs, goes_to, **EVENT_OPTIONS)


def get_history_updates(
    tab: HistoryTab, view: HistoryViewState, seen: HistorySessionState, given: Sequence[Any]
) -> list[Any]:
    """Return what `Tab.outputs` take: only what this browser has not seen."""
    history, view = tab.history, apply_finished_task(view)
    progress = view.background_task.progress if view.background_task is not None else None
    state = (history.revision, history.scan_status, progress, view, *given)
    if state == seen.state:
        return [gr.skip()] * len(tab.outputs)
    search, listing = seen.search, None
    try:
        search = build_search(dict(zip(tab.filters, given, strict=True)))
    except AppError as cause:
        view = replace(view, message_html=error_html(cause))  # the list stays as it was
    try:
        view, listing = _get_existing_page(history, search, view)
    except AppError as cause:
        view = replace(view, message_html=error_html(cause))
    shelf = ListContext(
        layout=history.layout,
        search=search,
        listing=listing,
        view=view,
        scan_status=history.scan_status,
    )
    html = history_html(shelf, detail_panel_html(history, view, tab.is_local))
    choices = (
        seen.choices if seen.choices and seen.state[0] == state[0] else history.get_filter_choices()
    )
    print = sha256(html.encode()).hexdigest()
    now = HistorySessionState(state=state, html_hash=print, search=search, choices=choices)
    source = gr.skip() if now.html_hash == seen.html_hash else html
    return [view, now, source, *_get_choice_updates(choices, seen.choices)]


def _get_existing_page(
    history: History, search: Search, view: HistoryViewState
) -> tuple[HistoryViewState, HistoryPage]:
    """Return the page, or the last one where clips went and it is no more."""
    listing = history.find(search, view.page * PAGE_SIZE)
    if listing.rows or not view.page:
        return view, listing
    last = replace(view, page=max(0, (listing.total - 1) // PAGE_SIZE))
    return last, history.find(search, last.page * PAGE_SIZE)


def _get_choice_updates(choices: FilterChoices, before: FilterChoices | None) -> list[Any]:
    """What the lists of voices, engines and models offer, where that is new."""
    if choices == before:
        return [gr.skip()] * len(DROPDOWN_FILTERS)
    offered = {"voice": choices.voices, "engine": choices.engines, "model": choices.models}
    return [
        gr.update(choices=[(ALL_LABELS[name], ""), *((each, each) for each in offered[name])])
        for name in DROPDOWN_FILTERS
    ]


def build_search(values: Mapping[str, Any]) -> Search:
    """Translate the filters into a search. Raises StudioError naming what is wrong."""
    until = _parse_date(values.get("until"))
    with reraise_as_app_error(ValueError):
        return Search(
            words=str(values.get("words") or ""),
            voice=str(values.get("voice") or ""),
            engine=str(values.get("engine") or ""),
            model=str(values.get("model") or ""),
            starred=bool(values.get("starred")),
            since=_get_day_start(_parse_date(values.get("since"))),
            until=_get_day_start(until + timedelta(days=1) if until is not None else None),
            order=str(values.get("order") or "newest"),
        )


def _parse_date(typed: Any) -> date | None:
    words = str(typed or "").strip()
    if not words:
        return None
    try:
        day = date.fromisoformat(words)
    except ValueError:
        day = date.min
    if not 1970 < day.year < 3000:
        raise AppError(f"{quote_for_message(words)} is no day. Write it as 2026-01-31.")
    return day


def _get_day_start(day: date | None) -> float | None:
    return None if day is None else datetime.combine(day, time.min).timestamp()
