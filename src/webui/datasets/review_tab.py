"""What is in a data set: a report, and its clips to be heard, mended and sorted out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import gradio as gr

from core.errors import AppError
from core.formatting import format_count
from core.serialization import from_dict
from studio.app.studio import Studio
from studio.datasets.service import CLIP_REASONS, ClipRow, Datasets, PrepareRequest
from webui.components.live_html import EVENT_OPTIONS, LiveHtml, create_live_html
from webui.components.messages import error_html, note_html
from webui.components.page_context import PageContext
from webui.components.theme import ASSETS
from webui.datasets.prepare_job import PREPARE_TASK
from webui.datasets.report import report_html
from webui.datasets.review_actions import handle_review_action
from webui.datasets.review_list import PAGE_SIZE, ReviewListing, review_html

REPLACED_REASONS = ("merged", "split")
MIN_OVERLAP_S = 0.02  # clips that share less lie beside each other


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleClips:
    """What one browser looks at.

    of: the data set, the filters and the page;  ids: the clips of it, in the order shown.
    """

    query: tuple[object, ...] = ()
    ids: tuple[str, ...] = ()


def get_stable_rows(
    ids: Sequence[str], clips: Sequence[ClipRow], fresh: Sequence[ClipRow], most: int
) -> tuple[ClipRow, ...]:
    """Return the clips of these names as they are now, and fresh ones where there is room.

    What was joined or cut is there as what became of it.
    """
    by_id = {clip.id: clip for clip in clips}
    shown: dict[str, ClipRow] = {}
    for id in ids:
        shown |= {clip.id: clip for clip in _resolve_replaced(by_id.get(id), by_id)}
    for clip in fresh:
        if len(shown) < most:
            shown.setdefault(clip.id, clip)
    return tuple(shown.values())


def _resolve_replaced(clip: ClipRow | None, by_id: Mapping[str, ClipRow]) -> Iterator[ClipRow]:
    if clip is None:
        return
    if clip.reason not in REPLACED_REASONS:
        yield clip
        return
    for other in by_id.values():
        shared = min(clip.stop_s, other.stop_s) - max(clip.start_s, other.start_s)
        if (
            other.source == clip.source
            and other.reason not in REPLACED_REASONS
            and shared > MIN_OVERLAP_S
        ):
            yield other


# Any: what a browser sends, and what Gradio's controls take.

POLL_INTERVAL_S = 2.0
JOB_LIMIT = 50
FILTER_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "all": "All clips",
        "doubtful": "Kept, but doubtful",
        "kept": "Kept",
        "dropped": "Dropped",
        "edited": "Edited by you",
    }
)
CONTAINER_HTML = '<div id="training-review-view"></div>'
# Carries what is to be painted, unseen; the view paints it without stopping a player.
SCROLL_TO_LIST_JS = "() => document.getElementById('training-review-words')?.scrollIntoView()"
RENDER_JS = """\
const show = () => document.dispatchEvent(new CustomEvent("testudo-review"));
window.testudoReview = () => props.value;
watch("value", show);
show();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSessionState:
    """What a browser was sent last: the names, the prints of the rest, and the clips before it."""

    names: tuple[str, ...] | None = None
    report: str = ""
    rows: str = ""
    visible_clips: VisibleClips = field(default_factory=VisibleClips)


@dataclass(frozen=True, kw_only=True)
class ReviewPanel:
    """Everything of the data set that handlers touch.

    chosen: which data set;  page: of its clips, from 0.
    """

    studio: Studio
    datasets: Datasets
    chosen: gr.Dropdown
    report: LiveHtml
    words: gr.Textbox
    show: gr.Dropdown
    page: gr.State
    session_state: gr.State
    message: gr.HTML
    list_view: gr.HTML
    source: gr.HTML

    def names(self) -> tuple[str, ...]:
        """Name the data sets that are there, and those that are being made."""
        coming = [
            from_dict(PrepareRequest, job.request).dataset_name
            for job in self.studio.jobs(limit=JOB_LIMIT)
            if job.task == PREPARE_TASK and not job.is_over
        ]
        return tuple(dict.fromkeys([*coming, *self.datasets.names()]))

    def build_choice_update(self, name: str) -> Any:
        """Return the update that chooses a data set, be it there or coming."""
        return gr.update(choices=list(dict.fromkeys([*self.names(), name])), value=name)

    @property
    def inputs(self) -> list[Any]:
        """What `get_review_updates` is given."""
        return [self.session_state, self.chosen, self.words, self.show, self.page]

    @property
    def outputs(self) -> list[Any]:
        """What `get_review_updates` answers with."""
        return [self.session_state, self.chosen, self.report.source, self.source]


def build_review_panel(page: PageContext, datasets: Datasets) -> ReviewPanel:
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
    report = create_live_html("training-report")
    words, show, above, accept = _build_filters()
    review = ReviewPanel(
        studio=page.studio,
        datasets=datasets,
        chosen=chosen,
        report=report,
        words=words,
        show=show,
        page=gr.State(0),
        session_state=gr.State(ReviewSessionState()),
        message=gr.HTML("", elem_id="training-review-message"),
        list_view=gr.HTML(
            CONTAINER_HTML,
            html_template=CONTAINER_HTML,
            js_on_load=(ASSETS / "review.js").read_text(encoding="utf-8"),
            elem_id="training-review",
        ),
        source=gr.HTML(
            "",
            html_template="<i></i>",
            js_on_load=RENDER_JS,
            visible="hidden",
            elem_id="training-review-source",
        ),
    )
    _bind_polling(review, page)
    _bind_action_events(review, accept, above)
    _bind_delete_events(review, delete, undo)
    further.click(lambda: gr.Tabs(selected="configure"), None, page.training_tabs, **EVENT_OPTIONS)
    return review


def _build_filters() -> tuple[gr.Textbox, gr.Dropdown, gr.Number, gr.Button]:
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
            filter_choices(),
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


def filter_choices() -> list[tuple[str, str]]:
    """Name what can be shown: kinds of clips, then the reasons for which clips are dropped."""
    reasons = [(f"Because: {words}", reason) for reason, words in CLIP_REASONS.items()]
    return [*((words, name) for name, words in FILTER_LABELS.items()), *reasons]


def _bind_polling(review: ReviewPanel, page: PageContext) -> None:
    def look(*given: Any) -> list[Any]:
        return get_review_updates(review, *given)

    def narrow(
        seen: ReviewSessionState, name: str | None, words: str, show: str, page: int
    ) -> list[Any]:
        return [0, *get_review_updates(review, seen, name, words, show, 0)]

    for ask in (gr.Timer(POLL_INTERVAL_S).tick, page.blocks.load):
        ask(look, review.inputs, review.outputs, **EVENT_OPTIONS)
    gr.on(
        [review.chosen.change, review.words.change, review.show.change],
        narrow,
        review.inputs,
        [review.page, *review.outputs],
        trigger_mode="always_last",
        **EVENT_OPTIONS,
    )


def get_review_updates(
    review: ReviewPanel,
    seen: ReviewSessionState,
    name: str | None,
    words: str,
    show: str,
    page: int,
) -> list[Any]:
    """Return what `Review.outputs` take: only what this browser has not seen."""
    layout = review.studio.layout
    try:
        names = review.names()
        chosen = name if name in names else next(iter(names), None)
        held, report, rows = _render_dataset(
            review, (chosen or "", words or "", show or "all", page), seen.visible_clips
        )
    except AppError as cause:
        names, chosen = seen.names or (), name
        held, report, rows = (
            VisibleClips(),
            error_html(cause),
            review_html("", ReviewListing(), layout),
        )
    now = ReviewSessionState(
        names=names, report=_hash_html(report), rows=_hash_html(rows), visible_clips=held
    )
    listed = gr.skip() if names == seen.names else gr.update(choices=list(names), value=chosen)
    return [
        now,
        listed,
        gr.skip() if now.report == seen.report else report,
        gr.skip() if now.rows == seen.rows else rows,
    ]


def _render_dataset(
    review: ReviewPanel, of: tuple[str, str, str, int], held: VisibleClips
) -> tuple[VisibleClips, str, str]:
    """Draw the report and the list of a data set; both are empty where it is not there yet.

    of: the data set, the words and kind of clips to show, and the page.
    """
    (name, words, show, page), datasets = of, review.datasets
    if name not in datasets.names():
        return VisibleClips(), "", review_html(name, ReviewListing(), review.studio.layout)
    found = datasets.find(name, show=show, words=words, page=page + 1, per_page=PAGE_SIZE)
    ids = held.ids if held.query == of else ()
    rows = get_stable_rows(ids, datasets.dataset(name).clips, found.rows, PAGE_SIZE)
    is_narrowed = bool(words.strip()) or show != "all"
    listed = ReviewListing(
        rows=rows,
        total=found.total,
        page=found.page - 1,
        all=found.all if is_narrowed else found.total,
    )
    now = VisibleClips(query=of, ids=tuple(row.id for row in rows))
    html = review_html(name, listed, review.studio.layout)
    return now, report_html(datasets.report(name)), html


def _hash_html(html: str) -> str:
    return sha256(html.encode()).hexdigest()[:16]


def _bind_action_events(review: ReviewPanel, accept: gr.Button, above: gr.Number) -> None:
    """Buttons answer one after another and then show the list as it is: none undoes another."""

    def look(*given: Any) -> list[Any]:
        return get_review_updates(review, *given)

    def press(asked: gr.EventData, page: int) -> list[Any]:
        data = asked._data or {}
        steps = {"before": -1, "after": 1}
        if data.get("act") in steps:
            return [max(0, page + steps[data["act"]]), ""]
        try:
            return [gr.skip(), note_html(handle_review_action(review.datasets, data))]
        except AppError as cause:
            return [gr.skip(), error_html(cause)]

    def filter_by(asked: gr.EventData) -> Any:
        reason = str((asked._data or {}).get("value", ""))
        return reason if reason in (*FILTER_LABELS, *CLIP_REASONS) else gr.skip()

    def accept_all(name: str | None, percent: float | None) -> str:
        try:
            count = review.datasets.accept_above(name or "", float(percent or 0) / 100)
        except AppError as cause:
            return error_html(cause)
        return note_html(f"{format_count(count, 'clip')} accepted.")

    multiple = {**EVENT_OPTIONS, "trigger_mode": "multiple"}  # keys are quicker than answers
    review.list_view.click(press, [review.page], [review.page, review.message], **multiple).then(
        look, review.inputs, review.outputs, **multiple
    )
    review.report.view.click(filter_by, None, review.show, **EVENT_OPTIONS).then(
        None, js=SCROLL_TO_LIST_JS
    )
    accept.click(accept_all, [review.chosen, above], review.message, **EVENT_OPTIONS).then(
        look, review.inputs, review.outputs, **EVENT_OPTIONS
    )


def _bind_delete_events(review: ReviewPanel, delete: gr.Button, undo: gr.Button) -> None:
    deleted = gr.State("")

    def to_bin(name: str | None) -> list[Any]:
        try:
            gone = review.datasets.delete(name or "")
        except AppError as cause:
            return [error_html(cause), gr.skip(), gr.skip()]
        told = f"{name} is in the bin; your recordings are where they were."
        return [note_html(told), gone.id, gr.update(visible=True)]

    def back(id: str) -> list[Any]:
        try:
            review.datasets.restore_deleted(id)
        except AppError as cause:
            return [error_html(cause), gr.skip(), gr.skip()]
        return [note_html("It is back."), "", gr.update(visible=False)]

    shown = [review.message, deleted, undo]
    for button, handler, given in ((delete, to_bin, review.chosen), (undo, back, deleted)):
        button.click(handler, [given], shown, **EVENT_OPTIONS).then(
            lambda *given: get_review_updates(review, *given),
            review.inputs,
            review.outputs,
            **EVENT_OPTIONS,
        )
