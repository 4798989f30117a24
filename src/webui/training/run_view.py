"""A training run as a piece of the page: how it stands, its curves, what it said, what it keeps.

Everything that came from a user or a file is escaped; buttons say in data-act what they want.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from types import MappingProxyType

from core.error_classifier import get_error_info
from core.formatting import format_bytes, format_count, format_duration, format_timestamp
from core.paths import ProjectPaths
from studio.training_runs.run_status import FINISHED_STATES, RunStatus, RunSummary
from studio.training_runs.trash import DeletedRun
from webui.components.audio_player import action_button, copy_button
from webui.components.line_chart import ChartLine, LineChart, line_chart_html
from webui.training.checkpoint_table import ExportedModels, checkpoint_table_html

RUN_STATE_LABELS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {  # how it is told, and a sign beside the colour
        "waiting": ("Waiting for its turn", "…"),
        "running": ("Training", "▸"),
        "stopping": ("Stopping", "▸"),
        "done": ("Done", "✓"),
        "stopped": ("Stopped", "■"),
        "failed": ("Failed", "✕"),
        "died": ("Ended unexpectedly", "✕"),
    }
)
STATE_CLASSES: Mapping[str, str] = MappingProxyType({"died": "failed", "stopping": "running"})
STAGE_LABELS: Mapping[str, str] = MappingProxyType({"gpt": "GPT", "diffusion": "diffusion"})
EMPTY_HTML = (
    '<p class="hint" data-key="empty">Nothing has been trained yet. Save a configuration under '
    "<strong>Generate Configuration</strong>, choose it above and press <strong>Train</strong>.</p>"
)
MAX_LISTED = 50
NO_MODELS = ExportedModels()


def run_html(run: RunStatus, layout: ProjectPaths, models: ExportedModels = NO_MODELS) -> str:
    """Draw one run from its head to its checkpoints."""
    told, sign = RUN_STATE_LABELS[run.state]
    title = escape(format_run_title(run))
    head = (
        f'<header><span class="state {STATE_CLASSES.get(run.state, run.state)}">'
        f'<span aria-hidden="true">{sign}</span> {told}</span> <h2>{title}</h2></header>'
    )
    body = (
        "".join(_render_body(run)) + curves_html(run) + checkpoint_table_html(run, layout, models)
    )
    return (
        f'<section class="job run" data-key="run-{title}" aria-label="{told}: {title}">'
        f"{head}{body}</section>"
    )


def format_run_title(run: RunStatus | RunSummary | DeletedRun) -> str:
    """Name a run by its dataset and its own name."""
    return f"{run.dataset} / {run.name}"


def format_run_announcement(run: RunStatus | None) -> str:
    """Say in a sentence what a screen reader should hear; it changes with the state only."""
    if run is None:
        return ""
    return escape(
        f"{RUN_STATE_LABELS[run.state][0]}: {format_run_title(run)}. {format_run_state(run)}"
    )


def format_run_state(run: RunStatus) -> str:
    """Say in words what the state means for whoever waits."""
    if run.state == "waiting":
        return "Another training runs. This one begins when it is over."
    if run.state == "running":
        return "It goes on when this page or the studio is closed."
    if run.state == "stopping":
        return "It saves what was learned, then ends."
    if run.state == "done":
        return run.message or "Choose a checkpoint below, and speak with it."
    if run.state == "stopped":
        return run.message or "What was learned is saved. Resume goes on from there."
    return run.message


def _render_body(run: RunStatus) -> Iterator[str]:
    if run.state in ("failed", "died"):
        yield _render_failure(run)
    else:
        yield f'<p class="quiet">{escape(format_run_state(run))}</p>'
    if run.steps:
        yield _render_progress_bar(run)
    yield _render_facts(run)
    yield from (f'<p class="warning">{escape(word)}</p>' for word in run.warnings)
    if run.notes:
        notes = "".join(f"<li>{escape(word)}</li>" for word in run.notes)
        yield (
            f'<details data-key="notes"><summary>{format_count(len(run.notes), "note")}</summary>'
            f"<ul>{notes}</ul></details>"
        )


def _render_progress_bar(run: RunStatus) -> str:
    percent = round(100 * min(1.0, run.step / run.steps))
    told = escape(f"{run.step:,} of {format_count(run.steps, 'step')}")
    return (
        f'<div class="bar" role="progressbar" aria-label="Training" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{percent}" aria-valuetext="{told}">'
        f'<span style="width:{percent}%"></span></div>'
    )


def _render_facts(run: RunStatus) -> str:
    facts = {"Step": f"{run.step:,} of {run.steps:,}" if run.steps else ""}
    if run.stage and any(curve.stage == "diffusion" for curve in run.curves):
        facts["Learning now"] = STAGE_LABELS.get(run.stage, run.stage)
    if run.seconds_per_step is not None:
        facts["Per step"] = f"{run.seconds_per_step:.3g} s"
    if run.eta_s is not None:
        facts["Time left"] = format_duration(run.eta_s)
    if run.is_over and run.began is not None and run.ended is not None:
        facts["Took"] = format_duration(max(0.0, run.ended - run.began))
    facts["Memory"] = format_bytes(run.memory) if run.memory else ""
    facts["Device"] = run.device
    if run.clips:
        facts["Clips"] = f"{run.clips:,} to learn, {run.validation_clips:,} to check"
    facts["Began"] = format_timestamp(run.began) if run.began is not None else ""
    told = "".join(
        f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts.items()
        if value
    )
    return f'<dl class="facts">{told}</dl>'


def _render_failure(run: RunStatus) -> str:
    """Say why a run ended and what helps; what it printed is one button away."""
    advice = get_error_info(run.cause).what_to_do if run.cause and run.state == "failed" else ""
    helps = f'<p class="quiet">{escape(advice)}</p>' if advice else ""
    details = copy_button("Copy technical details", run.details) if run.details else ""
    return (
        f'<div class="failure" role="alert"><p><strong>{escape(run.message)}</strong></p>'
        f"{helps}{details}</div>"
    )


def curves_html(run: RunStatus) -> str:
    """Draw what was measured, stage by stage."""
    stages = list(dict.fromkeys(curve.stage for curve in run.curves))
    drawn = "".join(line_chart_html(plot) for stage in stages for plot in build_charts(run, stage))
    return f'<div class="curves" data-key="curves">{drawn}</div>' if drawn else ""


def build_charts(run: RunStatus, stage: str) -> Iterator[LineChart]:
    """Yield the pictures of one stage: loss, learning rate and gradient."""
    suffix = f" ({STAGE_LABELS.get(stage, stage)})" if stage != "gpt" else ""
    yield LineChart(
        key=f"{stage}-loss",
        title=f"Loss{suffix}: lower is better",
        lines=[
            ChartLine(name="Each step", points=run.curve("loss", stage), style="step"),
            ChartLine(name="Trend", points=run.curve("smoothed", stage), style="smooth"),
            ChartLine(name="Validation", points=run.curve("validation", stage), style="validation"),
        ],
    )
    rate = ChartLine(name="Learning rate", points=run.curve("rate", stage))
    yield LineChart(key=f"{stage}-rate", title=f"Learning rate{suffix}", lines=[rate], y_min=0)
    gradient = ChartLine(name="Gradient", points=run.curve("gradient", stage), style="step")
    yield LineChart(
        key=f"{stage}-gradient", title=f"Length of the gradient{suffix}", lines=[gradient], y_min=0
    )


def runs_html(runs: Sequence[RunSummary], shown: str, deleted: Sequence[DeletedRun] = ()) -> str:
    """List the runs, the newest first, and what lies in the bin.

    shown: the title of the one that is drawn above.
    """
    rows = "".join(_render_row(run, shown) for run in runs[:MAX_LISTED])
    return (
        f'<section class="runs" data-key="runs" aria-label="Runs"><h2>Runs ({len(runs):,})</h2>'
        f"<ul>{rows}</ul>{_render_trash(deleted)}</section>"
    )


def _render_trash(deleted: Sequence[DeletedRun]) -> str:
    if not deleted:
        return ""
    rows = "".join(
        f'<li data-key="{escape(one.id)}"><span class="what"><strong>'
        f"{escape(format_run_title(one))}"
        f'</strong><span class="quiet">deleted {format_timestamp(one.when)}</span></span>'
        f"{action_button('restore', format_run_title(one), 'Put back', value=one.id)}</li>"
        for one in deleted[:MAX_LISTED]
    )
    return (
        f'<details data-key="bin"><summary>Bin ({len(deleted):,})</summary><ul>{rows}</ul>'
        "</details>"
    )


def _render_row(run: RunSummary, shown: str) -> str:
    told, sign = RUN_STATE_LABELS[run.state]
    title = format_run_title(run)
    current = ' aria-current="true"' if title == shown else ""
    began = f" · {format_timestamp(run.began)}" if run.began is not None else ""
    steps = f" · {run.step:,} of {format_count(run.steps, 'step')}" if run.steps else ""
    delete = (
        action_button("delete", title, "Delete", look="danger")
        if run.state in FINISHED_STATES
        else ""
    )
    return (
        f'<li data-key="{escape(title)}"{current}>'
        f'<span class="state {STATE_CLASSES.get(run.state, run.state)}"><span '
        f'aria-hidden="true">{sign}'
        f'</span> {told}</span><span class="what"><strong>{escape(title)}</strong>'
        f'<span class="quiet">{escape(steps.removeprefix(" · ") + began)}</span></span>'
        f'<span class="buttons">{action_button("show", title, "Show")}{delete}</span></li>'
    )
