"""The dataset summary and the review of its clips, below the form of Prepare Dataset."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from core.errors import AppError
from core.formatting import format_count
from core.serialization import from_dict
from jobs.models import Job
from studio.datasets.dataset_reports import PREPARED, DatasetReportRequest, find_report
from studio.datasets.service import (
    CLIP_REASONS,
    ClipRow,
    DatasetReport,
    Datasets,
    PrepareRequest,
)
from webui.components.charts import bar_plot_update, create_bar_plot
from webui.components.live_panel import (
    EVENT_OPTIONS,
    LivePanel,
    PanelAction,
    Updates,
    create_live_html,
    create_scripted_html,
    parse_action,
)
from webui.components.messages import note_html
from webui.components.page_context import PageContext
from webui.datasets.prepare_view import PREPARE_TASK
from webui.datasets.review_view import (
    PAGE_SIZE,
    ReviewListing,
    build_bars,
    report_html,
    report_link_html,
    review_html,
)

# Any: what a browser sends, and values of Gradio's components.

POLL_INTERVAL_S = 2.0
JOB_LIMIT = 50
REPORT_TASK, REPORT_ORIGIN = "report_dataset", "review"
REPLACED_REASONS = ("merged", "split")
MIN_OVERLAP_S = 0.02  # clips that share less are neighbours
FILTER_LABELS = {
    "all": "All clips",
    "doubtful": "Kept, to check",
    "kept": "Kept",
    "dropped": "Dropped",
    "edited": "Edited by you",
}
SCROLL_TO_LIST_JS = "() => document.getElementById('training-review-words')?.scrollIntoView()"
_SECOND_PATTERN = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleClips:
    """The clips that one browser shows, in order. query: dataset, search, filter and page."""

    query: tuple[object, ...] = ()
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSnapshot:
    """Everything that is shown of the datasets; equal snapshots look the same."""

    names: tuple[str, ...] = ()
    name: str = ""
    visible: VisibleClips = field(default_factory=VisibleClips)
    listing: ReviewListing = field(default_factory=ReviewListing)
    report: DatasetReport | None = None
    report_link: str = ""


class ReviewPanel:
    """The choice of a dataset, its report and its clips."""

    def __init__(self, page: PageContext, datasets: Datasets) -> None:
        self.studio, self.datasets = page.studio, datasets
        gr.Markdown("## Dataset summary", elem_classes="dataset-title")
        with gr.Row():
            self.chosen = gr.Dropdown(
                [], label="Dataset", info="A folder under training/.", elem_id="training-dataset"
            )
            with gr.Column(min_width=220):
                configure = gr.Button("Next: Generate Configuration", elem_id="training-further")
                write = gr.Button("Create report", size="sm", elem_id="training-report-write")
                delete = gr.Button("Delete this dataset", size="sm", elem_id="training-delete")
                self.undo = gr.Button(
                    "Undo", size="sm", visible=False, elem_id="training-delete-undo"
                )
        self.html_report = create_live_html("training-report-link")
        self.report = create_live_html("training-report")
        with gr.Row(elem_classes="charts"):
            self.lengths = create_bar_plot("training-lengths")
            self.levels = create_bar_plot("training-levels")
        self._build_filters()
        message = gr.HTML("", elem_id="training-review-message")
        self.page, self.visible = gr.State(0), gr.State(VisibleClips())
        self.deleted = gr.State("")
        self.panel = LivePanel(
            create_scripted_html("training-review", "review.js"),
            self.take_snapshot,
            self.render,
            message=message,
            inputs=[self.visible, self.chosen, self.words, self.show, self.page],
            outputs=[
                *(self.chosen, self.visible, self.html_report),
                *(self.report, self.lengths, self.levels),
            ],
            action_outputs=[self.deleted, self.undo],
        )
        self.panel.actions.update(dict.fromkeys((*REVIEW_ACTIONS, "page"), self.press))
        # keys are pressed faster than requests are answered
        self.panel.listen(self.panel.html, trigger_mode="multiple")
        self.panel.follow(page.changes, POLL_INTERVAL_S, place="training-dataset")
        self._bind_events(page, delete, configure)
        self.panel.bind(write.click, self.write_report, [self.chosen])

    def _build_filters(self) -> None:
        gr.Markdown("## Clips", elem_classes="dataset-title")
        with gr.Row(elem_classes="history-filters"):
            self.words = gr.Textbox(
                label="Search",
                placeholder="Search text",
                scale=4,
                min_width=200,
                max_lines=1,
                elem_id="training-review-words",
            )
            reasons = [(f"Reason: {label}", reason) for reason, label in CLIP_REASONS.items()]
            self.show = gr.Dropdown(
                [*((label, name) for name, label in FILTER_LABELS.items()), *reasons],
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
            self.min_confidence = gr.Number(
                label="Min. confidence (%)",
                info="Accepts texts to check that were transcribed with at least this confidence.",
                value=80,
                step=1,
                min_width=220,
                elem_id="training-review-above",
            )
            self.accept = gr.Button("Accept", size="md", elem_id="training-review-accept")

    def _bind_events(self, page: PageContext, delete: gr.Button, configure: gr.Button) -> None:
        changes = [self.chosen.change, self.words.change, self.show.change]
        gr.on(
            changes,
            self.show_first_page,
            self.panel.inputs,
            [self.page, *self.panel.outputs],
            **{**EVENT_OPTIONS, "trigger_mode": "always_last"},
        )
        self.panel.bind(self.accept.click, self.accept_all, [self.chosen, self.min_confidence])
        self.panel.bind(delete.click, self.delete_dataset, [self.chosen])
        self.panel.bind(self.undo.click, self.restore_dataset, [self.deleted])
        self.report.click(self.show_reason, None, self.show, **EVENT_OPTIONS).then(
            None, js=SCROLL_TO_LIST_JS
        )
        configure.click(
            lambda: gr.Tabs(selected="configure"), None, page.training_tabs, **EVENT_OPTIONS
        )

    def list_names(self) -> tuple[str, ...]:
        """List the datasets that exist or are being prepared, the latter first."""
        pending = [
            from_dict(PrepareRequest, job.request).dataset_name
            for job in self.studio.jobs(limit=JOB_LIMIT)
            if job.task == PREPARE_TASK and not job.is_over
        ]
        return tuple(dict.fromkeys([*pending, *self.datasets.names()]))

    def build_choice_update(self, name: str) -> Any:
        """Return the update that selects a dataset, even one that is not made yet."""
        return gr.update(choices=list(dict.fromkeys([*self.list_names(), name])), value=name)

    def take_snapshot(
        self, visible: VisibleClips, name: str | None, words: str, show: str, page: int
    ) -> ReviewSnapshot:
        """Return the values of the components for a dataset; empty for a missing one."""
        names = self.list_names()
        name = name if name in names else next(iter(names), "")
        if name not in self.datasets.names():
            return ReviewSnapshot(names=names, name=name)
        words, show = words or "", show or "all"
        found = self.datasets.find(name, show=show, words=words, page=page + 1, per_page=PAGE_SIZE)
        query = (name, words, show, page)
        ids = visible.ids if visible.query == query else ()
        rows = get_stable_rows(ids, self.datasets.dataset(name).clips, found.rows, PAGE_SIZE)
        is_filtered = bool(words.strip()) or show != "all"
        return ReviewSnapshot(
            names=names,
            name=name,
            visible=VisibleClips(query=query, ids=tuple(row.id for row in rows)),
            listing=ReviewListing(
                rows=rows,
                total=found.total,
                page=found.page - 1,
                all=found.all if is_filtered else found.total,
            ),
            report=self.datasets.report(name),
            report_link=report_link_html(
                name, find_report(self.studio.layout, f"{PREPARED}/{name}"), self._report_job(name)
            ),
        )

    def render(self, snapshot: ReviewSnapshot) -> Updates:
        """Render the list, the report and its charts."""
        report, layout = snapshot.report, self.studio.layout
        lengths, levels = (report.lengths, report.levels) if report is not None else ((), ())
        return {
            self.panel.html: review_html(snapshot.name, snapshot.listing, layout),
            self.chosen: gr.update(choices=list(snapshot.names), value=snapshot.name or None),
            self.visible: snapshot.visible,
            self.html_report: snapshot.report_link,
            self.report: report_html(report) if report is not None else "",
            self.lengths: bar_plot_update("Length", "s", build_bars(lengths)),
            self.levels: bar_plot_update("Loudness", "LUFS", build_bars(levels)),
        }

    def show_first_page(self, sent: Any, *inputs: Any) -> Updates:
        """Show the first page of another dataset, search or filter."""
        return {self.page: 0, **self.panel.refresh(sent, *inputs[:-1], 0)}

    def press(self, action: PanelAction, *inputs: Any) -> Updates:
        """Perform an action on a clip, or turn the page."""
        if action.name == "page":
            page = action.text("value")
            is_number = page.isascii() and page.isdecimal() and len(page) <= 9
            return {self.page: int(page) if is_number else 0}
        return {self.panel.message: note_html(handle_review_action(self.datasets, action))}

    def show_reason(self, event: gr.EventData) -> Any:
        """Return the filter for the clips with a reason of the report."""
        reason = parse_action(event).text("value")
        return reason if reason in (*FILTER_LABELS, *CLIP_REASONS) else gr.skip()

    def write_report(self, name: str | None) -> None:
        """Queue a job that writes the HTML report of the dataset."""
        if not name or name not in self.datasets.names():
            raise AppError("Choose a dataset first.")
        if (job := self._report_job(name)) is not None and not job.is_over:
            raise AppError("The report is being written already.")
        request = DatasetReportRequest(name=f"{PREPARED}/{name}")
        self.studio.submit(request, title=f"Report on {name}", origin=REPORT_ORIGIN)

    def _report_job(self, name: str) -> Job | None:
        wanted = {"name": f"{PREPARED}/{name}"}
        jobs = self.studio.jobs(limit=JOB_LIMIT)
        return next(
            (job for job in jobs if job.task == REPORT_TASK and job.request == wanted), None
        )

    def accept_all(self, name: str | None, percent: float | None) -> Updates:
        """Accept all clips with a minimum confidence."""
        count = self.datasets.accept_above(name or "", float(percent or 0) / 100)
        return {self.panel.message: note_html(f"{format_count(count, 'clip')} accepted.")}

    def delete_dataset(self, name: str | None) -> Updates:
        """Move a dataset to the trash."""
        entry = self.datasets.delete(name or "")
        text = f"{name} moved to the trash. Your recordings are unchanged."
        return {
            self.panel.message: note_html(text),
            self.deleted: entry.id,
            self.undo: gr.update(visible=True),
        }

    def restore_dataset(self, id: str) -> Updates:
        """Restore the dataset deleted last."""
        self.datasets.restore_deleted(id)
        return {
            self.panel.message: note_html("Dataset restored."),
            self.deleted: "",
            self.undo: gr.update(visible=False),
        }


def get_stable_rows(
    ids: Sequence[str], clips: Sequence[ClipRow], fresh: Sequence[ClipRow], limit: int
) -> tuple[ClipRow, ...]:
    """Return the clips of these ids as they are now, then fresh ones up to the limit.

    A clip that was merged or split is replaced by the clips made of it.
    """
    by_id = {clip.id: clip for clip in clips}
    shown: dict[str, ClipRow] = {}
    for id in ids:
        shown |= {clip.id: clip for clip in _resolve_replaced(by_id.get(id), by_id)}
    for clip in fresh:
        if len(shown) < limit:
            shown.setdefault(clip.id, clip)
    return tuple(shown.values())


def _resolve_replaced(clip: ClipRow | None, by_id: Mapping[str, ClipRow]) -> Iterator[ClipRow]:
    if clip is None:
        return
    if clip.reason not in REPLACED_REASONS:
        yield clip
        return
    for other in by_id.values():
        overlap = min(clip.stop_s, other.stop_s) - max(clip.start_s, other.start_s)
        is_replaced = other.reason in REPLACED_REASONS
        if other.source == clip.source and not is_replaced and overlap > MIN_OVERLAP_S:
            yield other


def handle_review_action(datasets: Datasets, action: PanelAction) -> str:
    """Edit a clip; return the message. Raises AppError if it cannot be done."""
    handler = REVIEW_ACTIONS.get(action.name)
    if handler is None:
        raise AppError("Unknown action. Reload the page.")
    handler(datasets, action.text("name"), action.text("ref"), action.text("value"))
    return {"merge": "Clips joined. Split separates them again.", "split": "Clip split."}.get(
        action.name, ""
    )


def _parse_split_time(value: str) -> float:
    """Read a time in seconds, or the middle of a pause given by its ends: "3.20 3.54"."""
    ends = value.split()
    if not 1 <= len(ends) <= 2 or not all(map(_SECOND_PATTERN.fullmatch, ends)):
        raise AppError("Enter the second to cut at, such as 2.5.")
    return sum(map(float, ends)) / len(ends)


REVIEW_ACTIONS: Mapping[str, Callable[[Datasets, str, str, str], Any]] = {
    "edit": lambda datasets, name, clip, text: datasets.edit_text(name, clip, text),
    "drop": lambda datasets, name, clip, _: datasets.drop(name, [clip]),
    "restore": lambda datasets, name, clip, _: datasets.restore(name, [clip]),
    "accept": lambda datasets, name, clip, _: datasets.accept(name, [clip]),
    "merge": lambda datasets, name, clip, _: datasets.merge(name, clip),
    "split": lambda datasets, name, clip, at: datasets.split(
        name, clip, at_s=_parse_split_time(at)
    ),
}
