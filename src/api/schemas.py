"""Schemas that several routes use; they contain no absolute path of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from api.errors import strip_root_path
from core.paths import ProjectPaths
from core.serialization import to_dict
from jobs.models import Job, JobState
from studio.app.studio import Studio
from studio.voices.catalog import Voice

# Any: requests, takes and results are JSON values of each task.


def get_studio(request: Request) -> Studio:
    """Return the studio of this server."""
    studio: Studio = request.app.state.studio
    return studio


def get_base_path(request: Request) -> str:
    """Return the prefix of every address of this server."""
    path: str = request.app.state.path
    return path


StudioDep = Annotated[Studio, Depends(get_studio)]
BasePathDep = Annotated[str, Depends(get_base_path)]


class ProgressView(BaseModel):
    """Progress of a job. done, total: of the stage;  fraction: of the job;  eta_s: seconds left."""

    stage: str
    done: int
    total: int | None
    message: str
    fraction: float | None
    eta_s: float | None


class FailureView(BaseModel):
    """Why a job failed. cause: a word for programs."""

    cause: str
    message: str


class JobView(BaseModel):
    """A job. Paths of files are relative to the results, each with its URL."""

    id: str
    task: str
    title: str
    state: JobState
    created: float = Field(description="seconds since 1970, like started and ended")
    started: float | None
    ended: float | None
    place: int = Field(description="position in the queue from 1; 0 when not waiting")
    progress: ProgressView
    request: dict[str, Any]
    takes: list[dict[str, Any]] = Field(description="finished lines")
    warnings: list[str]
    result: dict[str, Any] | None
    failure: FailureView | None


class TrashView(BaseModel):
    """A deleted voice, model or run. id: of the deletion;  when: seconds since 1970."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    when: float


class ClipView(BaseModel):
    """A clip of a voice."""

    name: str
    bytes: int
    url: str


class VoiceView(BaseModel):
    """A voice. kept: it consists of speaker latents instead of clips."""

    name: str
    kept: bool
    clips: list[ClipView]


def build_job_view(job: Job, layout: ProjectPaths, path: str) -> JobView:
    """Return the schema of a job, without details of failures."""
    plain: dict[str, Any] = to_dict(job)
    for part in ("request", "takes", "result"):
        plain[part] = strip_local_paths(plain[part], layout, path)
    plain["warnings"] = [strip_root_path(warning, layout.root) for warning in job.warnings]
    if job.failure is not None:
        plain["failure"]["message"] = strip_root_path(job.failure.message, layout.root)
    return JobView.model_validate(plain)


def build_voice_view(voice: Voice, path: str) -> VoiceView:
    """Return the schema of a voice."""
    clips = [
        ClipView(
            name=clip.name,
            bytes=clip.stat().st_size,
            url=get_file_url(path, "voices", f"{voice.name}/{clip.name}"),
        )
        for clip in voice.clips
    ]
    return VoiceView(name=voice.name, kept=voice.latents_path is not None, clips=clips)


def get_file_url(path: str, kind: str, name: str) -> str:
    """Return the URL of a file below the results, the voices or training."""
    return f"{path}/api/files/{kind}/{quote(name)}"


def strip_local_paths(value: Any, layout: ProjectPaths, path: str) -> Any:
    """Replace absolute paths by relative ones, and add the URL of each file below the results."""
    if isinstance(value, Mapping):
        stripped = {key: strip_local_paths(item, layout, path) for key, item in value.items()}
        name = _get_relative_name(value.get("path"), layout.results)
        if name is not None:
            stripped["url"] = get_file_url(path, "results", name)
        return stripped
    if isinstance(value, (list, tuple)):
        return [strip_local_paths(item, layout, path) for item in value]
    if isinstance(value, str):
        return _get_relative_name(value, layout.results) or strip_root_path(value, layout.root)
    return value


def _get_relative_name(value: Any, folder: Path) -> str | None:
    if not isinstance(value, str) or not Path(value).is_absolute():
        return None
    file = Path(value)
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else None
