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

from studio.errors import StudioError, refusing
from studio.history import History
from studio.history_folder import can_show
from studio.history_query import ORDERS, PAGE, Choices, Listing, Search
from studio.layout import shown
from webui.history_acts import act, asked_of
from webui.history_panel import panel_of
from webui.history_view import Shelf, View, drawn, settled
from webui.messages import refusal
from webui.page import QUIET, Page
from webui.theme import ASSETS

# Any: what a browser sends, and what Gradio's controls take.

TICK_S = 2.0
ORDER_NAMES: Mapping[str, str] = MappingProxyType(
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
HOLDER = '<div id="history-view"></div>'
# Carries what is to be painted, unseen; the view paints it without stopping a player.
PAINT = """\
const show = () => document.dispatchEvent(new CustomEvent("testudo-history"));
window.testudoHistory = () => props.value;
watch("value", show);
show();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a browser was sent last: enough to see whether it has to be sent anything.

    search: whose clips it shows.
    """

    state: tuple[object, ...] = ()
    print: str = ""
    search: Search = field(default_factory=Search)
    choices: Choices | None = None


@dataclass(frozen=True, kw_only=True)
class Tab:
    """Everything on the tab that handlers touch.

    is_here: whether only this machine can reach the page, as it was served; what is saved in the
    settings changes that at the next start only.
    """

    history: History
    filters: Mapping[str, Any]  # Gradio gives components their events at run time
    view: gr.State
    seen: gr.State
    source: gr.HTML
    pressed: gr.HTML
    timer: gr.Timer
    is_here: bool

    @property
    def inputs(self) -> list[Component]:
        """What every handler is given."""
        return [self.view, self.seen, *self.filters.values()]

    @property
    def outputs(self) -> list[Component]:
        """What every handler answers with."""
        return [self.view, self.seen, self.source, *(self.filters[name] for name in CHOSEN_BY)]


CHOSEN_BY = ("voice", "engine", "model")
EVERY: Mapping[str, str] = MappingProxyType(
    {"voice": "All voices", "engine": "All engines", "model": "All models"}
)


def build(page: Page) -> None:
    """Draw the tab and wire it."""
    history = History.open(page.studio.layout)
    filters = _draw_filters()
    pressed = gr.HTML(
        HOLDER,
        html_template=HOLDER,
        js_on_load=(ASSETS / "history.js").read_text(encoding="utf-8"),
        elem_id="history-list",
    )
    source = gr.HTML(
        "", html_template="<i></i>", js_on_load=PAINT, visible="hidden", elem_id="history-source"
    )
    tab = Tab(
        history=history,
        filters=filters,
        view=gr.State(View()),
        seen=gr.State(Seen()),
        source=source,
        pressed=pressed,
        timer=gr.Timer(TICK_S),
        is_here=can_show(page.studio.settings),
    )
    _wire(tab, page)


def _draw_filters() -> dict[str, Any]:
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
            [(ORDER_NAMES[name], name) for name in ORDERS],
            value="newest",
            label="Order",
            scale=2,
            min_width=140,
            elem_id="history-order",
        )
        voice = _draw_choice("voice", "Voice")
        starred = gr.Checkbox(
            label="Only with a star", scale=1, min_width=150, elem_id="history-starred"
        )
    with (
        gr.Accordion("More filters", open=False, elem_id="history-more"),
        gr.Row(elem_classes="history-filters"),
    ):
        engine, model = _draw_choice("engine", "Engine"), _draw_choice("model", "Model")
        since, until = _draw_day("since", "From"), _draw_day("until", "Up to")
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


def _draw_choice(name: str, label: str) -> gr.Dropdown:
    every = [(EVERY[name], "")]
    return gr.Dropdown(
        every,
        value="",
        label=label,
        scale=2,
        min_width=140,
        allow_custom_value=True,  # a page that outlives a restart shows what is not listed yet
        elem_id=f"history-{name}",
    )


def _draw_day(name: str, label: str) -> gr.Textbox:
    return gr.Textbox(
        label=label,
        placeholder="2026-01-31",
        scale=2,
        min_width=140,
        max_lines=1,
        elem_id=f"history-{name}",
    )


def _wire(tab: Tab, page: Page) -> None:
    def look(view: View, seen: Seen, *given: Any) -> list[Any]:
        tab.history.refresh()
        now, *rest = news(tab, view, seen, given)
        # a view that stays is not given back: a button may have changed it meanwhile
        return [gr.skip() if now == view else now, *rest]

    def narrow(view: View, seen: Seen, *given: Any) -> list[Any]:
        return news(tab, replace(view, page=0, told=""), seen, given)

    def press(asked: gr.EventData, view: View, seen: Seen, *given: Any) -> list[Any]:
        form = page.form
        nothing = [gr.skip()] * (len(form.components) + 1)
        try:
            came = act(
                tab.history,
                view,
                replace(asked_of(asked._data), search=seen.search, is_here=tab.is_here),
            )
        except StudioError as cause:
            told = replace(view, told=refusal(cause))
            return [*news(tab, told, seen, given), *nothing]
        if came.record is None:
            return [*news(tab, came.view, seen, given), *nothing]
        filled = [*form.filled_from(came.record), gr.Tabs(selected="generate")]
        return [*news(tab, came.view, seen, given), *filled]

    for ask in (tab.timer.tick, page.blocks.load):
        ask(look, tab.inputs, tab.outputs, **QUIET)
    gr.on(
        [control.change for control in tab.filters.values()],
        narrow,
        tab.inputs,
        tab.outputs,
        trigger_mode="always_last",
        **QUIET,
    )
    goes_to = [*tab.outputs, *page.form.components, page.tabs]
    tab.pressed.click(press, tab.inputs, goes_to, **QUIET)


def news(tab: Tab, view: View, seen: Seen, given: Sequence[Any]) -> list[Any]:
    """Return what `Tab.outputs` take: only what this browser has not seen."""
    history, view = tab.history, settled(view)
    progress = view.errand.progress if view.errand is not None else None
    state = (history.revision, history.looking, progress, view, *given)
    if state == seen.state:
        return [gr.skip()] * len(tab.outputs)
    search, listing = seen.search, None
    try:
        search = search_of(dict(zip(tab.filters, given, strict=True)))
    except StudioError as cause:
        view = replace(view, told=refusal(cause))  # the list stays as it was
    try:
        view, listing = _page_that_is_there(history, search, view)
    except StudioError as cause:
        view = replace(view, told=refusal(cause))
    shelf = Shelf(
        layout=history.layout, search=search, listing=listing, view=view, looking=history.looking
    )
    html = drawn(shelf, panel_of(history, view, tab.is_here))
    choices = seen.choices if seen.choices and seen.state[0] == state[0] else history.choices()
    print = sha256(html.encode()).hexdigest()
    now = Seen(state=state, print=print, search=search, choices=choices)
    source = gr.skip() if now.print == seen.print else html
    return [view, now, source, *_offered(choices, seen.choices)]


def _page_that_is_there(history: History, search: Search, view: View) -> tuple[View, Listing]:
    """Return the page, or the last one where clips went and it is no more."""
    listing = history.find(search, view.page * PAGE)
    if listing.rows or not view.page:
        return view, listing
    last = replace(view, page=max(0, (listing.total - 1) // PAGE))
    return last, history.find(search, last.page * PAGE)


def _offered(choices: Choices, before: Choices | None) -> list[Any]:
    """What the lists of voices, engines and models offer, where that is new."""
    if choices == before:
        return [gr.skip()] * len(CHOSEN_BY)
    offered = {"voice": choices.voices, "engine": choices.engines, "model": choices.models}
    return [
        gr.update(choices=[(EVERY[name], ""), *((each, each) for each in offered[name])])
        for name in CHOSEN_BY
    ]


def search_of(values: Mapping[str, Any]) -> Search:
    """Translate the filters into a search. Raises StudioError naming what is wrong."""
    until = _day(values.get("until"))
    with refusing(ValueError):
        return Search(
            words=str(values.get("words") or ""),
            voice=str(values.get("voice") or ""),
            engine=str(values.get("engine") or ""),
            model=str(values.get("model") or ""),
            starred=bool(values.get("starred")),
            since=_start_of(_day(values.get("since"))),
            until=_start_of(until + timedelta(days=1) if until is not None else None),
            order=str(values.get("order") or "newest"),
        )


def _day(typed: Any) -> date | None:
    words = str(typed or "").strip()
    if not words:
        return None
    try:
        day = date.fromisoformat(words)
    except ValueError:
        day = date.min
    if not 1970 < day.year < 3000:
        raise StudioError(f"{shown(words)} is no day. Write it as 2026-01-31.")
    return day


def _start_of(day: date | None) -> float | None:
    return None if day is None else datetime.combine(day, time.min).timestamp()
