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

from api.errors import CONFLICT, MISSING, Refused
from api.files import sound_below
from api.schemas import schema_of_delivery, schema_of_options
from api.views import At, JobView, Served, job_view
from jobs.job import Job
from studio.errors import StudioError
from studio.plan import plan_lines
from studio.requests import Wish, request_like, request_of
from studio.studio import Studio
from studio.tags import read_record

router = APIRouter(prefix="/api/jobs", tags=["Jobs"])
LOOK_S = 0.25  # between two looks at a job that is watched
QUIET_S = 15.0  # after which a stream says that it is still there

Options = Annotated[dict[str, Any], WithJsonSchema(schema_of_options())]  # Any: knob values
Delivered = Annotated[dict[str, Any], WithJsonSchema(schema_of_delivery())]


class SpeakBody(BaseModel):
    """What to speak. Whatever is left out comes from the settings, then from the weights."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str | None = Field(default=None, description="what to say; needed without `like`")
    voice: str | None = Field(
        default=None, description="a voice, random, or a blend as in alice:0.7+bob:0.3"
    )
    preset: str | None = Field(default=None, description="ultra_fast, fast, standard …")
    options: Options = Field(default_factory=dict, description="knobs of the engine")
    delivery: Delivered = Field(default_factory=dict, description="knobs of the text and the clip")
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

    def wish(self) -> Wish:
        """Return what was stated, and only that."""
        own = {"text", "voice", "preset", "options", "delivery", "like", "title"}
        return Wish(
            text=self.text,
            voice=self.voice,
            preset=self.preset,
            options=self.options,
            delivery=self.delivery,
            stated=self.model_dump(exclude=own, exclude_none=True),
        )


class JobList(BaseModel):
    """Jobs, newest first."""

    jobs: list[JobView]


@router.post("/speak", status_code=202)
def speak(body: SpeakBody, studio: Served, path: At) -> JobView:
    """Hand in a text to speak; the job waits its turn in the queue."""
    if body.like is not None:
        record = read_record(sound_below(studio.layout.results, body.like))
        request = request_like(studio.settings, record, body.wish())
    else:
        request = request_of(studio.settings, body.wish(), studio.layout)
    plan_lines(request, studio.layout)  # what cannot be spoken is refused now, not in its turn
    return job_view(studio.submit(request, title=body.title), studio.layout, path)


@router.get("")
def list_jobs(studio: Served, path: At, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> JobList:
    """List the newest jobs."""
    found = studio.jobs(limit=limit)
    return JobList(jobs=[job_view(job, studio.layout, path) for job in found])


@router.get("/{id}")
def one_job(id: str, studio: Served, path: At) -> JobView:
    """Return a job as it is now."""
    return job_view(existing_job(studio, id), studio.layout, path)


@router.delete("/{id}")
def cancel(id: str, studio: Served, path: At) -> JobView:
    """Stop a job, or drop one that waits; lines already spoken are kept."""
    if existing_job(studio, id).is_over:
        raise Refused(CONFLICT, f"The job {id} is over already.", "conflict")
    return job_view(studio.cancel(id), studio.layout, path)


@router.post("/{id}/resume")
def resume(id: str, studio: Served, path: At) -> JobView:
    """Let a job that stopped or failed go on at its next unspoken line."""
    existing_job(studio, id)
    try:
        return job_view(studio.resume(id), studio.layout, path)
    except StudioError as refusal:
        raise Refused(CONFLICT, str(refusal), "conflict") from refusal


@router.get("/{id}/events", response_class=StreamingResponse)
def watch(id: str, request: Request, studio: Served, path: At) -> StreamingResponse:
    """Watch a job as server-sent events: `job` with each change, `end` when it is over."""
    existing_job(studio, id)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(
        _events(id, request, studio, path), media_type="text/event-stream", headers=headers
    )


def existing_job(studio: Studio, id: str) -> Job:
    """Return a job, or refuse an id that no job has."""
    try:
        return studio.job(id)
    except StudioError as refusal:
        raise Refused(MISSING, str(refusal), "not_found") from refusal


async def _events(id: str, request: Request, studio: Studio, path: str) -> AsyncIterator[str]:
    told, quiet = None, 0.0
    while not await request.is_disconnected():
        job = await to_thread.run_sync(studio.job, id)
        if job != told:
            told, quiet = job, 0.0
            kind = "end" if job.is_over else "job"
            data = job_view(job, studio.layout, path).model_dump(mode="json")
            yield f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
            if job.is_over:
                return
        elif quiet >= QUIET_S:
            quiet = 0.0
            yield ": still here\n\n"
        await anyio.sleep(LOOK_S)
        quiet += LOOK_S
