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

from studio.errors import StudioError
from studio.runs_bin import deleted_runs
from studio.runs_view import OVER, RunRow, RunView
from studio.studio import Studio
from webui.messages import refusal
from webui.page import QUIET, Page
from webui.painted import Painted, draw_painted
from webui.training_train_acts import Came, answer, configured, models_of, place_of
from webui.training_train_kept import Models
from webui.training_train_pulse import draw_pulse
from webui.training_train_view import EMPTY, announced, run_html, runs_html, title_of

# Any: what a browser sends, and updates of Gradio's components.

LOOK_S = 1.5
VIEW = "training-train"
ABOUT = (
    "Choose a configuration and press **Train**. Training goes on when this page, the browser or "
    "the studio is closed; it is found here again."
)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a browser was sent last."""

    print: str = ""
    configured: tuple[str, ...] = ()
    buttons: tuple[bool, bool] = (False, False)


@dataclass(frozen=True, kw_only=True)
class Tab:
    """Everything on the tab that handlers touch."""

    studio: Studio
    config: gr.Dropdown
    name: gr.Textbox
    train: gr.Button
    stop: gr.Button
    resume: gr.Button
    message: gr.HTML
    painted: Painted
    chosen: gr.State
    seen: gr.State

    @property
    def shown(self) -> list[Component]:
        """The outputs for `news`."""
        return [self.seen, self.painted.source, self.config, self.stop, self.resume]


def build(page: Page) -> None:
    """Draw the part and wire it."""
    tab = _draw(page.studio)
    _wire_running(tab)
    _wire_looking(tab, page)
    _wire_acts(tab, page)


def _draw(studio: Studio) -> Tab:
    names = configured(studio)
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
    return Tab(
        studio=studio,
        config=config,
        name=name,
        train=train,
        stop=stop,
        resume=resume,
        message=gr.HTML("", elem_id="training-train-message"),
        painted=draw_painted(VIEW),
        chosen=gr.State(""),
        seen=gr.State(Shown()),
    )


def _wire_running(tab: Tab) -> None:
    """Train, Stop and Resume."""
    runs = tab.studio.runs

    def train(dataset: str | None, name: str) -> RunView:
        if not dataset:
            raise StudioError("No configuration is chosen. Save one under Generate Configuration.")
        return runs.start(dataset, name.strip())

    def stop(chosen: str) -> RunView:
        return runs.stop(*place_of(_title(tab.studio, chosen)))

    def resume(chosen: str) -> RunView:
        return runs.resume(*place_of(_title(tab.studio, chosen)))

    outputs = [tab.chosen, tab.message, *tab.shown]
    tab.train.click(_answering(tab, train), [tab.config, tab.name], outputs, **QUIET)
    tab.stop.click(_answering(tab, stop), [tab.chosen], outputs, **QUIET)
    tab.resume.click(_answering(tab, resume), [tab.chosen], outputs, **QUIET)


def _answering(tab: Tab, act: Callable[..., RunView]) -> Callable[..., list[Any]]:
    def press(*given: Any) -> list[Any]:
        try:
            chosen = title_of(act(*given))
        except StudioError as cause:
            return [gr.skip(), refusal(cause), *[gr.skip()] * len(tab.shown)]
        return [chosen, "", *news(tab.studio, chosen, Shown())]

    return press


def _wire_looking(tab: Tab, page: Page) -> None:
    """Show how the run stands while somebody looks."""

    def look(chosen: str, seen: Shown) -> list[Any]:
        return news(tab.studio, chosen, seen)

    pulse = draw_pulse(VIEW, LOOK_S)
    for ask in (pulse.click, page.blocks.load):
        ask(look, [tab.chosen, tab.seen], tab.shown, **QUIET)


def _wire_acts(tab: Tab, page: Page) -> None:
    """The buttons in what was painted."""
    form = page.form

    def press(asked: gr.EventData, chosen: str) -> list[Any]:
        data = asked._data
        try:
            came = answer(tab.studio, data if isinstance(data, Mapping) else {})
        except StudioError as cause:
            came = Came(told=refusal(cause))
        chosen = came.chosen or chosen
        goes = gr.Tabs(selected="generate") if came.values else gr.skip()
        return [
            *(chosen, came.told, *news(tab.studio, chosen, Shown())),
            *(*form.filled(came.values), goes),
        ]

    outputs = [tab.chosen, tab.message, *tab.shown, *form.components, page.tabs]
    tab.painted.view.click(press, [tab.chosen], outputs, **QUIET)


def news(studio: Studio, chosen: str, seen: Shown) -> list[Any]:
    """Return what `Tab.shown` take: only what this browser has not seen.

    chosen: the title of a run that somebody asked for, "" for the one that matters most.
    """
    names = tuple(configured(studio))
    rows = studio.runs.list()
    run = _run(studio, rows, chosen)
    html = panel_html(studio, run, rows)
    buttons = (
        run is not None and run.state in ("waiting", "running"),
        run is not None and run.can_resume,
    )
    now = Shown(print=sha256(html.encode()).hexdigest(), configured=names, buttons=buttons)
    if now == seen:
        return [gr.skip()] * 5
    return [
        now,
        gr.skip() if now.print == seen.print else html,
        gr.skip() if names == seen.configured else _offered(names),
        *(gr.update(interactive=is_on) for is_on in buttons),
    ]


def _offered(names: tuple[str, ...]) -> Any:
    """Offer the configurations; the one that was saved last is most likely meant."""
    return gr.update(choices=list(names), value=next(iter(names), None))


def panel_html(studio: Studio, run: RunView | None, rows: list[RunRow]) -> str:
    """Draw the run that is looked at, and the list of all."""
    told = f'<p class="told" role="status" aria-live="polite">{announced(run)}</p>'
    layout = studio.layout
    datasets = sorted(path.parent.name for path in layout.training.glob("*/runs"))
    deleted = [one for name in datasets for one in deleted_runs(layout, name)]
    shown = title_of(run) if run is not None else ""
    listed = runs_html(rows, shown, deleted) if rows or deleted else ""
    if run is None:
        return f"{told}{EMPTY}{listed}"
    return f"{told}{run_html(run, layout, _models(studio, run))}{listed}"


def _models(studio: Studio, run: RunView) -> Models:
    made = models_of(studio.layout, run.dataset, run.name)
    jobs = (
        job
        for job in studio.jobs(limit=50)
        if job.task == "publish_run"
        and (job.request.get("dataset"), job.request.get("run")) == (run.dataset, run.name)
    )
    return Models(
        made={step: model.bundle for step, model in made.items()}, making=next(jobs, None)
    )


def _run(studio: Studio, rows: list[RunRow], chosen: str) -> RunView | None:
    title = _title(studio, chosen, rows)
    if not title:
        return None
    try:
        return studio.runs.view(*place_of(title))
    except StudioError:  # deleted a moment ago
        return None


def _title(studio: Studio, chosen: str, rows: list[RunRow] | None = None) -> str:
    """Return the run that was asked for if it is there, else one that goes on, else the newest."""
    rows = studio.runs.list() if rows is None else rows
    titles = [title_of(row) for row in rows]
    if chosen in titles:
        return chosen
    going = [title_of(row) for row in rows if row.state not in OVER]
    return next(iter([*going, *titles]), "")
