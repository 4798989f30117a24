"""What is in a data set: a report, and its clips to be heard, mended and sorted out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import gradio as gr

from jobs.plain import from_plain
from studio.datasets import REASONS, Datasets, PrepareRequest
from studio.errors import StudioError
from studio.studio import Studio
from webui.messages import note, refusal
from webui.page import QUIET, Page
from webui.painted import Painted, draw_painted
from webui.theme import ASSETS
from webui.training_prepare_job import PREPARE
from webui.training_report import report_html
from webui.training_review_acts import act
from webui.training_review_held import Held, held_rows
from webui.training_review_view import PAGE, Listed, review_html
from webui.words import counted

# Any: what a browser sends, and what Gradio's controls take.

WATCH_S = 2.0
JOBS_LOOKED_AT = 50
SHOWS: Mapping[str, str] = MappingProxyType(
    {
        "all": "All clips",
        "doubtful": "Kept, but doubtful",
        "kept": "Kept",
        "dropped": "Dropped",
        "edited": "Edited by you",
    }
)
HOLDER = '<div id="training-review-view"></div>'
# Carries what is to be painted, unseen; the view paints it without stopping a player.
TO_LIST = "() => document.getElementById('training-review-words')?.scrollIntoView()"
PAINT = """\
const show = () => document.dispatchEvent(new CustomEvent("testudo-review"));
window.testudoReview = () => props.value;
watch("value", show);
show();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a browser was sent last: the names, the prints of the rest, and the clips before it."""

    names: tuple[str, ...] | None = None
    report: str = ""
    rows: str = ""
    held: Held = field(default_factory=Held)


@dataclass(frozen=True, kw_only=True)
class Review:
    """Everything of the data set that handlers touch.

    chosen: which data set;  page: of its clips, from 0.
    """

    studio: Studio
    datasets: Datasets
    chosen: gr.Dropdown
    report: Painted
    words: gr.Textbox
    show: gr.Dropdown
    page: gr.State
    seen: gr.State
    message: gr.HTML
    pressed: gr.HTML
    source: gr.HTML

    def names(self) -> tuple[str, ...]:
        """Name the data sets that are there, and those that are being made."""
        coming = [
            from_plain(PrepareRequest, job.request).called
            for job in self.studio.jobs(limit=JOBS_LOOKED_AT)
            if job.task == PREPARE and not job.is_over
        ]
        return tuple(dict.fromkeys([*coming, *self.datasets.names()]))

    def choosing(self, name: str) -> Any:
        """Return the update that chooses a data set, be it there or coming."""
        return gr.update(choices=list(dict.fromkeys([*self.names(), name])), value=name)

    @property
    def inputs(self) -> list[Any]:
        """What `news` is given."""
        return [self.seen, self.chosen, self.words, self.show, self.page]

    @property
    def outputs(self) -> list[Any]:
        """What `news` answers with."""
        return [self.seen, self.chosen, self.report.source, self.source]


def draw_review(page: Page, datasets: Datasets) -> Review:
    """Draw what is below the form, and wire it."""
    gr.Markdown("## What is in it", elem_classes="dataset-title")
    with gr.Row():
        chosen = gr.Dropdown(
            [], label="Data set", info="A folder under training/.", elem_id="training-dataset"
        )
        with gr.Column(min_width=220):
            further = gr.Button("Next: Generate Configuration", elem_id="training-further")
            delete = gr.Button("Delete this data set", size="sm", elem_id="training-delete")
            undo = gr.Button("Undo", size="sm", visible=False, elem_id="training-delete-undo")
    report = draw_painted("training-report")
    words, show, above, accept = _draw_filters()
    review = Review(
        studio=page.studio,
        datasets=datasets,
        chosen=chosen,
        report=report,
        words=words,
        show=show,
        page=gr.State(0),
        seen=gr.State(Seen()),
        message=gr.HTML("", elem_id="training-review-message"),
        pressed=gr.HTML(
            HOLDER,
            html_template=HOLDER,
            js_on_load=(ASSETS / "review.js").read_text(encoding="utf-8"),
            elem_id="training-review",
        ),
        source=gr.HTML(
            "",
            html_template="<i></i>",
            js_on_load=PAINT,
            visible="hidden",
            elem_id="training-review-source",
        ),
    )
    _wire_looking(review, page)
    _wire_acts(review, accept, above)
    _wire_deleting(review, delete, undo)
    further.click(lambda: gr.Tabs(selected="configure"), None, page.parts, **QUIET)
    return review


def _draw_filters() -> tuple[gr.Textbox, gr.Dropdown, gr.Number, gr.Button]:
    gr.Markdown("## Clips", elem_classes="dataset-title")
    with gr.Row(elem_classes="history-filters"):
        words = gr.Textbox(
            label="Search",
            placeholder="Words of the text",
            scale=4,
            min_width=200,
            max_lines=1,
            elem_id="training-review-words",
        )
        show = gr.Dropdown(
            show_choices(),
            value="all",
            label="Show",
            scale=3,
            min_width=180,
            elem_id="training-review-show",
        )
    with (
        gr.Accordion("Accept many at once", open=False, elem_id="training-review-many"),
        gr.Row(elem_classes="dataset-row"),
    ):
        above = gr.Number(
            label="At least so sure, in %",
            info="Doubtful texts that the transcriber was at least so sure of count as right.",
            value=80,
            minimum=0,
            maximum=100,
            step=1,
            min_width=220,
            elem_id="training-review-above",
        )
        accept = gr.Button("Accept them", size="md", elem_id="training-review-accept")
    return words, show, above, accept


def show_choices() -> list[tuple[str, str]]:
    """Name what can be shown: kinds of clips, then the reasons for which clips are dropped."""
    reasons = [(f"Because: {words}", reason) for reason, words in REASONS.items()]
    return [*((words, name) for name, words in SHOWS.items()), *reasons]


def _wire_looking(review: Review, page: Page) -> None:
    def look(*given: Any) -> list[Any]:
        return news(review, *given)

    def narrow(seen: Seen, name: str | None, words: str, show: str, page: int) -> list[Any]:
        return [0, *news(review, seen, name, words, show, 0)]

    for ask in (gr.Timer(WATCH_S).tick, page.blocks.load):
        ask(look, review.inputs, review.outputs, **QUIET)
    gr.on(
        [review.chosen.change, review.words.change, review.show.change],
        narrow,
        review.inputs,
        [review.page, *review.outputs],
        trigger_mode="always_last",
        **QUIET,
    )


def news(
    review: Review, seen: Seen, name: str | None, words: str, show: str, page: int
) -> list[Any]:
    """Return what `Review.outputs` take: only what this browser has not seen."""
    layout = review.studio.layout
    try:
        names = review.names()
        chosen = name if name in names else next(iter(names), None)
        held, report, rows = _drawn(
            review, (chosen or "", words or "", show or "all", page), seen.held
        )
    except StudioError as cause:
        names, chosen = seen.names or (), name
        held, report, rows = Held(), refusal(cause), review_html("", Listed(), layout)
    now = Seen(names=names, report=_print(report), rows=_print(rows), held=held)
    listed = gr.skip() if names == seen.names else gr.update(choices=list(names), value=chosen)
    return [
        now,
        listed,
        gr.skip() if now.report == seen.report else report,
        gr.skip() if now.rows == seen.rows else rows,
    ]


def _drawn(review: Review, of: tuple[str, str, str, int], held: Held) -> tuple[Held, str, str]:
    """Draw the report and the list of a data set; both are empty where it is not there yet.

    of: the data set, the words and kind of clips to show, and the page.
    """
    (name, words, show, page), datasets = of, review.datasets
    if name not in datasets.names():
        return Held(), "", review_html(name, Listed(), review.studio.layout)
    found = datasets.find(name, show=show, words=words, page=page + 1, per_page=PAGE)
    ids = held.ids if held.of == of else ()
    rows = held_rows(ids, datasets.dataset(name).clips, found.rows, PAGE)
    is_narrowed = bool(words.strip()) or show != "all"
    listed = Listed(
        rows=rows,
        total=found.total,
        page=found.page - 1,
        all=found.all if is_narrowed else found.total,
    )
    now = Held(of=of, ids=tuple(row.id for row in rows))
    html = review_html(name, listed, review.studio.layout)
    return now, report_html(datasets.report(name)), html


def _print(html: str) -> str:
    return sha256(html.encode()).hexdigest()[:16]


def _wire_acts(review: Review, accept: gr.Button, above: gr.Number) -> None:
    """Buttons answer one after another and then show the list as it is: none undoes another."""

    def look(*given: Any) -> list[Any]:
        return news(review, *given)

    def press(asked: gr.EventData, page: int) -> list[Any]:
        data = asked._data or {}
        steps = {"before": -1, "after": 1}
        if data.get("act") in steps:
            return [max(0, page + steps[data["act"]]), ""]
        try:
            return [gr.skip(), note(act(review.datasets, data))]
        except StudioError as cause:
            return [gr.skip(), refusal(cause)]

    def filter_by(asked: gr.EventData) -> Any:
        reason = str((asked._data or {}).get("value", ""))
        return reason if reason in (*SHOWS, *REASONS) else gr.skip()

    def accept_all(name: str | None, percent: float | None) -> str:
        try:
            count = review.datasets.accept_above(name or "", float(percent or 0) / 100)
        except StudioError as cause:
            return refusal(cause)
        return note(f"{counted(count, 'clip')} accepted.")

    multiple = {**QUIET, "trigger_mode": "multiple"}  # keys are quicker than answers
    review.pressed.click(press, [review.page], [review.page, review.message], **multiple).then(
        look, review.inputs, review.outputs, **multiple
    )
    review.report.view.click(filter_by, None, review.show, **QUIET).then(None, js=TO_LIST)
    accept.click(accept_all, [review.chosen, above], review.message, **QUIET).then(
        look, review.inputs, review.outputs, **QUIET
    )


def _wire_deleting(review: Review, delete: gr.Button, undo: gr.Button) -> None:
    deleted = gr.State("")

    def to_bin(name: str | None) -> list[Any]:
        try:
            gone = review.datasets.delete(name or "")
        except StudioError as cause:
            return [refusal(cause), gr.skip(), gr.skip()]
        told = f"{name} is in the bin; your recordings are where they were."
        return [note(told), gone.id, gr.update(visible=True)]

    def back(id: str) -> list[Any]:
        try:
            review.datasets.restore_deleted(id)
        except StudioError as cause:
            return [refusal(cause), gr.skip(), gr.skip()]
        return [note("It is back."), "", gr.update(visible=False)]

    shown = [review.message, deleted, undo]
    for button, handler, given in ((delete, to_bin, review.chosen), (undo, back, deleted)):
        button.click(handler, [given], shown, **QUIET).then(
            lambda *given: news(review, *given), review.inputs, review.outputs, **QUIET
        )
