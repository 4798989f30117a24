"""Schemas that several routes use; they contain no absolute path of this machine."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from api.errors import strip_root_path
from audio.effects.options import EffectOptions
from core.options import build_json_schema
from core.serialization import to_dict
from jobs.models import Job, JobState
from studio.app.studio import Studio
from studio.voices.catalog import Voice
from studio.voices.consent import BASES
from studio.voices.effects import read_voice_effects, to_chain

# Any: requests, takes and results are JSON values of each task.

ORIGIN = "api"  # of the jobs that routes submit
MAX_JOB_VIEWS = 100  # more than are listed by default
EffectOptionsDict = Annotated[dict[str, Any], WithJsonSchema(build_json_schema(EffectOptions))]


class ApiContext:
    """The studio of this server, and what routes return of it."""

    def __init__(self, request: Request) -> None:
        self.studio: Studio = request.app.state.studio
        self.path: str = request.app.state.path
        self.layout = self.studio.layout
        self._job_views: OrderedDict[str, tuple[Job, JobView]] = request.app.state.job_views

    def submit(self, request: Any, title: str = "") -> JobView:
        """Submit a request as a job and return the job."""
        return self.job_view(self.studio.submit(request, title=title, origin=ORIGIN))

    def job_view(self, job: Job) -> JobView:
        """Return the schema of a job, without details of failures; made once for each state."""
        job_before, view = self._job_views.get(job.id, (None, None))
        if view is None or job_before is not job:
            view = self._make_job_view(job)
            self._job_views[job.id] = (job, view)
            if len(self._job_views) > MAX_JOB_VIEWS:
                self._job_views.popitem(last=False)
        return view

    def _make_job_view(self, job: Job) -> JobView:
        layout = self.layout
        plain: dict[str, Any] = to_dict(job)
        for part in ("request", "takes", "result"):
            plain[part] = self._strip_local_paths(plain[part])
        plain["warnings"] = [strip_root_path(warning, layout.root) for warning in job.warnings]
        if job.failure is not None:
            plain["failure"]["message"] = strip_root_path(job.failure.message, layout.root)
        return JobView.model_validate(plain)

    def voice_view(self, voice: Voice) -> VoiceView:
        """Return the schema of a voice."""
        clips = [
            ClipView(
                name=clip.name,
                bytes=clip.stat().st_size,
                url=self.file_url("voices", f"{voice.name}/{clip.name}"),
            )
            for clip in voice.clips
        ]
        note = voice.consent
        consent = None if note is None else ConsentView.model_validate(note)
        kept = voice.latents_path is not None
        tags = list(voice.tags)
        return VoiceView(
            name=voice.name,
            kept=kept,
            clips=clips,
            consent=consent,
            tags=tags,
            effects=dict(to_chain(read_voice_effects(voice.folder))),
        )

    def file_url(self, kind: str, name: str) -> str:
        """Return the URL of a file below the results, the voices or training."""
        return f"{self.path}/api/files/{kind}/{quote(name)}"

    def _strip_local_paths(self, value: Any) -> Any:
        """Replace absolute paths by relative ones, and add the URL of files below the results."""
        layout = self.layout
        if isinstance(value, Mapping):
            stripped = {key: self._strip_local_paths(item) for key, item in value.items()}
            name = _get_relative_name(value.get("path"), layout.results)
            return stripped if name is None else {**stripped, "url": self.file_url("results", name)}
        if isinstance(value, (list, tuple)):
            return [self._strip_local_paths(item) for item in value]
        if isinstance(value, str):
            return _get_relative_name(value, layout.results) or strip_root_path(value, layout.root)
        return value


def get_studio(request: Request) -> Studio:
    """Return the studio of this server."""
    return ApiContext(request).studio


StudioDep = Annotated[Studio, Depends(get_studio)]
ContextDep = Annotated[ApiContext, Depends()]


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


class ConsentView(BaseModel):
    """Why a voice may be cloned, and who says so."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    basis: str = Field(description=f"one of {', '.join(BASES)}")
    speaker: str = ""
    stated_by: str = ""
    stated_on: str = Field(default="", description="the day, as 2026-01-31; empty: today")
    note: str = ""


class VoiceView(BaseModel):
    """A voice. kept: it consists of speaker latents instead of clips; tags: to find it by;
    effects: of all its clips.
    """

    name: str
    kept: bool
    clips: list[ClipView]
    consent: ConsentView | None = None
    tags: list[str] = []
    effects: dict[str, Any] = {}  # Any: options of effects


def _get_relative_name(value: Any, folder: Path) -> str | None:
    start = f"{folder}{os.sep}"  # compared as text: a Path of each text of a job is slow
    if not isinstance(value, str) or not value.startswith(start):
        return None
    return value.removeprefix(start).replace(os.sep, "/")
