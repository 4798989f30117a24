"""The list "Projects" on the Generate tab: open, rename, export and import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradio as gr
from markupsafe import Markup

from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from core.serialization import to_dict
from jobs.models import Job
from studio.app.studio import Studio
from studio.history.service import History
from studio.projects.archive import export_project, import_project
from studio.projects.store import (
    Project,
    find_project,
    list_projects,
    make_default_name,
    read_project_name,
    rename_project,
)
from studio.synthesis.line_takes import read_line_takes
from studio.synthesis.output_paths import OutputPath, find_clip_path
from webui.components.changes import ChangeSignal
from webui.components.live_panel import (
    EVENT_OPTIONS,
    LivePanel,
    PanelAction,
    Updates,
    create_live_html,
)
from webui.components.messages import note_html, show_errors
from webui.components.templates import render

PROJECT_PREFIX = "project:"  # of the job id on the card of an opened project
OPEN, CLOSE = "open-project", "close-project"
RENAME, EXPORT = "rename-project", "export-project"
POLL_INTERVAL_S = 3.0


class ProjectList:
    """The projects that were changed last.

    html: its buttons are answered by the panel of jobs, in which a project opens.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.history = History.open(studio.layout)
        with gr.Accordion("Projects", open=False, elem_id="generate-projects-fold"):
            self.html = create_live_html("generate-projects")
            self.message = gr.HTML("", elem_id="generate-projects-message")
            self.upload = gr.File(
                label="Import a project",
                file_types=[".zip"],
                height=130,
                elem_id="generate-projects-import",
            )

    @property
    def actions(self) -> dict[str, Callable[..., Updates]]:
        """What the buttons of the list do, but for Open."""
        return {RENAME: self._rename, EXPORT: self._export}

    def bind(self, changes: ChangeSignal) -> None:
        """Connect the events to their handlers."""
        panel = LivePanel(self.html, self._list, lambda found: str(projects_html(found)))
        panel.follow(changes, POLL_INTERVAL_S)
        self.upload.upload(
            show_errors(self.message, self._import),
            [self.upload],
            [self.message, self.upload],
            **EVENT_OPTIONS,
        )

    def _list(self) -> list[Project]:
        self.history.update()
        return list_projects(self.history)

    def _rename(self, action: PanelAction, *inputs: object) -> Updates:
        name = rename_project(self.studio.layout, self._find(action).ref, action.text("name"))
        return {self.message: note_html(f"Renamed to {name}.")}

    def _export(self, action: PanelAction, *inputs: object) -> Updates:
        layout = self.studio.layout
        path = export_project(layout, self._find(action), layout.exports)
        return {self.message: render("project_export.html", name=path.name)}

    def _import(self, path: str | None) -> Updates:
        if not path:
            return {self.message: ""}
        ref = import_project(self.studio.layout, Path(path))
        self.history.scan(ProgressReporter())
        name = read_project_name(self.studio.layout, ref)
        return {self.message: note_html(f"{name} imported."), self.upload: None}

    def _find(self, action: PanelAction) -> Project:
        return find_project(self.history, action.text("ref"))


def projects_html(projects: list[Project]) -> Markup:
    """Render the list."""
    return render("projects.html", projects=projects, OPEN=OPEN, RENAME=RENAME, EXPORT=EXPORT)


def make_project_job(layout: ProjectPaths, ref: str) -> Job:
    """Return an opened project as a job that is done, so that its card has the lines editor.

    Raises AppError for a clip without lines.
    """
    clip = OutputPath(clip_path=find_clip_path(layout, ref))
    lines = read_line_takes(clip)
    if lines is None or lines.record is None:
        raise AppError("This project has no lines any more. Choose another one.")
    takes, record = lines.chosen_takes(), lines.record
    path = str(clip.clip_path)
    return Job(
        id=PROJECT_PREFIX + ref,
        task="speak",
        request=to_dict(lines.request),
        title=read_project_name(layout, ref) or make_default_name([record.text]),
        state="done",
        created=0.0,
        started=0.0,
        ended=sum(record.took.values()),
        result={
            "path": path,
            "voice": record.voice,
            "text": record.text,
            "heard": " ".join(take.heard for take in takes),
            "seed": record.seed,
            "seconds": lines.list_spans()[-1][1],
            "candidates": [{"path": path, "score": None}],
            "warnings": record.warnings,
            "checks": lines.list_checks(),
        },
    )


def find_opened_project(layout: ProjectPaths, ref: str) -> Job | None:
    """Return the opened project as a job; None for none, and for one that is gone."""
    try:
        return make_project_job(layout, ref) if ref else None
    except AppError:
        return None
