"""Jobs over HTTP: hand in a text, watch, stop, go on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from api.errors import CONFLICT, NOT_FOUND, ApiError
from api.routes.files import resolve_audio_file
from api.schemas import BasePathDep, JobView, StudioDep, build_job_view
from core.errors import AppError
from core.options import build_json_schema
from engines.registry import get_options_class
from jobs.models import Job
from studio.app.studio import Studio
from studio.schemas.speech import OutputOptions
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.planning import plan_lines
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    build_request,
    build_request_from_metadata,
)

router = APIRouter(prefix="/api/jobs", tags=["Jobs"])
POLL_INTERVAL_S = 0.25  # between two looks at a job that is watched
KEEPALIVE_INTERVAL_S = 15.0  # after which a stream says that it is still there

DOCUMENTED_ENGINE = "tortoise"  # the options of another engine are checked when a job comes
EngineOptionsDict = Annotated[
    dict[str, Any], WithJsonSchema(build_json_schema(get_options_class(DOCUMENTED_ENGINE)))
]  # Any: values of options
OutputOptionsDict = Annotated[dict[str, Any], WithJsonSchema(build_json_schema(OutputOptions))]


class SpeakBody(BaseModel):
    """What to speak. Whatever is left out comes from the settings, then from the weights."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str | None = Field(default=None, description="what to say; needed without `like`")
    voice: str | None = Field(
        default=None, description="a voice, random, or a blend as in alice:0.7+bob:0.3"
    )
    preset: str | None = Field(default=None, description="ultra_fast, fast, standard …")
    options: EngineOptionsDict = Field(default_factory=dict, description="knobs of the engine")
    delivery: OutputOptionsDict = Field(
        default_factory=dict, description="knobs of the text and the clip"
    )
    like: str | None = Field(default=None, description="a clip below the results to say again")
    title: str = Field(default="", max_length=200)
    engine: str | None = None
    bundle: str | None = Field(
        default=None, description="weights, see /api/models; auto: the voice's best"
    )
    device: str | None = None
    threads: int | None = Field(default=None, ge=0, le=1024)
    embed: bool | None = None
    sidecar: bool | None = None
    embed_latents: bool | None = None

    def to_request_input(self) -> SpeechRequestInput:
        """Return what was stated, and only that."""
        own = {"text", "voice", "preset", "options", "delivery", "like", "title"}
        return SpeechRequestInput(
            text=self.text,
            voice=self.voice,
            preset=self.preset,
            options=self.options,
            delivery=self.delivery,
            request_fields=self.model_dump(exclude=own, exclude_none=True),
        )


class JobList(BaseModel):
    """Jobs, newest first."""

    jobs: list[JobView]


@router.post("/speak", status_code=202)
def speak(body: SpeakBody, studio: StudioDep, path: BasePathDep) -> JobView:
    """Hand in a text to speak; the job waits its turn in the queue."""
    if body.like is not None:
        record = read_metadata(resolve_audio_file(studio.layout.results, body.like))
        request = build_request_from_metadata(studio.settings, record, body.to_request_input())
    else:
        request = build_request(studio.settings, body.to_request_input(), studio.layout)
    plan_lines(request, studio.layout)  # what cannot be spoken is refused now, not in its turn
    return build_job_view(studio.submit(request, title=body.title), studio.layout, path)


@router.get("")
def read_jobs(
    studio: StudioDep, path: BasePathDep, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> JobList:
    """List the newest jobs."""
    found = studio.jobs(limit=limit)
    return JobList(jobs=[build_job_view(job, studio.layout, path) for job in found])


@router.get("/{id}")
def read_job(id: str, studio: StudioDep, path: BasePathDep) -> JobView:
    """Return a job as it is now."""
    return build_job_view(get_job_or_404(studio, id), studio.layout, path)


@router.delete("/{id}")
def cancel(id: str, studio: StudioDep, path: BasePathDep) -> JobView:
    """Stop a job, or drop one that waits; lines already spoken are kept."""
    if get_job_or_404(studio, id).is_over:
        raise ApiError(CONFLICT, f"The job {id} is over already.", "conflict")
    return build_job_view(studio.cancel(id), studio.layout, path)


@router.post("/{id}/resume")
def resume(id: str, studio: StudioDep, path: BasePathDep) -> JobView:
    """Let a job that stopped or failed go on at its next unspoken line."""
    get_job_or_404(studio, id)
    try:
        return build_job_view(studio.resume(id), studio.layout, path)
    except AppError as refusal:
        raise ApiError(CONFLICT, str(refusal), "conflict") from refusal


@router.get("/{id}/events", response_class=StreamingResponse)
def stream_job_events(
    id: str, request: Request, studio: StudioDep, path: BasePathDep
) -> StreamingResponse:
    """Watch a job as server-sent events: `job` with each change, `end` when it is over."""
    get_job_or_404(studio, id)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(
        _generate_events(id, request, studio, path), media_type="text/event-stream", headers=headers
    )


def get_job_or_404(studio: Studio, id: str) -> Job:
    """Return a job, or refuse an id that no job has."""
    try:
        return studio.job(id)
    except AppError as refusal:
        raise ApiError(NOT_FOUND, str(refusal), "not_found") from refusal


async def _generate_events(
    id: str, request: Request, studio: Studio, path: str
) -> AsyncIterator[str]:
    told, quiet = None, 0.0
    while not await request.is_disconnected():
        job = await to_thread.run_sync(studio.job, id)
        if job != told:
            told, quiet = job, 0.0
            kind = "end" if job.is_over else "job"
            data = build_job_view(job, studio.layout, path).model_dump(mode="json")
            yield f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
            if job.is_over:
                return
        elif quiet >= KEEPALIVE_INTERVAL_S:
            quiet = 0.0
            yield ": still here\n\n"
        await anyio.sleep(POLL_INTERVAL_S)
        quiet += POLL_INTERVAL_S
