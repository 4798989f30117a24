"""The part of the tab Training that plans: everything proposed, everything that follows shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import gradio as gr
from gradio.components import Component

from studio.configuring import config_sections
from studio.errors import StudioError
from studio.studio import Studio
from webui.controls import within
from webui.messages import note, refusal
from webui.page import QUIET, Page
from webui.painted import Painted, draw_painted
from webui.training_configure_acts import (
    Opened,
    bundle_names,
    changes_of_trial,
    dataset_names,
    fix_for,
    newest_trial,
    opened,
    planned_html,
    proposed,
    save_form,
    stamp_of,
    start_trial,
    usual_steps,
)
from webui.training_configure_form import (
    BUNDLE,
    DATASET,
    DIFFUSION,
    SHAPING,
    SPEAKING,
    STEPS,
    ConfigForm,
    by_key,
    changes_told,
    draw_chosen,
    draw_few,
    draw_learns,
    draw_rest,
    learning,
)
from webui.training_configure_view import trial_html
from webui.training_train_pulse import draw_pulse

# Any: each control has a value of its own type.

LOOK_S = 1.5
PLAN = "training-configure-plan"
LOOKING = "Looking at the dataset and at this machine …"
ABOUT = (
    "Choose a dataset: the rest is proposed from it and from this machine. Change what you like; "
    "the plan below says what comes of it, and that is what will happen."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a browser was shown last.

    names: the datasets in the list, None where nobody looked yet;  trial: the print of the job;
    basis: what a plan follows from beside the form.
    """

    names: tuple[str, ...] | None = None
    trial: str = ""
    basis: str = ""


@dataclass(frozen=True, kw_only=True)
class Tab:
    """Everything on the tab that handlers touch."""

    studio: Studio
    form: ConfigForm
    propose: gr.Button
    trial: gr.Button
    save: gr.Button
    onward: gr.Button
    message: gr.HTML
    saved: gr.HTML
    tried: Painted
    planned: Painted

    @property
    def fields(self) -> list[Any]:
        """The controls that stand for fields, in the order of the form."""
        return list(self.form.controls.values())

    @property
    def telling(self) -> list[Component]:
        """The outputs for `told`."""
        return [self.message, *self.form.components]

    def told(self, message: Any, form: Sequence[Any] | None = None) -> list[Any]:
        """What a handler returns that says something, and where asked fills the form."""
        return [message, *(form or [gr.skip()] * len(self.form.components))]

    def changed(self, changes: Mapping[str, Any]) -> list[Any]:
        """What a handler returns that sets some fields."""
        told = note(changes_told(changes, self.form.fields))
        return self.told(told, self.form.filled(changes))

    def filled(self, find: Callable[[], Opened]) -> list[Any]:
        """What a handler returns that fills the form with what it finds."""
        try:
            found = find()
        except StudioError as cause:
            return self.told(refusal(cause))
        return self.told(note(found.told), self.form.filled(found.values, found.reasons))


def build(page: Page) -> None:
    """Draw the part and wire it."""
    tab = _draw(page.studio)
    _wire_form(tab)
    _wire_mending(tab, page)
    _wire_buttons(tab, page)
    _wire_looking(tab)


def _draw(studio: Studio) -> Tab:
    sections = config_sections()
    fields = by_key(sections)
    gr.Markdown(ABOUT)
    chosen = draw_chosen(dataset_names(studio.layout), bundle_names(studio))
    learns = draw_learns()
    few, rows = draw_few(sections)
    with gr.Accordion("Advanced", open=False, elem_id="training-configure-advanced"):
        drawn = {**chosen, **few, **draw_rest(sections)}
        propose = gr.Button("Propose anew", size="md", elem_id="training-configure-propose")
    message = gr.HTML(note(LOOKING), elem_id="training-configure-message")
    planned = draw_painted(PLAN)
    tried = draw_painted("training-configure-tried")
    with gr.Row(elem_classes="run-row"):
        save = gr.Button(
            "Save Configuration", variant="primary", scale=3, elem_id="training-configure-save"
        )
        trial = gr.Button("Try a step", elem_id="training-configure-try")
        onward = gr.Button("Go to Train", visible=False, elem_id="training-configure-onward")
    return Tab(
        studio=studio,
        form=ConfigForm(
            controls={key: drawn[key] for key in fields}, fields=fields, learns=learns, rows=rows
        ),
        propose=propose,
        trial=trial,
        save=save,
        onward=onward,
        message=message,
        saved=gr.HTML("", elem_id="training-configure-saved"),
        tried=tried,
        planned=planned,
    )


def _wire_form(tab: Tab) -> None:
    """Controls that turn others: dataset and model propose all, what learns decides on steps."""
    studio, controls, learns = tab.studio, tab.form.controls, tab.form.learns
    dataset, bundle = controls[DATASET], controls[BUNDLE]
    steps, diffusion = controls[STEPS], controls[DIFFUSION]

    def choose_dataset(name: Any, model: Any) -> list[Any]:
        return tab.filled(lambda: opened(studio, str(name or ""), str(model or "")))

    def propose_anew(name: Any, model: Any) -> list[Any]:
        return tab.filled(lambda: proposed(studio, str(name or ""), str(model or "")))

    def choose_learns(what: str, *given: Any) -> tuple[Any, Any]:
        speaking, shaping, name, model = given
        try:
            usual = usual_steps(studio, str(name or ""), str(model or ""))
        except StudioError:  # the plan says why
            return gr.skip(), gr.skip()
        return (
            0 if what == SHAPING else speaking or usual,
            0 if what == SPEAKING else shaping or usual,
        )

    dataset.input(choose_dataset, [dataset, bundle], tab.telling, **QUIET)
    gr.on([bundle.input, tab.propose.click], propose_anew, [dataset, bundle], tab.telling, **QUIET)
    each = [steps, diffusion]
    learns.input(choose_learns, [learns, *each, dataset, bundle], each, **QUIET)
    shown = [learns, *tab.form.rows]
    gr.on(
        [control.change for control in each],
        learning,
        each,
        shown,
        trigger_mode="always_last",
        **QUIET,
    )


def _wire_mending(tab: Tab, page: Page) -> None:
    """The buttons that mend what speaks against a configuration, or go to where it is mended."""
    form, studio, fields = tab.form, tab.studio, tab.fields
    places = [page.tabs, page.parts]

    def mend(asked: gr.EventData, *given: Any) -> list[Any]:
        data = asked._data if isinstance(asked._data, Mapping) else {}
        act, value = data.get("act"), str(data.get("value"))
        stay = [gr.skip(), gr.skip()]
        try:
            if act == "fix":
                changes = fix_for(studio, form.values(given), value).changes
                return [*tab.changed(changes), *stay]
            if act == "fit":
                return [*tab.changed(changes_of_trial(studio)), *stay]
        except StudioError as cause:
            return [*tab.told(refusal(cause)), *stay]
        goes = [gr.Tabs(selected=value), gr.skip()]
        return [*tab.told(gr.skip()), *(goes if value == "settings" else goes[::-1])]

    for painted in (tab.planned, tab.tried):
        painted.view.click(mend, fields, [*tab.telling, *places], js=within(fields), **QUIET)


def _wire_buttons(tab: Tab, page: Page) -> None:
    """Save Configuration, Try a step, and the way on."""
    form, studio, fields = tab.form, tab.studio, tab.fields

    def save(*given: Any) -> tuple[str, Any]:
        try:
            return save_form(studio, form.values(given)), gr.update(visible=True)
        except StudioError as cause:
            return refusal(cause), gr.skip()

    def start(*given: Any) -> str:
        try:
            return start_trial(studio, form.values(given))
        except StudioError as cause:
            return refusal(cause)

    tab.save.click(save, fields, [tab.saved, tab.onward], js=within(fields), **QUIET)
    tab.trial.click(start, fields, [tab.saved], js=within(fields), **QUIET)
    tab.onward.click(lambda: gr.Tabs(selected="train"), None, [page.parts], **QUIET)


def _wire_looking(tab: Tab) -> None:
    """Follow the datasets and the dry step while somebody looks; plan what the form says."""
    studio, form = tab.studio, tab.form
    where = 1 + list(form.controls).index(DATASET)

    def look(seen: Seen, name: Any, model: Any) -> list[Any]:
        names = tuple(dataset_names(studio.layout))
        job = newest_trial(studio)
        trial = trial_html(job)
        now = Seen(
            names=names,
            trial=sha256(trial.encode()).hexdigest(),
            basis=f"{stamp_of(studio.layout, name)} {job.id if job and job.is_over else ''}",
        )
        if now == seen:
            return [gr.skip()] * (3 + len(tab.telling))
        told = tab.told("" if seen.names is None else gr.skip())
        if names and (seen.names is None or name not in names):
            chosen = name if name in names else names[0]
            told = tab.filled(lambda: opened(studio, chosen, str(model or "")))
            told[where] = gr.update(choices=list(names), value=chosen)
        elif names != seen.names:
            told[where] = gr.update(choices=list(names))
        return [now, trial, now.basis, *told]

    seen = gr.State(Seen())
    # a state would tell of its change only to those who wait in a queue
    basis = gr.Textbox(visible="hidden", elem_id="training-configure-basis")
    pulse = draw_pulse(PLAN, LOOK_S)
    outputs = [seen, tab.tried.source, basis, *tab.telling]
    pulse.click(look, [seen, form.controls[DATASET], form.controls[BUNDLE]], outputs, **QUIET)
    gr.on(
        [basis.change, *(control.change for control in tab.fields)],
        lambda *given: planned_html(studio, lambda: form.values(given)),
        tab.fields,
        tab.planned.source,
        js=within(tab.fields),
        trigger_mode="always_last",
        **QUIET,
    )
