"""The checkpoints of a run as a table: what each said, how it was judged, and which to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from core.formatting import format_bytes
from core.paths import ProjectPaths
from jobs.models import Job
from studio.training_runs.run_status import RunCheckpoint, RunSample, RunStatus
from webui.components.audio_player import action_button
from webui.components.file_links import get_file_url
from webui.components.job_card import format_progress

NOT_EVALUATED_HTML = '<span class="quiet">not judged</span>'
COLUMN_LABELS = ("Checkpoint", "Sample", "Validation", "Wrong words", "Likeness", "Use it")


@dataclass(frozen=True, kw_only=True)
class ExportedModels:
    """What became of the checkpoints of a run.

    made: bundles by the step of their checkpoint;  making: the latest job that makes one.
    """

    bundles_by_step: Mapping[int, str] = field(default_factory=dict)
    export_job: Job | None = None


def checkpoint_table_html(run: RunStatus, layout: ProjectPaths, models: ExportedModels) -> str:
    """Draw the table of checkpoints; nothing before the first."""
    samples = {sample.step: sample for sample in run.samples}
    checkpoints = {one.step: one for one in run.checkpoints}
    steps = sorted({*samples, *checkpoints}, reverse=True)
    if not steps:
        return ""
    heads = "".join(f'<th role="columnheader" scope="col">{head}</th>' for head in COLUMN_LABELS)
    drawn = (
        _CheckpointRow(
            run=run, step=step, checkpoint=checkpoints.get(step), sample=samples.get(step)
        )
        for step in steps
    )
    rows = "".join(_render_row(row, layout, models) for row in drawn)
    return (
        f'<section class="kept" data-key="kept" aria-label="Checkpoints"><h3>Checkpoints</h3>'
        f"{_render_advice(run)}{_render_export_status(models.export_job)}"
        '<table role="table" class="checkpoints"><thead role="rowgroup">'
        f'<tr role="row">{heads}</tr></thead><tbody role="rowgroup">{rows}</tbody></table>'
        f"{_render_sample_note(run)}</section>"
    )


def _render_advice(run: RunStatus) -> str:
    best = f'<p class="note">{escape(run.why_best)}</p>' if run.why_best else ""
    over = f'<p class="warning">{escape(run.overfitting)}</p>' if run.overfitting else ""
    return f"{best}{over}"


def _render_sample_note(run: RunStatus) -> str:
    text = run.samples[-1].text if run.samples else ""
    if not text:
        return ""
    stop = "" if text[-1] in ".!?" else "."
    return (
        f'<p class="quiet">Each sample says “{escape(text)}”{stop} Wrong words: the share that a '
        "recognizer did not understand; lower is better. Likeness: how near the voice comes to "
        "the dataset's, from 0 to 1; higher is better.</p>"
    )


def _render_export_status(job: Job | None) -> str:
    if job is None or job.state == "done":
        return ""
    title = escape(job.title)
    if job.failure is not None:
        return f'<p class="refusal"><strong>{title}:</strong> {escape(job.failure.message)}</p>'
    told = {"waiting": "waiting", "running": format_progress(job)}.get(job.state, "stopped")
    return f'<p class="note" role="status">{title}: {escape(told)}</p>'


@dataclass(frozen=True, kw_only=True)
class _CheckpointRow:
    run: RunStatus
    step: int
    checkpoint: RunCheckpoint | None
    sample: RunSample | None


def _render_row(row: _CheckpointRow, layout: ProjectPaths, models: ExportedModels) -> str:
    checkpoint, sample, since = row.checkpoint, row.sample, row.run.overfit_since
    best = checkpoint is not None and checkpoint.best
    marks = '<span class="mark best">★ Best</span>' if best else ""
    if since is not None and row.step >= since:
        marks += '<span class="mark late">! Learns by heart</span>'
    wer = sample.wer if sample is not None else None
    likeness = sample.similarity if sample is not None else None
    loss = checkpoint.loss if checkpoint is not None else None
    cells = (
        ("Sample", _render_player(sample, layout)),
        ("Validation", f"{loss:.3f}" if loss is not None else "–"),
        ("Wrong words", f"{100 * wer:.0f} %" if wer is not None else NOT_EVALUATED_HTML),
        ("Likeness", f"{likeness:.2f}" if likeness is not None else NOT_EVALUATED_HTML),
        ("", _render_actions(row, models.bundles_by_step.get(row.step, ""))),
    )
    told = "".join(f'<td role="cell" data-label="{name}">{cell}</td>' for name, cell in cells)
    return (
        f'<tr role="row" data-key="step-{row.step}"{" class=best" if best else ""}>'
        f'<th role="rowheader" scope="row">Step {row.step:,} {marks}</th>{told}</tr>'
    )


def _render_player(sample: RunSample | None, layout: ProjectPaths) -> str:
    link = get_file_url(layout, str(sample.path)) if sample is not None else ""
    if sample is None or not link:
        return '<span class="quiet">none</span>'
    return (
        f'<audio controls preload="none" src="{escape(link)}" '
        f'aria-label="Sample of step {sample.step}"></audio>'
    )


def _render_actions(row: _CheckpointRow, model: str) -> str:
    """Draw what can be done with a checkpoint; model: what was made of it, or ""."""
    title, step = f"{row.run.dataset} / {row.run.name}", str(row.step)
    if model:
        speak = action_button("speak", title, "Speak with it", look="strong", value=step)
        return f'<span class="buttons">{speak}</span><span class="quiet">{escape(model)}</span>'
    if row.checkpoint is None or not row.checkpoint.there:
        return '<span class="quiet">not kept</span>'
    size = row.checkpoint.size
    use = action_button("use", title, "Use this one", value=step)
    told = f'<span class="quiet">{format_bytes(size)}</span>' if size else ""
    return f'<span class="buttons">{use}</span>{told}'
