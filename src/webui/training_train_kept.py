"""The checkpoints of a run as a table: what each said, how it was judged, and which to take."""

from __future__ import annotations

from html import escape

from studio.layout import Layout
from studio.runs_view import CheckpointView, RunView, SampleView
from studio.system import gigabytes
from webui.clips import button
from webui.links import link_of

NOT_JUDGED = '<span class="quiet">not judged</span>'
HEADS = ("Checkpoint", "Sample", "Validation", "Wrong words", "Likeness", "Use it")


def kept_html(run: RunView, layout: Layout) -> str:
    """Draw the table of checkpoints; nothing before the first."""
    samples = {sample.step: sample for sample in run.samples}
    checkpoints = {one.step: one for one in run.checkpoints}
    steps = sorted({*samples, *checkpoints}, reverse=True)
    if not steps:
        return ""
    heads = "".join(f'<th role="columnheader" scope="col">{head}</th>' for head in HEADS)
    rows = "".join(
        _row(run, step, checkpoints.get(step), _player(samples.get(step), layout)) for step in steps
    )
    return (
        f'<section class="kept" data-key="kept" aria-label="Checkpoints"><h3>Checkpoints</h3>'
        f'{_advice(run)}<table role="table" class="checkpoints"><thead role="rowgroup">'
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
    return (
        f'<p class="quiet">Each sample says: “{escape(text)}” Wrong words: the share that a '
        "recognizer did not understand; lower is better. Likeness: how near the voice comes to "
        "the dataset's, from 0 to 1; higher is better.</p>"
    )


def _row(run: RunView, step: int, checkpoint: CheckpointView | None, player: str) -> str:
    best = checkpoint is not None and checkpoint.best
    late = run.overfit_since is not None and step >= run.overfit_since
    marks = '<span class="mark best">★ Best</span>' if best else ""
    marks += '<span class="mark late">! Learns by heart</span>' if late else ""
    judged = {sample.step: sample for sample in run.samples}.get(step)
    wer = judged.wer if judged is not None else None
    likeness = judged.similarity if judged is not None else None
    loss = checkpoint.loss if checkpoint is not None else None
    cells = (
        ("Sample", player),
        ("Validation", f"{loss:.3f}" if loss is not None else "–"),
        ("Wrong words", f"{100 * wer:.0f} %" if wer is not None else NOT_JUDGED),
        ("Likeness", f"{likeness:.2f}" if likeness is not None else NOT_JUDGED),
        ("", _acts(run, checkpoint)),
    )
    told = "".join(f'<td role="cell" data-label="{name}">{cell}</td>' for name, cell in cells)
    return (
        f'<tr role="row" data-key="step-{step}"{" class=best" if best else ""}>'
        f'<th role="rowheader" scope="row">Step {step:,} {marks}</th>{told}</tr>'
    )


def _player(sample: SampleView | None, layout: Layout) -> str:
    link = link_of(layout, str(sample.path)) if sample is not None else ""
    if sample is None or not link:
        return '<span class="quiet">none</span>'
    return (
        f'<audio controls preload="none" src="{escape(link)}" '
        f'aria-label="Sample of step {sample.step}"></audio>'
    )


def _acts(run: RunView, checkpoint: CheckpointView | None) -> str:
    if checkpoint is None or not checkpoint.there:
        return '<span class="quiet">not kept</span>'
    title, step = f"{run.dataset} / {run.name}", str(checkpoint.step)
    use = button("use", title, "Use this one", value=step)
    speak = button("speak", title, "Speak with it", value=step)
    size = f'<span class="quiet">{gigabytes(checkpoint.size)}</span>' if checkpoint.size else ""
    return f'<span class="buttons">{use}{speak}</span>{size}'
