"""What clients see: jobs, voices and clips without a path of this machine in them."""

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

# Any: requests, takes and results are plain values of the tasks' own choosing.


def get_studio(request: Request) -> Studio:
    """Return the studio that this server serves."""
    studio: Studio = request.app.state.studio
    return studio


def get_base_path(request: Request) -> str:
    """Return what every address of this server begins with."""
    path: str = request.app.state.path
    return path


StudioDep = Annotated[Studio, Depends(get_studio)]
BasePathDep = Annotated[str, Depends(get_base_path)]


class ProgressView(BaseModel):
    """How far a job is: done of total steps of the stage, fraction of the whole, seconds left."""

    stage: str
    done: int
    total: int | None
    message: str
    fraction: float | None
    eta_s: float | None


class FailureView(BaseModel):
    """Why a job failed: a word for programs, a sentence for people."""

    cause: str
    message: str


class JobView(BaseModel):
    """A job at one moment. Files are named below the results, beside the address of each."""

    id: str
    task: str
    title: str
    state: JobState
    created: float = Field(description="seconds since 1970, as are started and ended")
    started: float | None
    ended: float | None
    place: int = Field(description="1 for the next in the queue, 0 when not waiting")
    progress: ProgressView
    request: dict[str, Any]
    takes: list[dict[str, Any]] = Field(description="lines spoken so far")
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
    """One recording of a voice."""

    name: str
    bytes: int
    url: str


class VoiceView(BaseModel):
    """A voice that can speak. kept: it has no clips, but was made up or taken out of a clip."""

    name: str
    kept: bool
    clips: list[ClipView]


def build_job_view(job: Job, layout: ProjectPaths, path: str) -> JobView:
    """Return a job as clients see it; details of failures stay here."""
    plain: dict[str, Any] = to_dict(job)
    for part in ("request", "takes", "result"):
        plain[part] = strip_local_paths(plain[part], layout, path)
    plain["warnings"] = [strip_root_path(warning, layout.root) for warning in job.warnings]
    if job.failure is not None:
        plain["failure"]["message"] = strip_root_path(job.failure.message, layout.root)
    return JobView.model_validate(plain)


def build_voice_view(voice: Voice, path: str) -> VoiceView:
    """Return a voice as clients see it."""
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
    """Return the address of a file below the results or the voices."""
    return f"{path}/api/files/{kind}/{quote(name)}"


def strip_local_paths(value: Any, layout: ProjectPaths, path: str) -> Any:
    """Name files below the results by where they lie in them, and add the address of each."""
    if isinstance(value, Mapping):
        seen = {key: strip_local_paths(item, layout, path) for key, item in value.items()}
        name = _get_relative_name(value.get("path"), layout.results)
        if name is not None:
            seen["url"] = get_file_url(path, "results", name)
        return seen
    if isinstance(value, (list, tuple)):
        return [strip_local_paths(item, layout, path) for item in value]
    if isinstance(value, str):
        return _get_relative_name(value, layout.results) or strip_root_path(value, layout.root)
    return value


def _get_relative_name(value: Any, folder: Path) -> str | None:
    """Return the name of a file below a folder; None for whatever is none."""
    if not isinstance(value, str) or not Path(value).is_absolute():
        return None
    place = Path(value)
    return place.relative_to(folder).as_posix() if place.is_relative_to(folder) else None
