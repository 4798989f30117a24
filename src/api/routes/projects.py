"""HTTP routes of projects: list, rename, export, import."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from fastapi import APIRouter, Query, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from api.errors import missing_as_404
from api.routes.files import save_upload
from api.routes.history import HistoryDep
from api.schemas import ContextDep
from studio.projects.archive import export_project, import_project
from studio.projects.store import MAX_LISTED, Project, find_project, list_projects, rename_project

router = APIRouter(prefix="/api/projects", tags=["Projects"])
MAX_COUNT = 500
UPLOAD_NAME = "project.zip"


class ProjectView(BaseModel):
    """A clip of several lines. ref: of its clip in /api/results."""

    model_config = ConfigDict(from_attributes=True)

    ref: str
    name: str
    voice: str
    lines: int
    seconds: float | None
    changed: float = Field(description="seconds since 1970")


class ProjectList(BaseModel):
    """The projects that were changed last, the newest first."""

    projects: list[ProjectView]


class ProjectUpdate(BaseModel):
    """Changes to a project."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(max_length=1_000)


class ProjectExport(BaseModel):
    """Where an exported project can be downloaded for a day."""

    name: str
    url: str


@router.get("")
def read_projects(
    history: HistoryDep,
    search: Annotated[str, Query(max_length=500, description="words of the text")] = "",
    count: Annotated[int, Query(ge=1, le=MAX_COUNT)] = MAX_LISTED,
) -> ProjectList:
    """List projects."""
    found = list_projects(history, search, count)
    return ProjectList(projects=[ProjectView.model_validate(project) for project in found])


@router.post("/import", status_code=201)
def add_project(file: UploadFile, history: HistoryDep, context: ContextDep) -> ProjectView:
    """Add the project of an exported file."""
    with TemporaryDirectory() as place:
        path = Path(place) / UPLOAD_NAME
        save_upload(file, path)
        ref = import_project(context.layout, path)
    history.update()
    return ProjectView.model_validate(find_project(history, ref))


@router.post("/export/{ref:path}")
def write_project(ref: str, history: HistoryDep, context: ContextDep) -> ProjectExport:
    """Write a project into one file."""
    path = export_project(context.layout, _find(history, ref), context.layout.exports)
    return ProjectExport(name=path.name, url=f"{context.path}/api/exports/{path.name}")


@router.patch("/{ref:path}")
def update_project(ref: str, change: ProjectUpdate, history: HistoryDep) -> ProjectView:
    """Rename a project."""
    rename_project(history.layout, _find(history, ref).ref, change.name)
    return ProjectView.model_validate(find_project(history, ref))


def _find(history: HistoryDep, ref: str) -> Project:
    with missing_as_404():
        return find_project(history, ref)
