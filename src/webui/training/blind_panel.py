"""The blind comparison of the checkpoints of a run: samples, choices, and which is which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from core.errors import AppError
from jobs.models import Job
from studio.app.studio import Studio
from studio.training_runs.blind_comparison import (
    BASE_STEP,
    DEFAULT_SENTENCES,
    BlindComparison,
    CompareBlindRequest,
    check_steps,
    choose_sample,
    parse_steps,
    read_comparison,
    reveal_steps,
    suggest_steps,
)
from studio.training_runs.run_status import SAMPLES_DIR, RunStatus
from webui.components.file_links import get_file_url
from webui.components.job_card import format_progress
from webui.components.live_panel import LivePanel, PanelAction, Updates, create_live_html
from webui.components.messages import note_html
from webui.components.page_context import PageContext
from webui.components.templates import render
from webui.training.run_view import format_run_title

# Any: events and values of Gradio's components.

POLL_INTERVAL_S = 2.0
TASK = "compare_blind"
ORIGIN = "training"


@dataclass(frozen=True, kw_only=True)
class BlindSnapshot:
    """What the panel shows; equal snapshots look the same."""

    run: RunStatus | None
    comparison: BlindComparison | None = None
    progress: str = ""
    error: str = ""


class BlindPanel:
    """The panel below the checkpoints.

    find_run: returns the run that is shown, by the title in `selected`.
    """

    def __init__(
        self, page: PageContext, selected: gr.State, find_run: Callable[[str], RunStatus | None]
    ) -> None:
        self.studio: Studio = page.studio
        self.find_run = find_run
        html = create_live_html("training-blind")
        message = gr.HTML("", elem_id="training-blind-message")
        self.panel = LivePanel(
            html,
            self.take_snapshot,
            lambda snapshot: blind_html(self.studio, snapshot),
            {
                "blind-start": self.start,
                "blind-choose": self.choose,
                "blind-reveal": self.reveal,
            },
            message=message,
            inputs=[selected],
        )
        self.panel.follow(page.changes, POLL_INTERVAL_S)

    def take_snapshot(self, selected: str) -> BlindSnapshot:
        """Read the comparison of the run that is shown, and the job that makes one."""
        run = self.find_run(selected)
        if run is None:
            return BlindSnapshot(run=None)
        job = self._find_job(run)
        is_active = job is not None and not job.is_over
        failed = job is not None and job.failure is not None
        return BlindSnapshot(
            run=run,
            comparison=read_comparison(run.folder),
            progress=_describe_progress(job) if job is not None and is_active else "",
            error=job.failure.message if job is not None and failed and job.failure else "",
        )

    def start(self, action: PanelAction, selected: str) -> Updates:
        """Queue the job that makes the samples."""
        run = self._require_run(selected)
        steps = parse_steps(action.text("steps"))
        check_steps(run, steps)
        texts = [line.strip() for line in action.text("sentences").splitlines() if line.strip()]
        request = CompareBlindRequest(
            dataset=run.dataset, run=run.name, steps=steps, sentences=tuple(texts)
        )
        title = f"Blind comparison of {format_run_title(run)}"
        self.studio.submit(request, title=title, origin=ORIGIN)
        return {self.panel.message: note_html("The samples are made; they appear here.")}

    def choose(self, action: PanelAction, selected: str) -> None:
        """Save the choice for one sentence."""
        sentence, _, choice = action.text("value").partition("/")
        if not (sentence.isdecimal() and choice.isdecimal()):
            raise AppError("There is no such sample. Reload the page.")
        choose_sample(self._require_run(selected).folder, int(sentence), int(choice))

    def reveal(self, action: PanelAction, selected: str) -> None:
        """Show which sample is of which step."""
        reveal_steps(self._require_run(selected).folder)

    def _require_run(self, selected: str) -> RunStatus:
        run = self.find_run(selected)
        if run is None:
            raise AppError("No run selected. Select one from the list, or press Train.")
        return run

    def _find_job(self, run: RunStatus) -> Job | None:
        source = (run.dataset, run.name)
        jobs = (job for job in self.studio.jobs(limit=50) if job.task == TASK)
        found = (job for job in jobs if (job.request["dataset"], job.request["run"]) == source)
        return next(found, None)


def blind_html(studio: Studio, snapshot: BlindSnapshot) -> str:
    """Render the panel; "" for a run without a checkpoint to compare."""
    run, comparison = snapshot.run, snapshot.comparison
    if run is None or (comparison is None and not any(one.there for one in run.checkpoints)):
        return ""
    samples = run.folder / SAMPLES_DIR
    sentences = comparison.sentences if comparison is not None else ()
    text = run.samples[-1].text if run.samples else ""
    return render(
        "training/blind.html",
        title=format_run_title(run),
        comparison=comparison,
        progress=snapshot.progress,
        error=snapshot.error,
        urls=[[get_file_url(studio.layout, samples / name) for name in s.files] for s in sentences],
        names={step: _name_step(step) for one in sentences for step in one.steps},
        steps=suggest_steps(run),
        sentences=[one.text for one in sentences]
        or [*DEFAULT_SENTENCES, *([text] if text else [])],
    )


def _name_step(step: int) -> str:
    return "Before the training" if step == BASE_STEP else f"Step {step:,}"


def _describe_progress(job: Job) -> str:
    return "Waiting in the queue." if job.state == "waiting" else format_progress(job)
