"""HTML and charts of a training run: state, facts, curves and checkpoints; the list of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from core.error_classifier import get_error_info
from core.formatting import format_bytes, format_duration, format_timestamp
from core.paths import ProjectPaths
from studio.training_runs.run_status import FINISHED_STATES, RunStatus, RunSummary
from studio.training_runs.trash import DeletedRun
from webui.components.charts import ChartLine, LineChart, chart_text_html, summarize_chart
from webui.components.file_links import get_file_url
from webui.components.templates import render

RUN_STATE_LABELS: Mapping[str, tuple[str, str]] = {  # (label, sign)
    "waiting": ("Waiting", "…"),
    "running": ("Training", "▸"),
    "stopping": ("Stopping", "▸"),
    "done": ("Done", "✓"),
    "stopped": ("Stopped", "■"),
    "failed": ("Failed", "✕"),
    "died": ("Ended unexpectedly", "✕"),
}
STATE_DESCRIPTIONS: Mapping[str, str] = {
    "waiting": "Another run is training. This one starts when it has ended.",
    "running": "Training continues when this page or the studio is closed.",
    "stopping": "Saving a checkpoint, then stopping.",
    "done": "Choose a checkpoint below to generate speech with it.",
    "stopped": "Progress is saved. Press Resume to continue.",
}
STATE_CLASSES: Mapping[str, str] = {"died": "failed", "stopping": "running"}
STAGE_LABELS: Mapping[str, str] = {"gpt": "GPT", "diffusion": "diffusion"}
STAGES = tuple(STAGE_LABELS)
ENCODER_STAGE = "encoder"
MAX_LISTED = 50


@dataclass(frozen=True, kw_only=True)
class ModelExport:
    """Models exported from a run, by step, and the title and state of the latest export job."""

    bundles_by_step: Mapping[int, str] = field(default_factory=dict)
    title: str = ""
    status: str = ""
    error: str = ""


NO_EXPORT = ModelExport()


def format_run_title(run: RunStatus | RunSummary | DeletedRun) -> str:
    """Return "dataset / run"."""
    return f"{run.dataset} / {run.name}"


def find_run_name(selected: str, rows: Sequence[RunSummary]) -> str:
    """Return the name of the run with this title, else of a running one, else of the newest, or
    ""."""
    titles = {format_run_title(row): row.name for row in rows}
    if selected in titles:
        return titles[selected]
    running = [row.name for row in rows if row.state not in FINISHED_STATES]
    return next(iter([*running, *titles.values()]), "")


def run_html(run: RunStatus | None, charts: Mapping[str, LineChart] | None = None) -> str:
    """Render the state and the facts of a run, or what to do before the first one.

    charts: those that are shown, by default those of a finetune.
    """
    if run is None:
        return render("training/no_runs.html")
    return render(
        "training/run.html",
        run=run,
        title=format_run_title(run),
        badge=RUN_STATE_LABELS[run.state],
        look=STATE_CLASSES.get(run.state, run.state),
        advice=get_error_info(run.cause).what_to_do if run.cause and run.state == "failed" else "",
        description=format_run_state(run),
        percent=round(100 * min(1.0, run.step / run.steps)) if run.steps else 0,
        facts=_get_facts(run),
        chart_text=chart_text_html(
            summarize_chart(chart) for chart in (charts or build_charts(run)).values()
        ),
    )


def format_run_state(run: RunStatus) -> str:
    """Return a sentence on the state of a run and what to do next."""
    if run.state in ("done", "stopped", "failed", "died") and run.message:
        return run.message
    return STATE_DESCRIPTIONS.get(run.state, "")


def announcement_html(run: RunStatus | None) -> str:
    """Render the sentence that a screen reader announces; it changes with the state only."""
    text = ""
    if run is not None:
        text = f"{RUN_STATE_LABELS[run.state][0]}: {format_run_title(run)}. {format_run_state(run)}"
    return render("announcement.html", text=text)


def _get_facts(run: RunStatus) -> dict[str, str]:
    facts = {"Step": f"{run.step:,} of {run.steps:,}" if run.steps else ""}
    if run.stage and any(curve.stage == "diffusion" for curve in run.curves):
        facts["Stage"] = STAGE_LABELS.get(run.stage, run.stage)
    if run.seconds_per_step is not None:
        facts["Time per step"] = f"{run.seconds_per_step:.3g} s"
    if run.eta_s is not None:
        facts["Time left"] = format_duration(run.eta_s)
    if run.is_over and run.began is not None and run.ended is not None:
        facts["Duration"] = format_duration(max(0.0, run.ended - run.began))
    facts["Memory"] = format_bytes(run.memory) if run.memory else ""
    facts["Device"] = run.device
    if run.clips:
        facts["Clips"] = f"{run.clips:,} training, {run.validation_clips:,} validation"
    facts["Started"] = format_timestamp(run.began) if run.began is not None else ""
    return facts


def build_charts(run: RunStatus | None) -> dict[str, LineChart]:
    """Return loss, learning rate and gradient norm of each stage; charts may be empty."""
    charts = {}
    for stage in STAGES:
        line = partial(_read_line, run, stage)
        suffix = f" ({STAGE_LABELS[stage]})" if stage != "gpt" else ""
        charts[f"{stage}-loss"] = _build_loss_chart(run, stage, f"Loss{suffix}")
        charts[f"{stage}-rate"] = LineChart(
            title=f"Learning rate{suffix}", lines=[line("Learning rate", "rate")], y_min=0
        )
        charts[f"{stage}-gradient"] = LineChart(
            title=f"Gradient norm{suffix}",
            lines=[line("Gradient norm", "gradient", "noisy")],
            y_min=0,
        )
    return charts


def build_encoder_charts(run: RunStatus | None) -> dict[str, LineChart]:
    """Return losses, accuracy, equal error rate and learning rate of an encoder."""
    line = partial(_read_line, run, ENCODER_STAGE)
    parts = [line("GE2E", "ge2e", "noisy"), line("Class", "prediction")]
    return {
        "loss": _build_loss_chart(run, ENCODER_STAGE, "Loss"),
        "parts": LineChart(title="GE2E and class loss", lines=parts if parts[1].points else ()),
        "accuracy": LineChart(
            title="Accuracy of the class head", lines=[line("Accuracy", "accuracy")], y_min=0
        ),
        "eer": LineChart(
            title="Equal error rate",
            lines=[
                line("Batch", "eer", "noisy"),
                line("Validation", "validation_eer", "validation"),
            ],
            y_min=0,
        ),
        "rate": LineChart(title="Learning rate", lines=[line("Learning rate", "rate")], y_min=0),
    }


def build_sv2tts_charts(run: RunStatus | None) -> dict[str, LineChart]:
    """Return loss, mel error, attention and learning rate of a synthesizer or a vocoder."""
    stage = run.stage if run is not None else ""
    line = partial(_read_line, run, stage)

    def pair(curve: str) -> list[ChartLine]:
        return [
            line("Training", curve, "noisy"),
            line("Validation", f"validation_{curve}", "validation"),
        ]

    return {
        "loss": _build_loss_chart(run, stage, "Loss"),
        "mel": LineChart(title="Error of the mel", lines=pair("mel"), y_min=0),
        "attention": LineChart(
            title="Attention: 1 is a diagonal", lines=pair("attention"), y_min=0
        ),
        "rate": LineChart(title="Learning rate", lines=[line("Learning rate", "rate")], y_min=0),
    }


@dataclass(frozen=True, kw_only=True)
class CheckpointRow:
    """A row of the checkpoint table. url: of the sample, "";  model: exported from it, or ""."""

    step: int
    is_best: bool
    is_overfit: bool
    is_kept: bool
    loss: float | None
    size: int
    url: str
    wer: float | None
    similarity: float | None
    model: str


def checkpoints_html(run: RunStatus, layout: ProjectPaths, export: ModelExport = NO_EXPORT) -> str:
    """Render the table of checkpoints and samples; "" before the first."""
    text = run.samples[-1].text if run.samples else ""
    return render(
        "training/checkpoints.html",
        run=run,
        title=format_run_title(run),
        rows=_build_rows(run, layout, export),
        export_title=export.title,
        export_status=export.status,
        export_error=export.error,
        sample_text=text if not text or text[-1] in ".!?" else f"{text}.",
    )


def _build_rows(run: RunStatus, layout: ProjectPaths, export: ModelExport) -> list[CheckpointRow]:
    samples = {sample.step: sample for sample in run.samples}
    checkpoints = {checkpoint.step: checkpoint for checkpoint in run.checkpoints}
    rows = []
    for step in sorted({*samples, *checkpoints}, reverse=True):
        checkpoint, sample = checkpoints.get(step), samples.get(step)
        rows.append(
            CheckpointRow(
                step=step,
                is_best=checkpoint is not None and checkpoint.best,
                is_overfit=run.overfit_since is not None and step >= run.overfit_since,
                is_kept=checkpoint is not None and checkpoint.there,
                loss=checkpoint.loss if checkpoint is not None else None,
                size=checkpoint.size if checkpoint is not None else 0,
                url=get_file_url(layout, str(sample.path)) if sample is not None else "",
                wer=sample.wer if sample is not None else None,
                similarity=sample.similarity if sample is not None else None,
                model=export.bundles_by_step.get(step, ""),
            )
        )
    return rows


def runs_html(
    runs: Sequence[RunSummary],
    selected: str,
    deleted: Sequence[DeletedRun] = (),
    *,
    can_delete: bool = True,
) -> str:
    """Render the runs, newest first, and the trash. selected: title of the run that is shown."""
    return render(
        "training/runs.html",
        runs=runs,
        selected=selected,
        deleted=deleted,
        can_delete=can_delete,
        format_run_title=format_run_title,
        FINISHED_STATES=FINISHED_STATES,
        MAX_LISTED=MAX_LISTED,
        RUN_STATE_LABELS=RUN_STATE_LABELS,
        STATE_CLASSES=STATE_CLASSES,
    )


def _read_line(
    run: RunStatus | None, stage: str, name: str, curve: str, style: str = "line"
) -> ChartLine:
    points = run.curve(curve, stage) if run is not None else ()
    return ChartLine(name=name, points=points, style=style)


def _build_loss_chart(run: RunStatus | None, stage: str, title: str) -> LineChart:
    line = partial(_read_line, run, stage)
    return LineChart(
        title=title,
        lines=[
            line("Each step", "loss", "noisy"),
            line("Smoothed", "smoothed"),
            line("Validation", "validation", "validation"),
        ],
    )
