"""The History tab: search, play, compare, rename, export and delete clips, and reuse settings."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any

import gradio as gr

from core.errors import AppError, reraise_as_app_error
from core.paths import quote_for_message
from jobs.models import Job
from studio.encoders.lab import choose_encoder
from studio.history.file_manager import can_open_folder
from studio.history.likeness import MeasureLikenessRequest
from studio.history.query import PAGE_SIZE, SORT_ORDERS, Search
from studio.history.service import History, ScanStatus
from studio.synthesis.request_builder import SpeechRequestInput, build_request_from_metadata
from webui.components.job_card import format_progress
from webui.components.live_panel import (
    LivePanel,
    PanelAction,
    Updates,
    create_scripted_html,
)
from webui.components.messages import error_html, note_html
from webui.components.page_context import PageContext
from webui.history.actions import ACTION_NAMES, handle_history_action, parse_action
from webui.history.view import (
    HistoryViewState,
    apply_finished_task,
    history_html,
    likeness_html,
)

# Any: values and events of Gradio's components.

POLL_INTERVAL_S = 2.0
LIKENESS, LIKENESS_TASK, MEASURE = "likeness", "measure_likeness", "measure"
ANEW = "anew"
SORT_LABELS = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "voice": "By voice",
    "name": "By name",
    "longest": "Longest first",
    "shortest": "Shortest first",
    "score": "Best score first",
    LIKENESS: "By similarity",
}
ORIGIN = "history"  # of the jobs that this tab submits
BOUNDS = {"min_s": "Min. length (s)", "max_s": "Max. length (s)", "min_score": "Min. score"}
MAX_SEED = 2**31
ALL_LABELS = {"voice": "All voices", "engine": "All engines", "model": "All models"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySnapshot:
    """Everything the tab shows in one browser; equal snapshots look the same."""

    view: HistoryViewState
    search: Search
    revision: int
    scan_status: ScanStatus
    progress: tuple[int, int] | None
    unmeasured: int = 0
    measuring: str = ""


def build_history_tab(page: PageContext) -> None:
    """Build the tab."""
    HistoryTab(page)


class HistoryTab:
    """The filters, the clip list and the panel beside it."""

    def __init__(self, page: PageContext) -> None:
        self.page = page
        self.history = History.open(page.studio.layout)
        # as the page is served now: a changed setting applies after a restart only
        self.is_local = can_open_folder(page.studio.settings)
        self.filters = _build_filters()
        self.view = gr.State(HistoryViewState())
        self.panel = LivePanel(
            create_scripted_html("history-list", "history.js"),
            self.take_snapshot,
            self.render,
            dict.fromkeys((*ACTION_NAMES, MEASURE, ANEW), self.press),
            inputs=[self.view, *self.filters.values()],
            outputs=[self.filters[name] for name in ALL_LABELS],
            action_outputs=[*page.form.components, page.tabs],
        )
        self.panel.follow(page.changes, POLL_INTERVAL_S)
        changes = [control.change for control in self.filters.values()]
        inputs = [self.view, *self.filters.values()]
        self.panel.bind(partial(gr.on, changes), self.narrow, inputs, trigger_mode="always_last")

    def take_snapshot(self, view: HistoryViewState, *filters: Any) -> HistorySnapshot:
        """Return what the tab shows now."""
        self.history.refresh()
        view = apply_finished_task(view)
        search, error = self._read_search(view, filters)
        if error is not None:
            view = replace(view, message_html=error_html(error))
        unmeasured, measuring = self._get_likeness_state(search)
        return HistorySnapshot(
            view=view,
            search=search,
            revision=self.history.revision,
            scan_status=self.history.scan_status,
            progress=view.background_task.progress if view.background_task else None,
            unmeasured=unmeasured,
            measuring=measuring,
        )

    def _get_likeness_state(self, search: Search) -> tuple[int, str]:
        """Return how many clips are not compared with their voice, and the progress of the job."""
        if search.order != LIKENESS:
            return 0, ""
        job = self._find_likeness_job()
        progress = "" if job is None else format_progress(job)
        return self.history.count_unmeasured(choose_encoder()), progress

    def _find_likeness_job(self) -> Job | None:
        jobs = (job for job in self.page.studio.jobs(limit=50) if job.task == LIKENESS_TASK)
        return next((job for job in jobs if not job.is_over), None)

    def _measure_likeness(self) -> None:
        """Submit the comparison of clips with their voices, unless one runs or none is needed."""
        if self._find_likeness_job() is None and self.history.count_unmeasured(choose_encoder()):
            request = MeasureLikenessRequest()
            self.page.studio.submit(request, title="Likeness of clips", origin=ORIGIN)

    def _generate_anew(self, path: str) -> str:
        """Submit a clip with the settings of this one and a new seed."""
        studio, record = self.page.studio, self.history.read_metadata(path)
        given = SpeechRequestInput(options={"seed": secrets.randbelow(MAX_SEED)})
        request = build_request_from_metadata(studio.settings, record, given)
        studio.submit(replace(request, like=None), origin=ORIGIN)
        return "Queued with the same settings and a new seed; the clip appears here."

    def render(self, snapshot: HistorySnapshot) -> Updates:
        """Render the list and the panel, and offer the voices, engines and models there are."""
        view, listing = snapshot.view, None
        try:
            listing = self.history.find(snapshot.search, view.page * PAGE_SIZE)
            if not listing.rows and view.page:  # clips are gone: show the last page
                view = replace(view, page=max(0, (listing.total - 1) // PAGE_SIZE))
                listing = self.history.find(snapshot.search, view.page * PAGE_SIZE)
        except AppError as error:
            view = replace(view, message_html=error_html(error))
        choices = self.history.get_filter_choices()
        offered = {"voice": choices.voices, "engine": choices.engines, "model": choices.models}
        html = history_html(
            self.history,
            view,
            snapshot.search,
            listing,
            can_open_folder=self.is_local,
            likeness=likeness_html(snapshot.unmeasured, snapshot.measuring),
        )
        return {
            self.panel.html: html,
            **{
                self.filters[name]: gr.update(
                    choices=[(ALL_LABELS[name], ""), *((value, value) for value in values)]
                )
                for name, values in offered.items()
            },
        }

    def narrow(self, view: HistoryViewState, *filters: Any) -> Updates:
        """Show the first page of a changed search."""
        view = apply_finished_task(view)
        search, _ = self._read_search(view, filters)
        if search.order == LIKENESS != view.search.order:
            self._measure_likeness()
        return {self.view: replace(view, page=0, message_html="", search=search)}

    def press(self, action: PanelAction, view: HistoryViewState, *filters: Any) -> Updates:
        """Perform the action of a button."""
        view = apply_finished_task(view)
        if action.name == MEASURE:
            self._measure_likeness()
            return {}
        search, _ = self._read_search(view, filters)
        request = replace(parse_action(action), search=search, is_local=self.is_local)
        try:
            if action.name == ANEW:
                view = replace(view, message_html=note_html(self._generate_anew(request.ref)))
            else:
                view = handle_history_action(self.history, view, request)
        except AppError as error:
            view = replace(view, message_html=error_html(error))
        updates = {self.view: replace(view, copied=None)}
        if view.copied is None:
            return updates
        return {
            **updates,
            **self.page.form.get_metadata_updates(view.copied),
            self.page.tabs: gr.Tabs(selected="generate"),
        }

    def _read_search(
        self, view: HistoryViewState, filters: tuple[Any, ...]
    ) -> tuple[Search, AppError | None]:
        """Return the search of the filters, or the last valid one and the error."""
        try:
            return build_search(dict(zip(self.filters, filters, strict=True))), None
        except AppError as error:
            return view.search, error


def _build_filters() -> dict[str, Any]:
    def textbox(name: str, label: str, placeholder: str, scale: int = 2) -> gr.Textbox:
        return gr.Textbox(
            label=label,
            placeholder=placeholder,
            scale=scale,
            min_width=140,
            max_lines=1,
            elem_id=f"history-{name}",
        )

    def dropdown(name: str, label: str, choices: list[tuple[str, str]]) -> gr.Dropdown:
        return gr.Dropdown(
            choices,
            value=choices[0][1],
            label=label,
            scale=2,
            min_width=140,
            # a page that is still open after a restart may show a value that is not listed yet
            allow_custom_value=name in ALL_LABELS,
            elem_id=f"history-{name}",
        )

    def all_of(name: str) -> list[tuple[str, str]]:
        return [(ALL_LABELS[name], "")]

    with gr.Row(elem_classes="history-filters"):
        words = textbox("search", "Search", "Search text or file name", scale=4)
        orders = [(SORT_LABELS[name], name) for name in SORT_ORDERS]
        order = dropdown("order", "Sort by", orders)
        voice = dropdown("voice", "Voice", all_of("voice"))
        starred = gr.Checkbox(
            label="Starred only", scale=1, min_width=150, elem_id="history-starred"
        )
    with (
        gr.Accordion("More filters", open=False, elem_id="history-more"),
        gr.Row(elem_classes="history-filters"),
    ):
        return {
            "words": words,
            "voice": voice,
            "starred": starred,
            "order": order,
            "engine": dropdown("engine", "Engine", all_of("engine")),
            "model": dropdown("model", "Model", all_of("model")),
            "since": textbox("since", "From", "2026-01-31"),
            "until": textbox("until", "Until", "2026-01-31"),
            **{name: textbox(name.replace("_", "-"), label, "") for name, label in BOUNDS.items()},
        }


def build_search(values: Mapping[str, Any]) -> Search:
    """Build a search from the values of the filters. Raises AppError for an invalid value."""
    until = _parse_date(values.get("until"))
    bounds = {name: _parse_number(values.get(name), label) for name, label in BOUNDS.items()}
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
            min_s=bounds["min_s"],
            max_s=bounds["max_s"],
            min_score=bounds["min_score"],
        )


def _parse_date(typed: Any) -> date | None:
    text = str(typed or "").strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not 1970 < day.year < 3000:
        raise AppError(f"{quote_for_message(text)} is not a date. Write it as 2026-01-31.")
    return day


def _parse_number(typed: Any, label: str) -> float | None:
    text = str(typed or "").strip().replace(",", ".")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise AppError(f"{label} is {quote_for_message(text)}; it must be a number.")
    return number


def _get_day_start(day: date | None) -> float | None:
    return None if day is None else datetime.combine(day, time.min).timestamp()
