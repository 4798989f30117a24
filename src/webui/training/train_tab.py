"""The part of the tab Training that trains: begin, watch, stop, go on, and take what was learned.

What is shown is read from the run's folder at each look, so that a page that is opened again, a
second browser and a studio that was started anew all show the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import gradio as gr
from gradio.components import Component

from core.errors import AppError
from studio.app.studio import Studio
from studio.training_runs.run_status import FINISHED_STATES, RunStatus, RunSummary
from studio.training_runs.trash import list_deleted_runs
from webui.components.live_html import EVENT_OPTIONS, LiveHtml, create_live_html
from webui.components.messages import error_html
from webui.components.page_context import PageContext
from webui.components.polling import create_visible_timer
from webui.training.checkpoint_table import ExportedModels
from webui.training.run_view import (
    EMPTY_HTML,
    format_run_announcement,
    format_run_title,
    run_html,
    runs_html,
)
from webui.training.train_actions import (
    RunActionResult,
    find_exported_models,
    handle_run_action,
    list_configured_datasets,
    parse_run_title,
)

# Any: what a browser sends, and updates of Gradio's components.

POLL_INTERVAL_S = 1.5
VIEW_ELEM_ID = "training-train"
ABOUT = (
    "Choose a configuration and press **Train**. Training goes on when this page, the browser or "
    "the studio is closed; it is found here again."
)


@dataclass(frozen=True, kw_only=True)
class TrainSessionState:
    """What a browser was sent last."""

    html_hash: str = ""
    config_names: tuple[str, ...] = ()
    buttons: tuple[bool, bool] = (False, False)


@dataclass(frozen=True, kw_only=True)
class TrainTab:
    """Everything on the tab that handlers touch."""

    studio: Studio
    config: gr.Dropdown
    name: gr.Textbox
    train: gr.Button
    stop: gr.Button
    resume: gr.Button
    message: gr.HTML
    live_html: LiveHtml
    chosen: gr.State
    session_state: gr.State

    @property
    def outputs(self) -> list[Component]:
        """The outputs for `get_run_updates`."""
        return [self.session_state, self.live_html.source, self.config, self.stop, self.resume]


def build_train_tab(page: PageContext) -> None:
    """Draw the part and wire it."""
    tab = _build_layout(page.studio)
    _bind_run_events(tab)
    _bind_polling(tab, page)
    _bind_action_events(tab, page)


def _build_layout(studio: Studio) -> TrainTab:
    names = list_configured_datasets(studio)
    gr.Markdown(ABOUT)
    with gr.Row(elem_classes="plan-row"):
        config = gr.Dropdown(
            choices=names,
            value=next(iter(names), None),
            label="Configuration",
            info="Of which dataset. It is made under Generate Configuration.",
            scale=3,
            elem_id="training-train-config",
        )
        name = gr.Textbox(
            label="Name of the run",
            info="Empty: the next number.",
            max_lines=1,
            elem_id="training-train-name",
        )
    with gr.Row(elem_classes="run-row"):
        train = gr.Button("Train", variant="primary", scale=3, elem_id="training-train-run")
        stop = gr.Button("Stop", interactive=False, elem_id="training-train-stop")
        resume = gr.Button("Resume", interactive=False, elem_id="training-train-resume")
    return TrainTab(
        studio=studio,
        config=config,
        name=name,
        train=train,
        stop=stop,
        resume=resume,
        message=gr.HTML("", elem_id="training-train-message"),
        live_html=create_live_html(VIEW_ELEM_ID),
        chosen=gr.State(""),
        session_state=gr.State(TrainSessionState()),
    )


def _bind_run_events(tab: TrainTab) -> None:
    """Train, Stop and Resume."""
    runs = tab.studio.runs

    def train(dataset: str | None, name: str) -> RunStatus:
        if not dataset:
            raise AppError("No configuration is chosen. Save one under Generate Configuration.")
        return runs.start(dataset, name.strip())

    def stop(chosen: str) -> RunStatus:
        return runs.stop(*parse_run_title(_get_selected_title(tab.studio, chosen)))

    def resume(chosen: str) -> RunStatus:
        return runs.resume(*parse_run_title(_get_selected_title(tab.studio, chosen)))

    outputs = [tab.chosen, tab.message, *tab.outputs]
    tab.train.click(_make_handler(tab, train), [tab.config, tab.name], outputs, **EVENT_OPTIONS)
    tab.stop.click(_make_handler(tab, stop), [tab.chosen], outputs, **EVENT_OPTIONS)
    tab.resume.click(_make_handler(tab, resume), [tab.chosen], outputs, **EVENT_OPTIONS)


def _make_handler(tab: TrainTab, act: Callable[..., RunStatus]) -> Callable[..., list[Any]]:
    def press(*given: Any) -> list[Any]:
        try:
            chosen = format_run_title(act(*given))
        except AppError as cause:
            return [gr.skip(), error_html(cause), *[gr.skip()] * len(tab.outputs)]
        return [chosen, "", *get_run_updates(tab.studio, chosen, TrainSessionState())]

    return press


def _bind_polling(tab: TrainTab, page: PageContext) -> None:
    """Show how the run stands while somebody looks."""

    def look(chosen: str, seen: TrainSessionState) -> list[Any]:
        return get_run_updates(tab.studio, chosen, seen)

    pulse = create_visible_timer(VIEW_ELEM_ID, POLL_INTERVAL_S)
    for ask in (pulse.click, page.blocks.load):
        ask(look, [tab.chosen, tab.session_state], tab.outputs, **EVENT_OPTIONS)


def _bind_action_events(tab: TrainTab, page: PageContext) -> None:
    """The buttons in what was painted."""
    form = page.form

    def press(asked: gr.EventData, chosen: str) -> list[Any]:
        data = asked._data
        try:
            came = handle_run_action(tab.studio, data if isinstance(data, Mapping) else {})
        except AppError as cause:
            came = RunActionResult(message_html=error_html(cause))
        chosen = came.chosen or chosen
        goes = gr.Tabs(selected="generate") if came.values else gr.skip()
        return [
            *(chosen, came.message_html, *get_run_updates(tab.studio, chosen, TrainSessionState())),
            *(*form.build_updates(came.values), goes),
        ]

    outputs = [tab.chosen, tab.message, *tab.outputs, *form.components, page.tabs]
    tab.live_html.view.click(press, [tab.chosen], outputs, **EVENT_OPTIONS)


def get_run_updates(studio: Studio, chosen: str, seen: TrainSessionState) -> list[Any]:
    """Return what `Tab.shown` take: only what this browser has not seen.

    chosen: the title of a run that somebody asked for, "" for the one that matters most.
    """
    names = tuple(list_configured_datasets(studio))
    rows = studio.runs.list()
    run = _get_selected_run(studio, rows, chosen)
    html = run_panel_html(studio, run, rows)
    buttons = (
        run is not None and run.state in ("waiting", "running"),
        run is not None and run.can_resume,
    )
    now = TrainSessionState(
        html_hash=sha256(html.encode()).hexdigest(), config_names=names, buttons=buttons
    )
    if now == seen:
        return [gr.skip()] * 5
    return [
        now,
        gr.skip() if now.html_hash == seen.html_hash else html,
        gr.skip() if names == seen.config_names else _get_config_update(names),
        *(gr.update(interactive=is_on) for is_on in buttons),
    ]


def _get_config_update(names: tuple[str, ...]) -> Any:
    """Offer the configurations; the one that was saved last is most likely meant."""
    return gr.update(choices=list(names), value=next(iter(names), None))


def run_panel_html(studio: Studio, run: RunStatus | None, rows: list[RunSummary]) -> str:
    """Draw the run that is looked at, and the list of all."""
    told = f'<p class="told" role="status" aria-live="polite">{format_run_announcement(run)}</p>'
    layout = studio.layout
    datasets = sorted(path.parent.name for path in layout.training.glob("*/runs"))
    deleted = [one for name in datasets for one in list_deleted_runs(layout, name)]
    shown = format_run_title(run) if run is not None else ""
    listed = runs_html(rows, shown, deleted) if rows or deleted else ""
    if run is None:
        return f"{told}{EMPTY_HTML}{listed}"
    return f"{told}{run_html(run, layout, _get_exported_models(studio, run))}{listed}"


def _get_exported_models(studio: Studio, run: RunStatus) -> ExportedModels:
    made = find_exported_models(studio.layout, run.dataset, run.name)
    jobs = (
        job
        for job in studio.jobs(limit=50)
        if job.task == "publish_run"
        and (job.request.get("dataset"), job.request.get("run")) == (run.dataset, run.name)
    )
    return ExportedModels(
        bundles_by_step={step: model.bundle for step, model in made.items()},
        export_job=next(jobs, None),
    )


def _get_selected_run(studio: Studio, rows: list[RunSummary], chosen: str) -> RunStatus | None:
    title = _get_selected_title(studio, chosen, rows)
    if not title:
        return None
    try:
        return studio.runs.view(*parse_run_title(title))
    except AppError:  # deleted a moment ago
        return None


def _get_selected_title(studio: Studio, chosen: str, rows: list[RunSummary] | None = None) -> str:
    """Return the run that was asked for if it is there, else one that goes on, else the newest."""
    rows = studio.runs.list() if rows is None else rows
    titles = [format_run_title(row) for row in rows]
    if chosen in titles:
        return chosen
    going = [format_run_title(row) for row in rows if row.state not in FINISHED_STATES]
    return next(iter([*going, *titles]), "")
