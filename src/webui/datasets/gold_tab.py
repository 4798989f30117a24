"""The Gold Dataset part of the Training tab: from a recording and its transcript to utterances."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from core.errors import AppError
from studio.datasets.gold_finetune import GoldFinetuneResult, read_comparisons
from studio.datasets.gold_project import (
    TRANSCRIPT_SUFFIXES,
    GoldView,
    create_gold_request,
    list_gold_projects,
    read_transcript_text,
    save_transcript_text,
    view_gold_project,
)
from studio.datasets.gold_request import (
    LAYOUTS,
    METHODS,
    STEPS,
    GoldExportRequest,
    GoldRequest,
)
from studio.datasets.gold_turns import ALL_ACTIONS, ROW_ACTIONS, edit_turns
from studio.voices.catalog import AUDIO_SUFFIXES
from webui.components.job_card import filter_active_jobs, stop_jobs
from webui.components.live_panel import (
    EVENT_OPTIONS,
    PAINT_JS,
    LivePanel,
    PanelAction,
    Updates,
    create_live_html,
)
from webui.components.messages import note_html
from webui.components.page_context import PageContext
from webui.components.theme import ASSETS
from webui.datasets.gold_finetune import GoldFinetune
from webui.datasets.gold_view import (
    ORIGIN,
    TASKS,
    gold_jobs_html,
    list_running_steps,
    steps_html,
    turns_html,
)

# Any: values of Gradio's components.

POLL_INTERVAL_S = 1.5
JOB_LIMIT = 50
STOPPING_TEXT = "Stopping. Finished steps are kept."
FIELDS = ("was", "start", "stop", "speaker", "at")
ABOUT = (
    "Create a dataset from **one long recording with its transcript**, also of several speakers: "
    "each utterance is compared with the recording. Run the steps in order; correct speakers, "
    "turns and transcript before the next one."
)


class GoldSnapshot(NamedTuple):
    """Everything that is shown; equal snapshots look the same."""

    names: tuple[str, ...]
    name: str
    view: GoldView | None
    running: frozenset[str]
    jobs_html: str
    can_stop: bool
    page: int
    models: tuple[str, ...]
    comparisons: tuple[GoldFinetuneResult, ...]


class GoldTab:
    """The choice of a project, its steps and jobs; below, its turns."""

    def __init__(self, page: PageContext) -> None:
        self.studio = page.studio
        gr.Markdown(ABOUT, elem_id="training-gold-about")
        with gr.Row(elem_classes="generate"):
            with gr.Column(scale=6, min_width=320):
                self.chosen = gr.Dropdown([], label="Project", elem_id="training-gold-project")
                with gr.Accordion("New project", open=False, elem_id="training-gold-new"):
                    create = self._build_new_project()
                self.steps = create_live_html("training-gold-steps")
                with gr.Row(elem_classes="run-row"):
                    run = gr.Button(
                        "Run all steps", variant="primary", scale=3, elem_id="training-gold-run"
                    )
                    self.stop = gr.Button("Stop", interactive=False, elem_id="training-gold-stop")
                message = gr.HTML("", elem_id="training-gold-message")
            with gr.Column(scale=5, min_width=320, elem_classes="hearing"):
                jobs = create_live_html("training-gold-jobs")
                export = self._build_export()
                self.finetune = GoldFinetune(page.studio)
        script = PAINT_JS.replace("{elem_id}", "training-gold-turns")
        self.turns = gr.HTML(
            html_template='<div id="training-gold-turns-view"></div>',
            js_on_load=script + (ASSETS / "gold.js").read_text(encoding="utf-8"),
            elem_id="training-gold-turns",
        )
        save = self._build_transcript()
        self.page = gr.State(0)
        self.panel = LivePanel(
            jobs,
            self.take_snapshot,
            self.render,
            {"cancel": self.cancel_job},
            message=message,
            inputs=[self.chosen, self.page],
            outputs=[
                *(self.chosen, self.steps, self.turns, self.stop, self.page),
                *self.finetune.outputs,
            ],
        )
        self.panel.actions.update(
            dict.fromkeys((*ROW_ACTIONS, *ALL_ACTIONS), self.edit_turns)
            | {"page": self.turn_page, "step": self.run_step}
        )
        self._bind_events(page, {"run": run, "create": create, "export": export, "save": save})

    def _bind_events(self, page: PageContext, buttons: Mapping[str, gr.Button]) -> None:
        self.panel.listen(self.steps)
        self.panel.listen(self.turns, trigger_mode="multiple")
        self.panel.follow(page.changes, POLL_INTERVAL_S, place="training-gold-about")
        self.panel.bind(buttons["run"].click, self.run_all, [self.chosen])
        self.panel.bind(self.stop.click, self.stop_jobs)
        self.panel.bind(buttons["create"].click, self.create, self.new_controls)
        self.panel.bind(buttons["export"].click, self.export, [self.chosen, self.layout])
        self.panel.bind(
            self.finetune.run.click, self.finetune.submit, [self.chosen, *self.finetune.inputs]
        )
        self.panel.bind(buttons["save"].click, self.save_transcript, [self.chosen, self.transcript])
        self.chosen.change(
            self.show_project,
            self.panel.inputs,
            [*self.panel.outputs, self.transcript],
            **{**EVENT_OPTIONS, "trigger_mode": "always_last"},
        )
        self.fold.expand(self.load_transcript, self.chosen, self.transcript, **EVENT_OPTIONS)

    def _build_new_project(self) -> gr.Button:
        with gr.Row():
            recording = gr.File(
                label="Recording",
                file_types=[*AUDIO_SUFFIXES],
                type="filepath",
                height=110,
                elem_id="training-gold-recording",
            )
            transcript = gr.File(
                label="Transcript with speaker names",
                file_types=[*TRANSCRIPT_SUFFIXES],
                type="filepath",
                height=110,
                elem_id="training-gold-transcript",
            )
        with gr.Row():
            name = gr.Textbox(
                label="Project name",
                info="Leave blank to use the name of the recording.",
                max_lines=1,
                elem_id="training-gold-name",
            )
            speaker = gr.Textbox(
                label="Keep this speaker only",
                info="A name in the transcript; blank keeps all.",
                max_lines=1,
                elem_id="training-gold-speaker",
            )
        with gr.Row():
            speakers = gr.Number(
                label="Number of speakers",
                info="0: as many as the transcript names.",
                value=0,
                precision=0,
                elem_id="training-gold-speakers",
            )
            method = gr.Dropdown(
                list(METHODS),
                value=METHODS[0],
                label="Diarization",
                info="How voices are told apart.",
                elem_id="training-gold-method",
            )
        self.new_controls = [recording, transcript, name, speaker, speakers, method]
        return gr.Button("Create project and run all steps", elem_id="training-gold-create")

    def _build_export(self) -> gr.Button:
        with gr.Accordion("Export", open=False, elem_id="training-gold-export-fold"):
            self.layout = gr.Dropdown(
                list(LAYOUTS),
                value=LAYOUTS[0],
                label="Layout",
                info="Files for a trainer, written into the project.",
                elem_id="training-gold-layout",
            )
            return gr.Button("Export", elem_id="training-gold-export")

    def _build_transcript(self) -> gr.Button:
        self.fold = gr.Accordion("Transcript", open=False, elem_id="training-gold-text-fold")
        with self.fold:
            self.transcript = gr.Textbox(
                label="Transcript",
                info="One turn per line: Name| words. Saving makes the other steps outdated.",
                lines=8,
                max_lines=24,
                elem_id="training-gold-text",
            )
            return gr.Button("Save transcript", size="md", elem_id="training-gold-text-save")

    def take_snapshot(self, name: str | None, page: int) -> GoldSnapshot:
        """Return what is shown of a project; the first one where none is chosen."""
        layout, jobs = self.studio.layout, self.studio.jobs(limit=JOB_LIMIT)
        names = tuple(list_gold_projects(layout))
        chosen = name if name in names else next(iter(names), "")
        return GoldSnapshot(
            names=names,
            name=chosen,
            view=view_gold_project(layout, chosen) if chosen else None,
            running=list_running_steps(jobs, chosen),
            jobs_html=gold_jobs_html(jobs),
            can_stop=bool(filter_active_jobs(jobs, TASKS, ORIGIN)),
            page=page,
            models=self.finetune.list_models(),
            comparisons=tuple(read_comparisons(layout, chosen)) if chosen else (),
        )

    def render(self, snapshot: GoldSnapshot) -> Updates:
        """Return the updates that show a snapshot."""
        return {
            self.panel.html: snapshot.jobs_html,
            self.chosen: gr.update(choices=list(snapshot.names), value=snapshot.name or None),
            self.steps: steps_html(snapshot.view, snapshot.running),
            self.turns: turns_html(snapshot.view, snapshot.page, self.studio.layout),
            self.stop: gr.update(interactive=snapshot.can_stop),
            **self.finetune.render(snapshot.view, snapshot.models, snapshot.comparisons),
        }

    def show_project(self, sent: Any, name: str | None, page: int) -> Updates:
        """Show another project, from its first page."""
        return {
            self.page: 0,
            self.transcript: self.load_transcript(name),
            **self.panel.refresh(sent, name, 0),
        }

    def load_transcript(self, name: str | None) -> str:
        """Return the transcript of a project as it is now."""
        is_there = name in list_gold_projects(self.studio.layout)
        return read_transcript_text(self.studio.layout, str(name)) if is_there else ""

    def save_transcript(self, name: str | None, text: str) -> Updates:
        """Save the edited transcript."""
        save_transcript_text(self.studio.layout, _check_chosen(name), text or "")
        return {self.panel.message: note_html("Transcript saved.")}

    def create(
        self,
        recording: str | None,
        transcript: str | None,
        name: str,
        speaker: str,
        speakers: float | None,
        method: str,
    ) -> Updates:
        """Create a project from uploads, and run its steps."""
        if not recording or not transcript:
            raise AppError("Drop a recording and its transcript first.")
        given = GoldRequest(
            recording=recording,
            name=(name or "").strip(),
            speaker=(speaker or "").strip(),
            speakers=int(speakers or 0),
            method=method,
        )
        request = create_gold_request(self.studio.layout, given, Path(recording), Path(transcript))
        self._submit(request)
        names = list(dict.fromkeys([*list_gold_projects(self.studio.layout), request.name]))
        return {self.chosen: gr.update(choices=names, value=request.name)}

    def run_all(self, name: str | None) -> None:
        """Run the steps whose inputs have changed."""
        self._submit(GoldRequest(name=_check_chosen(name), steps=STEPS))

    def run_step(self, action: PanelAction, name: str | None, page: int) -> None:
        """Run one step, also where nothing has changed."""
        step = action.text("value")
        self._submit(GoldRequest(name=_check_chosen(name), steps=(step,), anew=True))

    def edit_turns(self, action: PanelAction, name: str | None, page: int) -> None:
        """Correct a turn or a speaker."""
        project, index = _check_chosen(name), action.text("index")
        running = list_running_steps(self.studio.jobs(limit=JOB_LIMIT), project)
        if running:
            raise AppError("Steps are running. Wait for them, or stop them, before you edit.")
        number = int(index) if index.isascii() and index.isdecimal() and len(index) < 9 else -1
        fields = {field: action.text(field) for field in FIELDS}
        edit_turns(self.studio.layout, project, action.name, number, fields)

    def turn_page(self, action: PanelAction, name: str | None, page: int) -> Updates:
        """Show another page of the turns."""
        value = action.text("value")
        is_number = value.isascii() and value.isdecimal() and len(value) < 9
        return {self.page: int(value) if is_number else 0}

    def export(self, name: str | None, layout: str) -> None:
        """Queue an export."""
        request = GoldExportRequest(name=_check_chosen(name), layout=layout)
        self.studio.submit(request, title=f"Export {request.name}: {layout}", origin=ORIGIN)

    def stop_jobs(self) -> Updates:
        """Stop all active jobs of Gold Dataset."""
        jobs = stop_jobs(self.studio, TASKS, ORIGIN)
        return {self.panel.message: note_html(STOPPING_TEXT if jobs else "Nothing is running.")}

    def cancel_job(self, action: PanelAction, name: str | None, page: int) -> Updates:
        """Stop a job."""
        self.studio.cancel(self.studio.job(action.text("job")).id)
        return {self.panel.message: note_html(STOPPING_TEXT)}

    def _submit(self, request: GoldRequest) -> None:
        jobs = self.studio.jobs(limit=JOB_LIMIT)
        if list_running_steps(jobs, request.project_name):
            raise AppError(f"Steps of {request.project_name} are already running.")
        steps = "all steps" if request.steps == STEPS else ", ".join(request.steps)
        self.studio.submit(request, title=f"{request.project_name}: {steps}", origin=ORIGIN)


def _check_chosen(name: str | None) -> str:
    if not name:
        raise AppError("Choose a project, or create one.")
    return name
