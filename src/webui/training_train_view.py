"""A training run as a piece of the page: how it stands, its curves, what it said, what it keeps.

Everything that came from a user or a file is escaped; buttons say in data-act what they want.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from types import MappingProxyType

from studio.causes import cause_named
from studio.layout import Layout
from studio.runs_bin import DeletedRun
from studio.runs_view import OVER, RunRow, RunView
from studio.system import gigabytes
from webui.clips import button, copy_button
from webui.history_view import when
from webui.training_curves import Line, Plot, plot_html
from webui.training_train_kept import Models, kept_html
from webui.words import counted, seconds_told

STATES: Mapping[str, tuple[str, str]] = MappingProxyType(
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
LOOKS: Mapping[str, str] = MappingProxyType({"died": "failed", "stopping": "running"})
STAGES: Mapping[str, str] = MappingProxyType({"gpt": "GPT", "diffusion": "diffusion"})
EMPTY = (
    '<p class="hint" data-key="empty">Nothing has been trained yet. Save a configuration under '
    "<strong>Generate Configuration</strong>, choose it above and press <strong>Train</strong>.</p>"
)
MOST_LISTED = 50
NO_MODELS = Models()


def run_html(run: RunView, layout: Layout, models: Models = NO_MODELS) -> str:
    """Draw one run from its head to its checkpoints."""
    told, sign = STATES[run.state]
    title = escape(title_of(run))
    head = (
        f'<header><span class="state {LOOKS.get(run.state, run.state)}">'
        f'<span aria-hidden="true">{sign}</span> {told}</span> <h2>{title}</h2></header>'
    )
    body = "".join(_body(run)) + curves_html(run) + kept_html(run, layout, models)
    return (
        f'<section class="job run" data-key="run-{title}" aria-label="{told}: {title}">'
        f"{head}{body}</section>"
    )


def title_of(run: RunView | RunRow | DeletedRun) -> str:
    """Name a run by its dataset and its own name."""
    return f"{run.dataset} / {run.name}"


def announced(run: RunView | None) -> str:
    """Say in a sentence what a screen reader should hear; it changes with the state only."""
    if run is None:
        return ""
    return escape(f"{STATES[run.state][0]}: {title_of(run)}. {state_told(run)}")


def state_told(run: RunView) -> str:
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


def _body(run: RunView) -> Iterator[str]:
    if run.state in ("failed", "died"):
        yield _failure(run)
    else:
        yield f'<p class="quiet">{escape(state_told(run))}</p>'
    if run.steps:
        yield _bar(run)
    yield _facts(run)
    yield from (f'<p class="warning">{escape(word)}</p>' for word in run.warnings)
    if run.notes:
        notes = "".join(f"<li>{escape(word)}</li>" for word in run.notes)
        yield (
            f'<details data-key="notes"><summary>{counted(len(run.notes), "note")}</summary>'
            f"<ul>{notes}</ul></details>"
        )


def _bar(run: RunView) -> str:
    percent = round(100 * min(1.0, run.step / run.steps))
    told = escape(f"{run.step:,} of {counted(run.steps, 'step')}")
    return (
        f'<div class="bar" role="progressbar" aria-label="Training" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{percent}" aria-valuetext="{told}">'
        f'<span style="width:{percent}%"></span></div>'
    )


def _facts(run: RunView) -> str:
    facts = {"Step": f"{run.step:,} of {run.steps:,}" if run.steps else ""}
    if run.stage and any(curve.stage == "diffusion" for curve in run.curves):
        facts["Learning now"] = STAGES.get(run.stage, run.stage)
    if run.seconds_per_step is not None:
        facts["Per step"] = f"{run.seconds_per_step:.3g} s"
    if run.eta_s is not None:
        facts["Time left"] = seconds_told(run.eta_s)
    if run.is_over and run.began is not None and run.ended is not None:
        facts["Took"] = seconds_told(max(0.0, run.ended - run.began))
    facts["Memory"] = gigabytes(run.memory) if run.memory else ""
    facts["Device"] = run.device
    if run.clips:
        facts["Clips"] = f"{run.clips:,} to learn, {run.validation_clips:,} to check"
    facts["Began"] = when(run.began) if run.began is not None else ""
    told = "".join(
        f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts.items()
        if value
    )
    return f'<dl class="facts">{told}</dl>'


def _failure(run: RunView) -> str:
    """Say why a run ended and what helps; what it printed is one button away."""
    advice = cause_named(run.cause).what_to_do if run.cause and run.state == "failed" else ""
    helps = f'<p class="quiet">{escape(advice)}</p>' if advice else ""
    details = copy_button("Copy technical details", run.details) if run.details else ""
    return (
        f'<div class="failure" role="alert"><p><strong>{escape(run.message)}</strong></p>'
        f"{helps}{details}</div>"
    )


def curves_html(run: RunView) -> str:
    """Draw what was measured, stage by stage."""
    stages = list(dict.fromkeys(curve.stage for curve in run.curves))
    drawn = "".join(plot_html(plot) for stage in stages for plot in plots_of(run, stage))
    return f'<div class="curves" data-key="curves">{drawn}</div>' if drawn else ""


def plots_of(run: RunView, stage: str) -> Iterator[Plot]:
    """Yield the pictures of one stage: loss, learning rate and gradient."""
    suffix = f" ({STAGES.get(stage, stage)})" if stage != "gpt" else ""
    yield Plot(
        key=f"{stage}-loss",
        title=f"Loss{suffix}: lower is better",
        lines=[
            Line(name="Each step", points=run.curve("loss", stage), look="step"),
            Line(name="Trend", points=run.curve("smoothed", stage), look="smooth"),
            Line(name="Validation", points=run.curve("validation", stage), look="validation"),
        ],
    )
    rate = Line(name="Learning rate", points=run.curve("rate", stage))
    yield Plot(key=f"{stage}-rate", title=f"Learning rate{suffix}", lines=[rate], floor=0)
    gradient = Line(name="Gradient", points=run.curve("gradient", stage), look="step")
    yield Plot(
        key=f"{stage}-gradient", title=f"Length of the gradient{suffix}", lines=[gradient], floor=0
    )


def runs_html(runs: Sequence[RunRow], shown: str, deleted: Sequence[DeletedRun] = ()) -> str:
    """List the runs, the newest first, and what lies in the bin.

    shown: the title of the one that is drawn above.
    """
    rows = "".join(_row(run, shown) for run in runs[:MOST_LISTED])
    return (
        f'<section class="runs" data-key="runs" aria-label="Runs"><h2>Runs ({len(runs):,})</h2>'
        f"<ul>{rows}</ul>{_binned(deleted)}</section>"
    )


def _binned(deleted: Sequence[DeletedRun]) -> str:
    if not deleted:
        return ""
    rows = "".join(
        f'<li data-key="{escape(one.id)}"><span class="what"><strong>{escape(title_of(one))}'
        f'</strong><span class="quiet">deleted {when(one.when)}</span></span>'
        f"{button('restore', title_of(one), 'Put back', value=one.id)}</li>"
        for one in deleted[:MOST_LISTED]
    )
    return (
        f'<details data-key="bin"><summary>Bin ({len(deleted):,})</summary><ul>{rows}</ul>'
        "</details>"
    )


def _row(run: RunRow, shown: str) -> str:
    told, sign = STATES[run.state]
    title = title_of(run)
    current = ' aria-current="true"' if title == shown else ""
    began = f" · {when(run.began)}" if run.began is not None else ""
    steps = f" · {run.step:,} of {counted(run.steps, 'step')}" if run.steps else ""
    delete = button("delete", title, "Delete", look="danger") if run.state in OVER else ""
    return (
        f'<li data-key="{escape(title)}"{current}>'
        f'<span class="state {LOOKS.get(run.state, run.state)}"><span aria-hidden="true">{sign}'
        f'</span> {told}</span><span class="what"><strong>{escape(title)}</strong>'
        f'<span class="quiet">{escape(steps.removeprefix(" · ") + began)}</span></span>'
        f'<span class="buttons">{button("show", title, "Show")}{delete}</span></li>'
    )
