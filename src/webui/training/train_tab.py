"""The Train part of the Training tab: start, watch, stop and resume runs, and export checkpoints.

Everything shown is read from the folder of the run, so after a reload, in a second browser and
after a restart of the studio it is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import gradio as gr

from core.errors import AppError
from core.paths import ProjectPaths, quote_for_message
from studio.app.studio import Studio
from studio.model_store.finetunes import FinetunedModel, list_finetunes
from studio.training_runs.config_service import CONFIG_FILE
from studio.training_runs.run_status import FINISHED_STATES, RunStatus, RunSummary
from studio.training_runs.service import build_export_request, find_missing_consent
from studio.training_runs.trash import DeletedRun, list_deleted_runs, restore_run
from webui.components.charts import create_line_plot, line_plot_update
from webui.components.job_card import format_progress
from webui.components.live_panel import LivePanel, PanelAction, Updates, create_live_html
from webui.components.messages import note_html
from webui.components.page_context import PageContext
from webui.training.blind_panel import BlindPanel
from webui.training.run_view import (
    ModelExport,
    announcement_html,
    build_charts,
    checkpoints_html,
    format_run_title,
    run_html,
    runs_html,
)

POLL_INTERVAL_S = 1.5
EXPORT_TASK = "publish_run"
TITLE_SEPARATOR = " / "  # no name contains a slash
ABOUT = (
    "Choose a configuration and press **Train**. Training continues when this page, the browser "
    "or the studio is closed."
)


@dataclass(frozen=True, kw_only=True)
class TrainSnapshot:
    """Everything the Train part shows; equal snapshots look the same."""

    configs: tuple[str, ...]
    runs: tuple[RunSummary, ...]
    deleted: tuple[DeletedRun, ...]
    run: RunStatus | None
    export: ModelExport


class TrainTab:
    """The controls of runs, and the run that is shown: a chosen, a running or the newest one."""

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio = page, page.studio
        train = self._build_controls()
        message = gr.HTML("", elem_id="training-train-message")
        with gr.Column(elem_id="training-train"):
            run_view = create_live_html("training-run")
            with gr.Row(elem_classes="curves"):
                self.plots = {
                    key: create_line_plot(f"training-{key}") for key in build_charts(None)
                }
            self.checkpoints = create_live_html("training-checkpoints")
        self.selected = gr.State("")
        self.panel = LivePanel(
            run_view,
            self.take_snapshot,
            self.render,
            {
                "show": self.show_run,
                "delete": self.delete_run,
                "restore": self.restore_run,
                "use": self.export_checkpoint,
                "speak": self.generate_with_model,
            },
            message=message,
            inputs=[self.selected],
            outputs=[self.checkpoints, *self.plots.values(), self.config, self.stop, self.resume],
            action_outputs=[*page.form.components, page.tabs],
        )
        self.blind = BlindPanel(page, self.selected, self.find_run)
        self.panel.listen(self.checkpoints)
        self.panel.follow(page.changes, POLL_INTERVAL_S)
        self.panel.bind(train.click, self.start_run, [self.config, self.name])
        self.panel.bind(self.stop.click, self.stop_run, [self.selected])
        self.panel.bind(self.resume.click, self.resume_run, [self.selected])

    def _build_controls(self) -> gr.Button:
        gr.Markdown(ABOUT)
        with gr.Row(elem_classes="plan-row"):
            names = list_configured_datasets(self.studio)
            self.config = gr.Dropdown(
                choices=names,
                value=next(iter(names), None),
                label="Configuration",
                info="Saved under Generate Configuration; named like its dataset.",
                scale=3,
                elem_id="training-train-config",
            )
            self.name = gr.Textbox(
                label="Run name",
                info="Leave blank to use the next number.",
                max_lines=1,
                elem_id="training-train-name",
            )
        with gr.Row(elem_classes="run-row"):
            train = gr.Button("Train", variant="primary", scale=3, elem_id="training-train-run")
            self.stop = gr.Button("Stop", interactive=False, elem_id="training-train-stop")
            self.resume = gr.Button("Resume", interactive=False, elem_id="training-train-resume")
        return train

    def take_snapshot(self, selected: str) -> TrainSnapshot:
        """Read the run to show and the list of runs. selected: its title, or ""."""
        rows, layout = self.studio.runs.list(), self.studio.layout
        datasets = sorted(path.parent.name for path in layout.training.glob("*/runs"))
        run = self.find_run(selected)
        return TrainSnapshot(
            configs=tuple(list_configured_datasets(self.studio)),
            runs=tuple(rows),
            deleted=tuple(run for name in datasets for run in list_deleted_runs(layout, name)),
            run=run,
            export=self._find_export(run) if run is not None else ModelExport(),
        )

    def render(self, snapshot: TrainSnapshot) -> Updates:
        """Render a snapshot."""
        run = snapshot.run
        title = format_run_title(run) if run is not None else ""
        checkpoints = (
            checkpoints_html(run, self.studio.layout, snapshot.export) if run is not None else ""
        )
        is_active = run is not None and run.state in ("waiting", "running")
        charts = build_charts(run)
        return {
            self.panel.html: announcement_html(run) + run_html(run),
            self.checkpoints: checkpoints + runs_html(snapshot.runs, title, snapshot.deleted),
            **{plot: line_plot_update(charts[key]) for key, plot in self.plots.items()},
            # the configuration saved last is the most likely choice
            self.config: gr.update(
                choices=list(snapshot.configs), value=next(iter(snapshot.configs), None)
            ),
            self.stop: gr.update(interactive=is_active),
            self.resume: gr.update(interactive=run is not None and run.can_resume),
        }

    def start_run(self, dataset: str | None, name: str) -> Updates:
        """Start a run and show it.

        dataset: None where the list is not filled yet: the configuration that was saved last.
        """
        dataset = dataset or next(iter(list_configured_datasets(self.studio)), None)
        if not dataset:
            raise AppError("No configuration selected. Save one under Generate Configuration.")
        view = self.studio.runs.start(dataset, name.strip())
        return {**self._select(view), **self._note(" ".join(view.notes))}

    def stop_run(self, selected: str) -> Updates:
        """Stop the run that is shown."""
        return self._select(self.studio.runs.stop(*self._parse_selected(selected)))

    def resume_run(self, selected: str) -> Updates:
        """Resume the run that is shown."""
        return self._select(self.studio.runs.resume(*self._parse_selected(selected)))

    def show_run(self, action: PanelAction, selected: str) -> Updates:
        """Show another run."""
        return self._select(self.studio.runs.view(*parse_run_title(action.text("job"))))

    def delete_run(self, action: PanelAction, selected: str) -> Updates:
        """Move a run to the trash."""
        dataset, name = parse_run_title(action.text("job"))
        self.studio.runs.delete(dataset, name)
        return self._note(f"{action.text('job')} moved to the trash.")

    def restore_run(self, action: PanelAction, selected: str) -> Updates:
        """Restore a run from the trash and show it."""
        dataset, _ = parse_run_title(action.text("job"))
        name = restore_run(self.studio.layout, dataset, action.text("value"))
        title = f"{dataset}{TITLE_SEPARATOR}{name}"
        return {**self._note(f"{title} restored."), self.selected: title}

    def export_checkpoint(self, action: PanelAction, selected: str) -> Updates:
        """Queue a job that exports a checkpoint as a model."""
        dataset, name = parse_run_title(action.text("job"))
        step = _parse_step(action.text("value"))
        request = build_export_request(self.studio.layout, dataset, name, step)
        title = f"Export step {step:,} of {dataset}{TITLE_SEPARATOR}{name}"
        self.studio.submit(request, title=title)
        text = f"Exporting step {step:,} as a model."
        return self._note(f"{text} {find_missing_consent(self.studio.layout, dataset)}".strip())

    def generate_with_model(self, action: PanelAction, selected: str) -> Updates:
        """Fill the Generate form with an exported model and its voice, and go there."""
        models = find_exported_models(self.studio.layout, *parse_run_title(action.text("job")))
        model = models.get(_parse_step(action.text("value")))
        if model is None:
            raise AppError("This checkpoint is not exported yet. Press Export first.")
        voice = {"voice": model.metadata.voice} if model.metadata.voice else {}
        return {
            **self.page.form.get_updates({"bundle": model.bundle, **voice}),
            self.page.tabs: gr.Tabs(selected="generate"),
        }

    def _note(self, text: str) -> Updates:
        return {self.panel.message: note_html(text)}

    def _select(self, run: RunStatus) -> Updates:
        return {self.selected: format_run_title(run)}

    def _parse_selected(self, selected: str) -> tuple[str, str]:
        return parse_run_title(_find_title(selected, self.studio.runs.list()))

    def find_run(self, selected: str) -> RunStatus | None:
        """Return the selected, else a running, else the newest run; None where there is none."""
        title = _find_title(selected, self.studio.runs.list())
        try:
            return self.studio.runs.view(*parse_run_title(title)) if title else None
        except AppError:  # deleted meanwhile
            return None

    def _find_export(self, run: RunStatus) -> ModelExport:
        models = find_exported_models(self.studio.layout, run.dataset, run.name)
        bundles = {step: model.bundle for step, model in models.items()}
        for job in self.studio.jobs(limit=50):
            source = (job.request.get("dataset"), job.request.get("run"))
            if job.task != EXPORT_TASK or source != (run.dataset, run.name):
                continue
            status = {"waiting": "waiting", "running": format_progress(job), "stopped": "stopped"}
            return ModelExport(
                bundles_by_step=bundles,
                title=job.title,
                status=status.get(job.state, ""),
                error=job.failure.message if job.failure is not None else "",
            )
        return ModelExport(bundles_by_step=bundles)


def list_configured_datasets(studio: Studio) -> list[str]:
    """List the datasets with a saved configuration, the one saved last first."""
    found = studio.layout.training.glob(f"*/{CONFIG_FILE}")
    dated = sorted(((path.stat().st_mtime, path.parent.name) for path in found), reverse=True)
    return [name for _, name in dated]


def find_exported_models(
    layout: ProjectPaths, dataset: str, run: str
) -> Mapping[int, FinetunedModel]:
    """Return the models exported from a run, by step."""
    return {
        model.metadata.step: model
        for model in list_finetunes(layout)
        if (model.metadata.dataset, model.metadata.run) == (dataset, run)
    }


def parse_run_title(title: str) -> tuple[str, str]:
    """Return dataset and name of a run. Raises AppError if the title names none."""
    dataset, separator, name = title.partition(TITLE_SEPARATOR)
    if not separator:
        raise AppError("No run selected. Select one from the list, or press Train.")
    return dataset, name


def _find_title(selected: str, rows: list[RunSummary]) -> str:
    """Return the selected run if it exists, else a running one, else the newest, else ""."""
    titles = [format_run_title(row) for row in rows]
    if selected in titles:
        return selected
    running = [format_run_title(row) for row in rows if row.state not in FINISHED_STATES]
    return next(iter([*running, *titles]), "")


def _parse_step(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= 9):
        raise AppError(f"{quote_for_message(value)} is not a step of a run. Reload the page.")
    return int(value)
