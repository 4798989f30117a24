"""The Generate Configuration part of the Training tab: suggested values, checked and planned."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from core.errors import AppError
from jobs.models import Job
from studio.app.studio import Studio
from webui.components.charts import create_line_plot, line_plot_update
from webui.components.live_panel import (
    EVENT_OPTIONS,
    LivePanel,
    Updates,
    create_live_html,
    parse_action,
)
from webui.components.messages import error_html, note_html, show_errors
from webui.components.option_controls import clamp_inputs_js
from webui.components.page_context import PageContext
from webui.training.configure_actions import (
    ConfigFormContent,
    check_form,
    find_fix,
    find_latest_trial,
    get_dataset_stamp,
    get_default_steps,
    get_trial_changes,
    list_dataset_names,
    list_model_names,
    load_config_form,
    load_suggested_form,
    save_form,
    submit_trial,
)
from webui.training.configure_form import (
    DATASET_KEY,
    DIFFUSION_STAGE,
    DIFFUSION_STEPS_KEY,
    GPT_STAGE,
    GPT_STEPS_KEY,
    MODEL_KEY,
    ConfigForm,
)
from webui.training.configure_view import build_rate_chart, trial_html

# Any: each control has a value of its own type.

POLL_INTERVAL_S = 1.5
ABOUT = (
    "Choose a dataset; all other values are suggested from it and from this machine. Change what "
    "you like: the plan below shows what will happen."
)


class ConfigureTab:
    """The form, the plan that follows from it, and the latest test run."""

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio = page, page.studio
        gr.Markdown(ABOUT)
        names, models = list_dataset_names(self.studio.layout), list_model_names(self.studio)
        self.form = form = ConfigForm(names, models)
        self.message = gr.HTML(
            note_html("Inspecting the dataset and this machine …"),
            elem_id="training-configure-message",
        )
        with gr.Column(elem_id="training-configure-planned"):
            self.plan = create_live_html("training-configure-plan")
            self.rate_plot = create_line_plot("training-configure-rate")
        trial_view = create_live_html("training-configure-tried")
        with gr.Row(elem_classes="run-row"):
            save = gr.Button(
                "Save Configuration", variant="primary", scale=3, elem_id="training-configure-save"
            )
            trial = gr.Button("Test run", elem_id="training-configure-try")
            self.go_to_train = gr.Button(
                "Go to Train", visible=False, elem_id="training-configure-onward"
            )
        self.saved = gr.HTML("", elem_id="training-configure-saved")
        self.is_loaded = gr.State(False)
        # hidden: their change events fire where a State's would need the queue
        self.names = gr.Textbox(visible="hidden", elem_id="training-configure-names")
        self.basis = gr.Textbox(visible="hidden", elem_id="training-configure-basis")
        self.panel = LivePanel(
            trial_view,
            self.take_snapshot,
            self.render,
            inputs=[form.controls[DATASET_KEY]],
            outputs=[self.names, self.basis],
        )
        place = "training-configure-planned"
        self.panel.follow(page.changes, POLL_INTERVAL_S, place=place)
        form.controls[DATASET_KEY].change(
            self.panel.refresh, self.panel.inputs, self.panel.outputs, **EVENT_OPTIONS
        )
        self._bind_form()
        self._bind_buttons(save, trial)

    def _bind_form(self) -> None:
        form, controls = self.form, self.form.controls
        chosen = [controls[DATASET_KEY], controls[MODEL_KEY]]
        steps = [controls[GPT_STEPS_KEY], controls[DIFFUSION_STEPS_KEY]]
        outputs = [self.message, *form.components]
        last = {**EVENT_OPTIONS, "trigger_mode": "always_last"}
        self.names.change(
            show_errors(self.message, self.follow_datasets),
            [self.names, self.is_loaded, *chosen],
            [self.is_loaded, *outputs],
            **EVENT_OPTIONS,
        )
        controls[DATASET_KEY].input(
            show_errors(self.message, self.load), chosen, outputs, **EVENT_OPTIONS
        )
        gr.on(
            [controls[MODEL_KEY].input, form.suggest.click],
            show_errors(self.message, self.suggest),
            chosen,
            outputs,
            **EVENT_OPTIONS,
        )
        form.stages.input(self.set_stages, [form.stages, *steps, *chosen], steps, **EVENT_OPTIONS)
        gr.on(
            [control.change for control in steps],
            form.build_stage_updates,
            steps,
            [form.stages, *form.rows],
            **last,
        )
        gr.on(
            [self.basis.change, *(control.change for control in controls.values())],
            self.show_plan,
            form.components,
            [self.plan, self.rate_plot],
            js=clamp_inputs_js(form.components),
            **last,
        )

    def _bind_buttons(self, save: gr.Button, trial: gr.Button) -> None:
        fields, tabs = self.form.components, self.page.training_tabs
        with_form: dict[str, Any] = {"js": clamp_inputs_js(fields), **EVENT_OPTIONS}
        for html in (self.plan, self.panel.html):
            outputs = [self.message, *fields, self.page.tabs, tabs]
            html.click(self.press, fields, outputs, **with_form)
        outputs = [self.saved, self.go_to_train]
        save.click(show_errors(self.saved, self.save), fields, outputs, **with_form)
        trial.click(show_errors(self.saved, self.start_trial), fields, [self.saved], **with_form)
        self.go_to_train.click(lambda: gr.Tabs(selected="train"), None, [tabs], **EVENT_OPTIONS)

    def take_snapshot(self, dataset: Any) -> tuple[list[str], str, Job | None]:
        """Return the datasets, what the plan depends on beside the form, and the test run."""
        job = find_latest_trial(self.studio)
        stamp = get_dataset_stamp(self.studio.layout, dataset)
        basis = f"{stamp} {job.id if job and job.is_over else ''}"
        return list_dataset_names(self.studio.layout), basis, job

    def render(self, snapshot: tuple[list[str], str, Job | None]) -> Updates:
        """Render the test run; let form and plan follow the datasets."""
        names, basis, job = snapshot
        return {
            self.panel.html: trial_html(job),
            self.names: json.dumps(names),
            self.basis: basis,
        }

    def follow_datasets(self, listed: str, is_loaded: bool, dataset: Any, model: Any) -> Updates:
        """Offer the datasets there are; load one at first, and where the chosen one is gone."""
        names, control = json.loads(listed or "[]"), self.form.controls[DATASET_KEY]
        offered = {control: gr.update(choices=names)}
        if not names or (is_loaded and dataset in names):
            return {self.message: "", **offered}
        chosen = dataset if dataset in names else names[0]
        updates = {**self.load(chosen, model), control: gr.update(choices=names, value=chosen)}
        return {self.is_loaded: True, **updates}

    def load(self, dataset: Any, model: Any) -> Updates:
        """Fill the form with the saved configuration of a dataset, or with suggested values."""
        return self._fill(load_config_form, dataset, model)

    def suggest(self, dataset: Any, model: Any) -> Updates:
        """Fill the form with suggested values."""
        return self._fill(load_suggested_form, dataset, model)

    def _fill(
        self, load: Callable[[Studio, str, str], ConfigFormContent], dataset: Any, model: Any
    ) -> Updates:
        content = load(self.studio, str(dataset or ""), str(model or ""))
        return {
            self.message: note_html(content.message),
            **self.form.build_updates(content.values, content.reasons),
        }

    def set_stages(self, stages: str, *given: Any) -> Updates:
        """Set the steps of each stage by the choice of trained networks."""
        gpt_steps, diffusion_steps, dataset, model = given
        controls = self.form.controls
        try:
            default = get_default_steps(self.studio, str(dataset or ""), str(model or ""))
        except AppError:  # the plan shows the reason
            return {controls[GPT_STEPS_KEY]: gr.skip()}
        return {
            controls[GPT_STEPS_KEY]: 0 if stages == DIFFUSION_STAGE else gpt_steps or default,
            controls[DIFFUSION_STEPS_KEY]: 0 if stages == GPT_STAGE else diffusion_steps or default,
        }

    def show_plan(self, *given: Any) -> Updates:
        """Check and plan the configuration of the form."""
        html, plan = check_form(self.studio, lambda: self.form.read_values(given))
        return {self.plan: html, self.rate_plot: line_plot_update(build_rate_chart(plan))}

    def press(self, event: gr.EventData, *given: Any) -> Updates:
        """Apply a fix to the form, or go to the tab where the fix is made."""
        action = parse_action(event)
        try:
            if action.name == "fix":
                finding = find_fix(self.studio, self.form.read_values(given), action.text("value"))
                return self._apply_changes(finding.changes)
            if action.name == "fit":
                return self._apply_changes(get_trial_changes(self.studio))
        except AppError as error:
            return {self.message: error_html(error)}
        target = action.text("value")
        tabs = self.page.tabs if target == "settings" else self.page.training_tabs
        return {tabs: gr.Tabs(selected=target)}

    def _apply_changes(self, changes: Mapping[str, Any]) -> Updates:
        text = self.form.format_changes(changes)
        return {self.message: note_html(text), **self.form.build_updates(changes)}

    def save(self, *given: Any) -> Updates:
        """Save the configuration and show the file."""
        html = save_form(self.studio, self.form.read_values(given))
        return {self.saved: html, self.go_to_train: gr.update(visible=True)}

    def start_trial(self, *given: Any) -> Updates:
        """Queue a test run of one step; its state is shown above."""
        submit_trial(self.studio, self.form.read_values(given))
        return {self.saved: ""}
