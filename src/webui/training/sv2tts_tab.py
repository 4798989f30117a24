"""The Train SV2TTS part of the Training tab: datasets, synthesizers and vocoders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from core.errors import AppError, InvalidValueError, reraise_as_app_error
from jobs.models import Job
from studio.datasets.gold_finetune import list_finetunable_models
from studio.sv2tts.requests import (
    LAYOUTS,
    EmbedRequest,
    PreprocessRequest,
    VocoderPreprocessRequest,
)
from studio.sv2tts.service import SYNTHESIZER, VOCODER
from studio.training_runs.run_status import RunStatus, RunSummary
from webui.components.charts import create_line_plot, line_plot_update
from webui.components.file_links import get_file_url
from webui.components.job_card import stop_jobs
from webui.components.live_panel import LivePanel, Updates, create_live_html
from webui.components.page_context import PageContext
from webui.components.pictures import get_picture_uri
from webui.components.templates import render
from webui.tools.results import tool_job_html
from webui.training.run_actions import RunActions
from webui.training.run_view import (
    announcement_html,
    build_sv2tts_charts,
    find_run_name,
    format_run_title,
    run_html,
    runs_html,
)

POLL_INTERVAL_S = 1.5
TASKS, ORIGIN = ("preprocess_synthesizer", "embed_synthesizer", "predict_mels"), "train-sv2tts"
TAB = "training-sv2tts"
ABOUT = (
    "A synthesizer makes mels from texts, a vocoder makes sound from mels. **Preprocess** reads "
    "recordings with texts, **Embed** computes the voice of each, **Predict mels** prepares a "
    "dataset for a vocoder by a synthesizer. A training runs in the background, and continues when "
    "this page or the studio is closed."
)
PICTURES = {"Attention": "attention_step_*.png", "Mels: target and predicted": "mels_step_*.png"}


@dataclass(frozen=True, kw_only=True)
class Sv2ttsSnapshot:
    """Everything the part shows; equal snapshots look the same."""

    datasets: tuple[str, ...]
    runs: tuple[RunSummary, ...]
    run: RunStatus | None
    job: Job | None


class Sv2ttsTab(RunActions):
    """Controls of datasets and runs, and the run that is shown."""

    start_label = "Train"

    def __init__(self, page: PageContext) -> None:
        self.page, self.studio, self.runs = page, page.studio, page.studio.sv2tts
        gr.Markdown(ABOUT)
        self._build_dataset()
        self._build_training()
        message = gr.HTML("", elem_id=f"{TAB}-message")
        with gr.Column(elem_id=f"{TAB}-runs"):
            self.job_view = create_live_html(f"{TAB}-job")
            run_view = create_live_html(f"{TAB}-run")
            with gr.Row(elem_classes="curves"):
                self.plots = {
                    key: create_line_plot(f"{TAB}-plot-{key}") for key in build_sv2tts_charts(None)
                }
            self.pictures = create_live_html(f"{TAB}-pictures")
            self.list_view = create_live_html(f"{TAB}-list")
        self.selected = gr.State("")
        self.panel = LivePanel(
            run_view,
            self.take_snapshot,
            self.render,
            {"show": self.show_run},
            message=message,
            inputs=[self.selected],
            outputs=[
                *(self.job_view, self.pictures, self.list_view, *self.plots.values()),
                *(self.dataset, self.stop, self.resume, self.stop_job),
            ],
        )
        self._bind()

    def _build_dataset(self) -> None:
        with gr.Row(elem_classes="plan-row"):
            self.source = gr.Textbox(
                label="Recordings with texts", max_lines=1, scale=2, elem_id=f"{TAB}-source"
            )
            self.layout = gr.Dropdown(
                choices=list(LAYOUTS), value="auto", label="Layout", elem_id=f"{TAB}-layout"
            )
            self.name = gr.Textbox(
                label="Name of the dataset", max_lines=1, elem_id=f"{TAB}-dataset-name"
            )
            self.model = gr.Dropdown(
                choices=[
                    ("None, published format", ""),
                    *list_finetunable_models(self.studio.layout),
                ],
                value="",
                label="Model to finetune",
                elem_id=f"{TAB}-model",
            )
        with gr.Row(elem_classes="run-row"):
            self.preprocess = gr.Button("Preprocess", elem_id=f"{TAB}-preprocess")
            self.embed = gr.Button("Embed", elem_id=f"{TAB}-embed")
            self.predict = gr.Button("Predict mels", elem_id=f"{TAB}-predict")
            self.stop_job = gr.Button("Stop", interactive=False, elem_id=f"{TAB}-stop-job")

    def _build_training(self) -> None:
        with gr.Row(elem_classes="plan-row"):
            self.dataset = gr.Dropdown(
                choices=self.studio.sv2tts.list_datasets(),
                label="Dataset",
                elem_id=f"{TAB}-dataset",
            )
            self.encoder = gr.Textbox(
                value="resemblyzer",
                label="Encoder or synthesizer",
                info="For Embed an encoder: a run, a model or a file. For Predict mels a "
                "synthesizer: a run or a file.",
                max_lines=1,
                elem_id=f"{TAB}-encoder",
            )
            self.kind = gr.Radio(
                choices=[("Synthesizer", SYNTHESIZER), ("Vocoder", VOCODER)],
                value=SYNTHESIZER,
                label="Network",
                elem_id=f"{TAB}-kind",
            )
        with gr.Row(elem_classes="plan-row"):
            self.run_name = gr.Textbox(label="Run name", max_lines=1, elem_id=f"{TAB}-name")
            self.hparams = gr.Textbox(
                label="Options",
                info="name=value,name=value, such as guided_attention=1,max_minutes=60",
                max_lines=1,
                scale=2,
                elem_id=f"{TAB}-hparams",
            )
        with gr.Row(elem_classes="run-row"):
            self.train = gr.Button("Train", variant="primary", scale=3, elem_id=f"{TAB}-train")
            self.stop = gr.Button("Stop", interactive=False, elem_id=f"{TAB}-stop")
            self.resume = gr.Button("Resume", interactive=False, elem_id=f"{TAB}-resume")

    def _bind(self) -> None:
        self.panel.listen(self.list_view)
        self.panel.follow(self.page.changes, POLL_INTERVAL_S, place=f"{TAB}-runs")
        bind = self.panel.bind
        bind(
            self.preprocess.click,
            self.submit_dataset,
            [self.source, self.layout, self.name, self.model],
        )
        bind(self.embed.click, self.submit_embedding, [self.dataset, self.encoder])
        bind(self.predict.click, self.submit_prediction, [self.dataset, self.encoder])
        bind(self.stop_job.click, self.stop_jobs)
        inputs = [self.kind, self.dataset, self.run_name, self.hparams]
        bind(self.train.click, self.start_run, inputs)
        bind(self.stop.click, self.stop_run, [self.selected])
        bind(self.resume.click, self.resume_run, [self.selected])

    def take_snapshot(self, selected: str) -> Sv2ttsSnapshot:
        """Read the run to show, the runs, the datasets and the latest job."""
        rows = self.studio.sv2tts.list_summaries()
        name = find_run_name(selected, rows)
        jobs = (job for job in self.studio.jobs(limit=50) if job.task in TASKS)
        return Sv2ttsSnapshot(
            datasets=tuple(self.studio.sv2tts.list_datasets()),
            runs=tuple(rows),
            run=self.studio.sv2tts.get_status(name) if name else None,
            job=next(jobs, None),
        )

    def render(self, snapshot: Sv2ttsSnapshot) -> Updates:
        """Render a snapshot."""
        run, job = snapshot.run, snapshot.job
        charts = build_sv2tts_charts(run)
        shown = run_html(run, charts) if run is not None else render("training/no_sv2tts.html")
        title = format_run_title(run) if run is not None else ""
        is_active = run is not None and run.state in ("waiting", "running")
        return {
            self.panel.html: announcement_html(run) + shown,
            self.job_view: tool_job_html(job, self.studio.layout) if job is not None else "",
            self.pictures: self._render_pictures(run.folder) if run is not None else "",
            self.list_view: runs_html(snapshot.runs, title, can_delete=False),
            **{plot: line_plot_update(charts[key]) for key, plot in self.plots.items()},
            self.dataset: gr.update(choices=list(snapshot.datasets)),
            self.stop: gr.update(interactive=is_active),
            self.resume: gr.update(interactive=run is not None and run.can_resume),
            self.stop_job: gr.update(interactive=job is not None and not job.is_over),
        }

    def _render_pictures(self, folder: Path) -> str:
        found = {caption: find_latest(folder / "plots", name) for caption, name in PICTURES.items()}
        return render(
            "training/sv2tts_pictures.html",
            pictures={caption: path for caption, path in found.items() if path is not None},
            sound=find_latest(folder / "wavs", "step_*.wav"),
            picture=get_picture_uri,
            url=lambda path: get_file_url(self.studio.layout, path),
        )

    def submit_dataset(self, source: str, layout: str, name: str, model: str) -> Updates:
        """Submit the preprocessing of recordings."""
        if not source.strip():
            raise AppError("Name the folder of the recordings first.")
        with reraise_as_app_error(InvalidValueError):
            request = PreprocessRequest(
                source=source.strip(),
                dataset=name.strip() or Path(source.strip()).name,
                layout=str(layout),
                skip_existing=True,
                model=model or "",
            )
        self.studio.submit(request, title=f"Dataset {request.dataset}", origin=ORIGIN)
        return {}

    def submit_embedding(self, dataset: str | None, encoder: str) -> Updates:
        """Submit the embedding of a dataset."""
        request = EmbedRequest(dataset=_require(dataset), encoder=encoder.strip())
        self.studio.submit(request, title=f"Embeddings of {request.dataset}", origin=ORIGIN)
        return {}

    def submit_prediction(self, dataset: str | None, synthesizer: str) -> Updates:
        """Submit the prediction of the mels of a dataset."""
        request = VocoderPreprocessRequest(
            dataset=_require(dataset), synthesizer=synthesizer.strip()
        )
        self.studio.submit(request, title=f"Mels of {request.dataset}", origin=ORIGIN)
        return {}

    def stop_jobs(self) -> Updates:
        """Stop the job; what it has made is kept."""
        stop_jobs(self.studio, TASKS, ORIGIN)
        return {}

    def start_run(self, kind: str, dataset: str | None, name: str, hparams: str) -> Updates:
        """Start a training and show it."""
        service = self.studio.sv2tts
        run = self._require_new(name.strip() or f"{_require(dataset)}-{kind}")
        with reraise_as_app_error(ValueError):
            config = service.build_config(kind, run, {}, hparams)
        return self._select(service.start(run, _require(dataset), config).name)


def find_latest(folder: Path, pattern: str) -> Path | None:
    """Return the newest file of a pattern, None where there is none."""
    found = list(folder.glob(pattern))
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _require(dataset: str | None) -> str:
    if not dataset:
        raise AppError("No dataset selected. Press Preprocess first.")
    return dataset
