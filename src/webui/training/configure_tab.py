"""The part of the tab Training that plans: everything proposed, everything that follows shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import gradio as gr
from gradio.components import Component

from core.errors import AppError
from studio.app.studio import Studio
from studio.training_runs.config_service import list_config_sections
from webui.components.live_html import EVENT_OPTIONS, LiveHtml, create_live_html
from webui.components.messages import error_html, note_html
from webui.components.option_controls import clamp_inputs_js
from webui.components.page_context import PageContext
from webui.components.polling import create_visible_timer
from webui.training.configure_actions import (
    ConfigFormContent,
    dataset_names,
    find_fix,
    find_latest_trial,
    findings_and_plan_html,
    get_dataset_stamp,
    get_default_steps,
    get_trial_changes,
    load_config_form,
    load_proposed_form,
    model_names,
    save_form,
    start_trial,
)
from webui.training.configure_form import (
    DATASET_KEY,
    DIFFUSION_STAGE,
    DIFFUSION_STEPS_KEY,
    GPT_STAGE,
    GPT_STEPS_KEY,
    MODEL_KEY,
    ConfigForm,
    build_advanced_fields,
    build_dataset_and_model,
    build_main_fields,
    build_stage_selector,
    format_changes,
    get_stage_updates,
    index_fields,
)
from webui.training.configure_view import trial_html

# Any: each control has a value of its own type.

POLL_INTERVAL_S = 1.5
PLAN_ELEM_ID = "training-configure-plan"
LOADING_TEXT = "Looking at the dataset and at this machine …"
ABOUT = (
    "Choose a dataset: the rest is proposed from it and from this machine. Change what you like; "
    "the plan below says what comes of it, and that is what will happen."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigureSessionState:
    """What a browser was shown last.

    names: the datasets in the list, None where nobody looked yet;  trial: the print of the job;
    basis: what a plan follows from beside the form.
    """

    names: tuple[str, ...] | None = None
    trial: str = ""
    plan_key: str = ""


@dataclass(frozen=True, kw_only=True)
class ConfigureTab:
    """Everything on the tab that handlers touch."""

    studio: Studio
    form: ConfigForm
    propose: gr.Button
    trial: gr.Button
    save: gr.Button
    go_to_train: gr.Button
    message: gr.HTML
    saved: gr.HTML
    trial_view: LiveHtml
    plan_view: LiveHtml

    @property
    def fields(self) -> list[Any]:
        """The controls that stand for fields, in the order of the form."""
        return list(self.form.controls.values())

    @property
    def outputs(self) -> list[Component]:
        """The outputs for `told`."""
        return [self.message, *self.form.components]

    def build_outputs(self, message: Any, form: Sequence[Any] | None = None) -> list[Any]:
        """What a handler returns that says something, and where asked fills the form."""
        return [message, *(form or [gr.skip()] * len(self.form.components))]

    def build_change_outputs(self, changes: Mapping[str, Any]) -> list[Any]:
        """What a handler returns that sets some fields."""
        told = note_html(format_changes(changes, self.form.fields))
        return self.build_outputs(told, self.form.build_updates(changes))

    def build_fill_outputs(self, find: Callable[[], ConfigFormContent]) -> list[Any]:
        """What a handler returns that fills the form with what it finds."""
        try:
            found = find()
        except AppError as cause:
            return self.build_outputs(error_html(cause))
        return self.build_outputs(
            note_html(found.message), self.form.build_updates(found.values, found.reasons)
        )


def build_configure_tab(page: PageContext) -> None:
    """Draw the part and wire it."""
    tab = _build_layout(page.studio)
    _bind_form_events(tab)
    _bind_fix_events(tab, page)
    _bind_button_events(tab, page)
    _bind_polling(tab)


def _build_layout(studio: Studio) -> ConfigureTab:
    sections = list_config_sections()
    fields = index_fields(sections)
    gr.Markdown(ABOUT)
    chosen = build_dataset_and_model(dataset_names(studio.layout), model_names(studio))
    learns = build_stage_selector()
    few, rows = build_main_fields(sections)
    with gr.Accordion("Advanced", open=False, elem_id="training-configure-advanced"):
        drawn = {**chosen, **few, **build_advanced_fields(sections)}
        propose = gr.Button("Propose anew", size="md", elem_id="training-configure-propose")
    message = gr.HTML(note_html(LOADING_TEXT), elem_id="training-configure-message")
    planned = create_live_html(PLAN_ELEM_ID)
    tried = create_live_html("training-configure-tried")
    with gr.Row(elem_classes="run-row"):
        save = gr.Button(
            "Save Configuration", variant="primary", scale=3, elem_id="training-configure-save"
        )
        trial = gr.Button("Try a step", elem_id="training-configure-try")
        onward = gr.Button("Go to Train", visible=False, elem_id="training-configure-onward")
    return ConfigureTab(
        studio=studio,
        form=ConfigForm(
            controls={key: drawn[key] for key in fields}, fields=fields, stages=learns, rows=rows
        ),
        propose=propose,
        trial=trial,
        save=save,
        go_to_train=onward,
        message=message,
        saved=gr.HTML("", elem_id="training-configure-saved"),
        trial_view=tried,
        plan_view=planned,
    )


def _bind_form_events(tab: ConfigureTab) -> None:
    """Controls that turn others: dataset and model propose all, what learns decides on steps."""
    studio, controls, learns = tab.studio, tab.form.controls, tab.form.stages
    dataset, bundle = controls[DATASET_KEY], controls[MODEL_KEY]
    steps, diffusion = controls[GPT_STEPS_KEY], controls[DIFFUSION_STEPS_KEY]

    def choose_dataset(name: Any, model: Any) -> list[Any]:
        return tab.build_fill_outputs(
            lambda: load_config_form(studio, str(name or ""), str(model or ""))
        )

    def propose_anew(name: Any, model: Any) -> list[Any]:
        return tab.build_fill_outputs(
            lambda: load_proposed_form(studio, str(name or ""), str(model or ""))
        )

    def choose_learns(what: str, *given: Any) -> tuple[Any, Any]:
        speaking, shaping, name, model = given
        try:
            usual = get_default_steps(studio, str(name or ""), str(model or ""))
        except AppError:  # the plan says why
            return gr.skip(), gr.skip()
        return (
            0 if what == DIFFUSION_STAGE else speaking or usual,
            0 if what == GPT_STAGE else shaping or usual,
        )

    dataset.input(choose_dataset, [dataset, bundle], tab.outputs, **EVENT_OPTIONS)
    gr.on(
        [bundle.input, tab.propose.click],
        propose_anew,
        [dataset, bundle],
        tab.outputs,
        **EVENT_OPTIONS,
    )
    each = [steps, diffusion]
    learns.input(choose_learns, [learns, *each, dataset, bundle], each, **EVENT_OPTIONS)
    shown = [learns, *tab.form.rows]
    gr.on(
        [control.change for control in each],
        get_stage_updates,
        each,
        shown,
        trigger_mode="always_last",
        **EVENT_OPTIONS,
    )


def _bind_fix_events(tab: ConfigureTab, page: PageContext) -> None:
    """The buttons that mend what speaks against a configuration, or go to where it is mended."""
    form, studio, fields = tab.form, tab.studio, tab.fields
    places = [page.tabs, page.training_tabs]

    def mend(asked: gr.EventData, *given: Any) -> list[Any]:
        data = asked._data if isinstance(asked._data, Mapping) else {}
        act, value = data.get("act"), str(data.get("value"))
        stay = [gr.skip(), gr.skip()]
        try:
            if act == "fix":
                changes = find_fix(studio, form.values(given), value).changes
                return [*tab.build_change_outputs(changes), *stay]
            if act == "fit":
                return [*tab.build_change_outputs(get_trial_changes(studio)), *stay]
        except AppError as cause:
            return [*tab.build_outputs(error_html(cause)), *stay]
        goes = [gr.Tabs(selected=value), gr.skip()]
        return [*tab.build_outputs(gr.skip()), *(goes if value == "settings" else goes[::-1])]

    for painted in (tab.plan_view, tab.trial_view):
        painted.view.click(
            mend, fields, [*tab.outputs, *places], js=clamp_inputs_js(fields), **EVENT_OPTIONS
        )


def _bind_button_events(tab: ConfigureTab, page: PageContext) -> None:
    """Save Configuration, Try a step, and the way on."""
    form, studio, fields = tab.form, tab.studio, tab.fields

    def save(*given: Any) -> tuple[str, Any]:
        try:
            return save_form(studio, form.values(given)), gr.update(visible=True)
        except AppError as cause:
            return error_html(cause), gr.skip()

    def start(*given: Any) -> str:
        try:
            return start_trial(studio, form.values(given))
        except AppError as cause:
            return error_html(cause)

    tab.save.click(
        save, fields, [tab.saved, tab.go_to_train], js=clamp_inputs_js(fields), **EVENT_OPTIONS
    )
    tab.trial.click(start, fields, [tab.saved], js=clamp_inputs_js(fields), **EVENT_OPTIONS)
    tab.go_to_train.click(
        lambda: gr.Tabs(selected="train"), None, [page.training_tabs], **EVENT_OPTIONS
    )


def _bind_polling(tab: ConfigureTab) -> None:
    """Follow the datasets and the dry step while somebody looks; plan what the form says."""
    studio, form = tab.studio, tab.form
    where = 1 + list(form.controls).index(DATASET_KEY)

    def look(seen: ConfigureSessionState, name: Any, model: Any) -> list[Any]:
        names = tuple(dataset_names(studio.layout))
        job = find_latest_trial(studio)
        trial = trial_html(job)
        now = ConfigureSessionState(
            names=names,
            trial=sha256(trial.encode()).hexdigest(),
            plan_key=(
                f"{get_dataset_stamp(studio.layout, name)} {job.id if job and job.is_over else ''}"
            ),
        )
        if now == seen:
            return [gr.skip()] * (3 + len(tab.outputs))
        told = tab.build_outputs("" if seen.names is None else gr.skip())
        if names and (seen.names is None or name not in names):
            chosen = name if name in names else names[0]
            told = tab.build_fill_outputs(
                lambda: load_config_form(studio, chosen, str(model or ""))
            )
            told[where] = gr.update(choices=list(names), value=chosen)
        elif names != seen.names:
            told[where] = gr.update(choices=list(names))
        return [now, trial, now.plan_key, *told]

    seen = gr.State(ConfigureSessionState())
    # a state would tell of its change only to those who wait in a queue
    basis = gr.Textbox(visible="hidden", elem_id="training-configure-basis")
    pulse = create_visible_timer(PLAN_ELEM_ID, POLL_INTERVAL_S)
    outputs = [seen, tab.trial_view.source, basis, *tab.outputs]
    pulse.click(
        look, [seen, form.controls[DATASET_KEY], form.controls[MODEL_KEY]], outputs, **EVENT_OPTIONS
    )
    gr.on(
        [basis.change, *(control.change for control in tab.fields)],
        lambda *given: findings_and_plan_html(studio, lambda: form.values(given)),
        tab.fields,
        tab.plan_view.source,
        js=clamp_inputs_js(tab.fields),
        trigger_mode="always_last",
        **EVENT_OPTIONS,
    )
