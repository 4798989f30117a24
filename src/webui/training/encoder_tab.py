"""The Train Encoder part of the Training tab: preprocess recordings, train a speaker encoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr

from core.errors import AppError, reraise_as_app_error
from core.options import OptionField, list_option_fields
from jobs.models import Job
from studio.encoders.requests import (
    AugmentationOptions,
    FeatureConfig,
    PreprocessOptions,
    PreprocessRequest,
)
from studio.encoders.service import RECIPES, EncoderTrainConfig
from studio.training_runs.run_status import RunStatus, RunSummary
from webui.components.charts import create_line_plot, line_plot_update
from webui.components.job_card import stop_jobs
from webui.components.live_panel import (
    EVENT_OPTIONS,
    LivePanel,
    Updates,
    create_live_html,
)
from webui.components.option_controls import (
    build_control,
    from_control_value,
    set_from_table_js,
)
from webui.components.page_context import PageContext
from webui.components.templates import render
from webui.tools.results import tool_job_html
from webui.training.run_actions import RunActions
from webui.training.run_view import (
    announcement_html,
    build_encoder_charts,
    find_run_name,
    format_run_title,
    run_html,
    runs_html,
)

# Any: values of Gradio's components.

POLL_INTERVAL_S = 1.5
PREPROCESS_TASK, ORIGIN = "preprocess_speakers", "train-encoder"
TAB = "training-encoder"
MAIN_OPTIONS = ("kind", "steps", "learning_rate", "hidden", "layers")
DEFAULT_RECIPE = "small"
ABOUT = (
    "A speaker encoder tells voices apart. **Preprocess** computes the features of recordings of "
    "several people; **Train encoder** trains in the background, and continues when this page or "
    "the studio is closed."
)


@dataclass(frozen=True, kw_only=True)
class EncoderSnapshot:
    """Everything the part shows; equal snapshots look the same."""

    datasets: tuple[str, ...]
    runs: tuple[RunSummary, ...]
    run: RunStatus | None
    job: Job | None


class EncoderTab(RunActions):
    """Controls of datasets and runs of encoders, and the run that is shown."""

    start_label = "Train encoder"

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio, self.runs = page, page.studio, page.studio.encoders
        self.fields: dict[str, OptionField] = {}
        self.controls: dict[str, Any] = {}
        gr.Markdown(ABOUT)
        self._build_dataset()
        self._build_training()
        message = gr.HTML("", elem_id="training-encoder-message")
        with gr.Column(elem_id="training-encoders"):
            self.job_view = create_live_html("training-encoder-job")
            run_view = create_live_html("training-encoder-run")
            with gr.Row(elem_classes="curves"):
                self.plots = {
                    key: create_line_plot(f"{TAB}-plot-{key}") for key in build_encoder_charts(None)
                }
            self.list_view = create_live_html("training-encoder-list")
        self.selected = gr.State("")
        self.panel = LivePanel(
            run_view,
            self.take_snapshot,
            self.render,
            {"show": self.show_run},
            message=message,
            inputs=[self.selected],
            outputs=[
                *(self.job_view, self.list_view, *self.plots.values()),
                *(self.dataset, self.stop, self.resume, self.stop_job),
            ],
        )
        self._bind()

    def _build_dataset(self) -> None:
        with gr.Row(elem_classes="plan-row"):
            self.recipe = gr.Dropdown(
                choices=[(recipe.label, name) for name, recipe in RECIPES.items()],
                value=DEFAULT_RECIPE,
                label="Recipe",
                info="Sets features and training options, which can be changed below.",
                elem_id="training-encoder-recipe",
            )
            self.sources = gr.Textbox(
                value=str(self.studio.layout.voices),
                label="Recordings",
                info="Folders of datasets or CSV files, one per line; one folder for each speaker.",
                lines=2,
                scale=2,
                elem_id="training-encoder-sources",
            )
            self.name = gr.Textbox(
                value="voices",
                label="Name of the dataset",
                max_lines=1,
                elem_id="training-encoder-dataset-name",
            )
        recipe = RECIPES[DEFAULT_RECIPE]
        self._build_options("Features", "features", FeatureConfig, recipe.features)
        options = PreprocessOptions(min_frames=recipe.min_frames)
        self._build_options("Recordings that are used", "options", PreprocessOptions, options)
        self._build_options(
            "Augmentation", "augmentation", AugmentationOptions, AugmentationOptions()
        )
        with gr.Row(elem_classes="run-row"):
            self.preprocess = gr.Button(
                "Preprocess", variant="primary", scale=3, elem_id="training-encoder-preprocess"
            )
            self.stop_job = gr.Button(
                "Stop preprocessing", interactive=False, elem_id="training-encoder-stop-job"
            )

    def _build_training(self) -> None:
        config = RECIPES[DEFAULT_RECIPE].config
        with gr.Row(elem_classes="plan-row"):
            self.dataset = gr.Dropdown(
                choices=self.studio.encoders.list_dataset_names(),
                label="Dataset",
                info="A preprocessed dataset.",
                elem_id="training-encoder-dataset",
            )
            self.run_name = gr.Textbox(
                label="Run name",
                info="Leave blank for the name of the dataset.",
                max_lines=1,
                elem_id="training-encoder-name",
            )
        fields = {field.name: field for field in list_option_fields(EncoderTrainConfig)}
        with gr.Row(elem_classes="plan-row"):
            for name in MAIN_OPTIONS:
                self._add_control("config", fields[name], getattr(config, name))
        with gr.Accordion("Advanced", open=False), gr.Column(elem_classes="option-grid"):
            for name, field in fields.items():
                if name not in MAIN_OPTIONS:
                    self._add_control("config", field, getattr(config, name))
        with gr.Row(elem_classes="run-row"):
            self.train = gr.Button(
                "Train encoder", variant="primary", scale=3, elem_id="training-encoder-train"
            )
            self.stop = gr.Button("Stop", interactive=False, elem_id="training-encoder-stop")
            self.resume = gr.Button("Resume", interactive=False, elem_id="training-encoder-resume")

    def _build_options(self, label: str, group: str, cls: type, values: Any) -> None:
        with gr.Accordion(label, open=False), gr.Column(elem_classes="option-grid"):
            for field in list_option_fields(cls):
                self._add_control(group, field, getattr(values, field.name))

    def _add_control(self, group: str, field: OptionField, value: Any) -> None:
        key = f"{group}.{field.name}"
        self.fields[key] = field
        self.controls[key] = build_control(field, f"{TAB}-{group}", value)

    def _bind(self) -> None:
        controls = list(self.controls.values())
        self.panel.listen(self.list_view)
        self.panel.follow(self.page.changes, POLL_INTERVAL_S, place="training-encoders")
        inputs = [self.sources, self.name, *controls]
        self.panel.bind(self.preprocess.click, self.submit_preprocessing, inputs)
        self.panel.bind(self.stop_job.click, self.stop_preprocessing)
        inputs = [self.dataset, self.run_name, *controls]
        self.panel.bind(self.train.click, self.start_run, inputs)
        self.panel.bind(self.stop.click, self.stop_run, [self.selected])
        self.panel.bind(self.resume.click, self.resume_run, [self.selected])
        rows = {name: get_recipe_values(name, self.controls) for name in RECIPES}
        show = set_from_table_js(rows, list(self.controls))
        self.recipe.input(None, [self.recipe, *controls], controls, js=show, **EVENT_OPTIONS)

    def take_snapshot(self, selected: str) -> EncoderSnapshot:
        """Read the run to show, the runs, the datasets and the latest preprocessing."""
        rows = self.studio.encoders.list_summaries()
        name = find_run_name(selected, rows)
        jobs = (job for job in self.studio.jobs(limit=50) if job.task == PREPROCESS_TASK)
        return EncoderSnapshot(
            datasets=tuple(self.studio.encoders.list_dataset_names()),
            runs=tuple(rows),
            run=self.studio.encoders.get_status(name) if name else None,
            job=next(jobs, None),
        )

    def render(self, snapshot: EncoderSnapshot) -> Updates:
        """Render a snapshot."""
        run, job = snapshot.run, snapshot.job
        charts = build_encoder_charts(run)
        shown = run_html(run, charts) if run is not None else render("training/no_encoders.html")
        title = format_run_title(run) if run is not None else ""
        is_active = run is not None and run.state in ("waiting", "running")
        return {
            self.panel.html: announcement_html(run) + shown,
            self.job_view: tool_job_html(job, self.studio.layout) if job is not None else "",
            self.list_view: runs_html(snapshot.runs, title, can_delete=False),
            **{plot: line_plot_update(charts[key]) for key, plot in self.plots.items()},
            self.dataset: gr.update(
                choices=list(snapshot.datasets), value=next(iter(snapshot.datasets), None)
            ),
            self.stop: gr.update(interactive=is_active),
            self.resume: gr.update(interactive=run is not None and run.can_resume),
            self.stop_job: gr.update(interactive=job is not None and not job.is_over),
        }

    def submit_preprocessing(self, sources: str, name: str, *values: Any) -> Updates:
        """Submit the preprocessing of recordings."""
        options = self._read_options(values)
        with reraise_as_app_error(ValueError):
            request = PreprocessRequest(
                sources=tuple(line.strip() for line in sources.splitlines() if line.strip()),
                name=name.strip(),
                features=FeatureConfig(**options["features"]),
                options=PreprocessOptions(**options["options"]),
                augmentation=AugmentationOptions(**options["augmentation"]),
            )
        self.studio.submit(request, title=f"Features of {request.name}", origin=ORIGIN)
        return {}

    def stop_preprocessing(self) -> Updates:
        """Stop the preprocessing; what was computed is kept."""
        stop_jobs(self.studio, (PREPROCESS_TASK,), ORIGIN)
        return {}

    def start_run(self, dataset: str | None, name: str, *values: Any) -> Updates:
        """Start a training and show it."""
        if not dataset:
            raise AppError("No dataset selected. Press Preprocess first.")
        with reraise_as_app_error(ValueError):
            config = EncoderTrainConfig(**self._read_options(values)["config"])
        run = self._require_new(name.strip() or dataset)
        view = self.studio.encoders.start(run, dataset, config)
        return self._select(view.name)

    def _read_options(self, values: tuple[Any, ...]) -> dict[str, dict[str, Any]]:
        options: dict[str, dict[str, Any]] = {}
        for (key, field), value in zip(self.fields.items(), values, strict=True):
            group, _, name = key.partition(".")
            options.setdefault(group, {})[name] = from_control_value(field, value)
        return options


def get_recipe_values(recipe: str, controls: Iterable[str]) -> dict[str, Any]:
    """Return the value of each control for a recipe; the keys are as of `EncoderTab.controls`."""
    chosen = RECIPES[recipe]
    values: Mapping[str, Mapping[str, Any]] = {
        "features": asdict(chosen.features),
        "options": asdict(PreprocessOptions(min_frames=chosen.min_frames)),
        "augmentation": asdict(AugmentationOptions()),
        "config": asdict(chosen.config),
    }
    places = {key: key.partition(".") for key in controls}
    return {key: values[group][name] for key, (group, _, name) in places.items()}
