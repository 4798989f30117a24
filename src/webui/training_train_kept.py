"""The checkpoints of a run as a table: what each said, how it was judged, and which to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from jobs.job import Job
from studio.layout import Layout
from studio.runs_view import CheckpointView, RunView, SampleView
from studio.system import gigabytes
from webui.clips import button
from webui.job_cards import progress_told
from webui.links import link_of

NOT_JUDGED = '<span class="quiet">not judged</span>'
HEADS = ("Checkpoint", "Sample", "Validation", "Wrong words", "Likeness", "Use it")


@dataclass(frozen=True, kw_only=True)
class Models:
    """What became of the checkpoints of a run.

    made: bundles by the step of their checkpoint;  making: the latest job that makes one.
    """

    made: Mapping[int, str] = field(default_factory=dict)
    making: Job | None = None


def kept_html(run: RunView, layout: Layout, models: Models) -> str:
    """Draw the table of checkpoints; nothing before the first."""
    samples = {sample.step: sample for sample in run.samples}
    checkpoints = {one.step: one for one in run.checkpoints}
    steps = sorted({*samples, *checkpoints}, reverse=True)
    if not steps:
        return ""
    heads = "".join(f'<th role="columnheader" scope="col">{head}</th>' for head in HEADS)
    drawn = (
        _Row(run=run, step=step, checkpoint=checkpoints.get(step), sample=samples.get(step))
        for step in steps
    )
    rows = "".join(_row(row, layout, models) for row in drawn)
    return (
        f'<section class="kept" data-key="kept" aria-label="Checkpoints"><h3>Checkpoints</h3>'
        f"{_advice(run)}{_making(models.making)}"
        '<table role="table" class="checkpoints"><thead role="rowgroup">'
        f'<tr role="row">{heads}</tr></thead><tbody role="rowgroup">{rows}</tbody></table>'
        f"{_said(run)}</section>"
    )


def _advice(run: RunView) -> str:
    best = f'<p class="note">{escape(run.why_best)}</p>' if run.why_best else ""
    over = f'<p class="warning">{escape(run.overfitting)}</p>' if run.overfitting else ""
    return f"{best}{over}"


def _said(run: RunView) -> str:
    text = run.samples[-1].text if run.samples else ""
    if not text:
        return ""
    stop = "" if text[-1] in ".!?" else "."
    return (
        f'<p class="quiet">Each sample says “{escape(text)}”{stop} Wrong words: the share that a '
        "recognizer did not understand; lower is better. Likeness: how near the voice comes to "
        "the dataset's, from 0 to 1; higher is better.</p>"
    )


def _making(job: Job | None) -> str:
    if job is None or job.state == "done":
        return ""
    title = escape(job.title)
    if job.failure is not None:
        return f'<p class="refusal"><strong>{title}:</strong> {escape(job.failure.message)}</p>'
    told = {"waiting": "waiting", "running": progress_told(job)}.get(job.state, "stopped")
    return f'<p class="note" role="status">{title}: {escape(told)}</p>'


@dataclass(frozen=True, kw_only=True)
class _Row:
    run: RunView
    step: int
    checkpoint: CheckpointView | None
    sample: SampleView | None


def _row(row: _Row, layout: Layout, models: Models) -> str:
    checkpoint, sample, since = row.checkpoint, row.sample, row.run.overfit_since
    best = checkpoint is not None and checkpoint.best
    marks = '<span class="mark best">★ Best</span>' if best else ""
    if since is not None and row.step >= since:
        marks += '<span class="mark late">! Learns by heart</span>'
    wer = sample.wer if sample is not None else None
    likeness = sample.similarity if sample is not None else None
    loss = checkpoint.loss if checkpoint is not None else None
    cells = (
        ("Sample", _player(sample, layout)),
        ("Validation", f"{loss:.3f}" if loss is not None else "–"),
        ("Wrong words", f"{100 * wer:.0f} %" if wer is not None else NOT_JUDGED),
        ("Likeness", f"{likeness:.2f}" if likeness is not None else NOT_JUDGED),
        ("", _acts(row, models.made.get(row.step, ""))),
    )
    told = "".join(f'<td role="cell" data-label="{name}">{cell}</td>' for name, cell in cells)
    return (
        f'<tr role="row" data-key="step-{row.step}"{" class=best" if best else ""}>'
        f'<th role="rowheader" scope="row">Step {row.step:,} {marks}</th>{told}</tr>'
    )


def _player(sample: SampleView | None, layout: Layout) -> str:
    link = link_of(layout, str(sample.path)) if sample is not None else ""
    if sample is None or not link:
        return '<span class="quiet">none</span>'
    return (
        f'<audio controls preload="none" src="{escape(link)}" '
        f'aria-label="Sample of step {sample.step}"></audio>'
    )


def _acts(row: _Row, model: str) -> str:
    """Draw what can be done with a checkpoint; model: what was made of it, or ""."""
    title, step = f"{row.run.dataset} / {row.run.name}", str(row.step)
    if model:
        speak = button("speak", title, "Speak with it", look="strong", value=step)
        return f'<span class="buttons">{speak}</span><span class="quiet">{escape(model)}</span>'
    if row.checkpoint is None or not row.checkpoint.there:
        return '<span class="quiet">not kept</span>'
    size = row.checkpoint.size
    use = button("use", title, "Use this one", value=step)
    told = f'<span class="quiet">{gigabytes(size)}</span>' if size else ""
    return f'<span class="buttons">{use}</span>{told}'
