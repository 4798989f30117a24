"""HTTP routes of jobs: submit, list, watch, cancel, resume."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import anyio
from anyio import to_thread
from fastapi import APIRouter, Form, Query, Request, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from api.errors import CONFLICT, ApiError, missing_as_404, translate_errors
from api.routes.files import resolve_audio_file, save_upload
from api.schemas import ApiContext, ContextDep, EffectOptionsDict, JobView
from audio.effects.options import EFFECT_PRESETS, EffectOptions
from core.errors import reraise_as_app_error
from core.options import build_json_schema, check_option_values
from engines.registry import get_options_class
from jobs.models import Job
from studio.app.studio import Studio
from studio.schemas.clip_tools import ApplyEffectsRequest, ConvertClipRequest, merge_effects
from studio.schemas.speech import OutputOptions
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.planning import plan_lines
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    add_voice_effects,
    build_request,
    build_request_from_metadata,
)
from studio.voices.catalog import check_voices
from studio.voices.uploads import store_upload

router = APIRouter(prefix="/api/jobs", tags=["Jobs"])
POLL_INTERVAL_S = 0.25
RESTORE_ADVICE = " POST /api/jobs/restore does so."
KEEPALIVE_INTERVAL_S = 15.0

DOCUMENTED_ENGINE = "tortoise"  # the options of another engine are checked when a job comes
EngineOptionsDict = Annotated[
    dict[str, Any], WithJsonSchema(build_json_schema(get_options_class(DOCUMENTED_ENGINE)))
]  # Any: values of options
OutputOptionsDict = Annotated[dict[str, Any], WithJsonSchema(build_json_schema(OutputOptions))]


class SpeakBody(BaseModel):
    """A speech request. Missing fields come from the settings, then from the model."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str | None = Field(default=None, description="text to speak; required without `like`")
    voice: str | None = Field(
        default=None, description="a voice, random, or a blend as in alice:0.7+bob:0.3"
    )
    preset: str | None = Field(
        default=None, description="ultra_fast, fast, standard …, or a preset of one's own"
    )
    options: EngineOptionsDict = Field(default_factory=dict, description="engine options")
    delivery: OutputOptionsDict = Field(default_factory=dict, description="text and output options")
    like: str | None = Field(default=None, description="a clip below the results to generate again")
    title: str = Field(default="", max_length=200)
    engine: str | None = None
    bundle: str | None = Field(
        default=None, description="model, see /api/models; auto: the best one of the voice"
    )
    device: str | None = None
    threads: int | None = Field(default=None, ge=0, le=1024)
    embed: bool | None = None
    sidecar: bool | None = None
    embed_latents: bool | None = None
    speaker_voices: dict[str, str] | None = Field(
        default=None, description="voices of the names that lines begin with, as in `Anna: Hello.`"
    )

    def to_request_input(self) -> SpeechRequestInput:
        """Return the fields that were sent."""
        own = {"text", "voice", "preset", "options", "delivery", "like", "title"}
        return SpeechRequestInput(
            text=self.text,
            voice=self.voice,
            preset=self.preset,
            options=self.options,
            delivery=self.delivery,
            request_fields=self.model_dump(exclude=own, exclude_none=True),
        )


class EffectsBody(BaseModel):
    """Effects for a clip: a preset, and options that differ from it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    clip: str = Field(description="a clip below the results")
    preset: str = Field(default="", description=f"one of {', '.join(EFFECT_PRESETS)}")
    options: EffectOptionsDict = Field(default_factory=dict)
    preview: bool = Field(default=False, description="the first seconds only, not kept")


class JobList(BaseModel):
    """Jobs, the newest first."""

    jobs: list[JobView]


class JobNotices(BaseModel):
    """Sentences about lists of jobs that could not be read and were set aside."""

    notices: list[str]


class RestoredJobs(BaseModel):
    """Jobs that were taken over from lists that had been set aside."""

    restored: int


@router.post("/speak", status_code=202)
def speak(body: SpeakBody, context: ContextDep) -> JobView:
    """Submit a speech job to the queue."""
    if body.like is not None:
        record = read_metadata(resolve_audio_file(context.layout.results, body.like))
        request = build_request_from_metadata(
            context.studio.settings, record, body.to_request_input()
        )
        request = add_voice_effects(context.layout, request, record)
    else:
        request = build_request(context.studio.settings, body.to_request_input(), context.layout)
    plan_lines(request, context.layout)  # raises for invalid text now, not in the queue
    return context.submit(request, title=body.title)


@router.post("/effects", status_code=202)
def apply_effects(body: EffectsBody, context: ContextDep) -> JobView:
    """Submit a job that applies effects to a clip, into a new clip beside it."""
    resolve_audio_file(context.layout.results, body.clip)
    with reraise_as_app_error(ValueError):
        check_option_values(EffectOptions, body.options)
        request = ApplyEffectsRequest(
            clip=f"results/{body.clip}",
            options=merge_effects(body.preset, body.options),
            name=body.preset if body.preset and not body.options else "effects",
            preview=body.preview,
        )
    return context.submit(request, title=f"Effects {request.name}: {body.clip}")


@router.post("/convert", status_code=202)
def convert(
    file: UploadFile,
    voice: Annotated[str, Form(description="a voice, or a blend as in alice:0.7+bob:0.3")],
    context: ContextDep,
    bundle: Annotated[str, Form(description="model; empty: the first that can")] = "",
    vocoder: Annotated[str, Form()] = "auto",
    words: Annotated[str, Form(description="what it says, in English; empty: transcribed")] = "",
    transcribe: Annotated[bool, Form(description="where no words are given")] = True,
) -> JobView:
    """Upload a recording and submit a job that converts it to another voice."""
    check_voices(context.layout, voice)
    with reraise_as_app_error(ValueError):
        request = ConvertClipRequest(
            clip="", voice=voice, bundle=bundle, vocoder=vocoder, words=words,
            transcribe=transcribe,
        )  # fmt: skip
    name = Path(file.filename or "clip.wav").name
    with TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        save_upload(file, path)
        clip = store_upload(context.layout, path, name)
    return context.submit(replace(request, clip=clip), title=f"Conversion to {voice}: {name}")


@router.get("")
def read_jobs(context: ContextDep, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> JobList:
    """List the newest jobs."""
    found = context.studio.jobs(limit=limit)
    return JobList(jobs=[context.job_view(job) for job in found])


@router.get("/notices")
def read_job_notices(context: ContextDep) -> JobNotices:
    """Tell of lists of jobs that could not be read and were set aside."""
    return JobNotices(
        notices=[
            f"Job list: {aside.message}{RESTORE_ADVICE if aside.jobs else ''}"
            for aside in context.studio.list_set_aside_jobs()
        ]
    )


@router.post("/restore")
def restore_jobs(context: ContextDep) -> RestoredJobs:
    """Take over the jobs of lists that could not be read and were set aside."""
    with translate_errors(CONFLICT, "conflict"):
        return RestoredJobs(restored=context.studio.restore_jobs())


@router.get("/{id}")
def read_job(id: str, context: ContextDep) -> JobView:
    """Return a job."""
    return context.job_view(get_job_or_404(context.studio, id))


@router.delete("/{id}")
def cancel(id: str, context: ContextDep) -> JobView:
    """Cancel a running or waiting job; finished lines are kept."""
    if get_job_or_404(context.studio, id).is_over:
        raise ApiError(CONFLICT, f"The job {id} has already ended.", "conflict")
    return context.job_view(context.studio.cancel(id))


@router.post("/{id}/resume")
def resume(id: str, context: ContextDep) -> JobView:
    """Resume a cancelled or failed job at its first unfinished line."""
    get_job_or_404(context.studio, id)
    with translate_errors(CONFLICT, "conflict"):
        return context.job_view(context.studio.resume(id))


@router.get("/{id}/events", response_class=StreamingResponse)
def stream_job_events(id: str, request: Request, context: ContextDep) -> StreamingResponse:
    """Stream a job as server-sent events: `job` on each change, `end` at the end."""
    get_job_or_404(context.studio, id)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(
        _generate_events(id, request, context), media_type="text/event-stream", headers=headers
    )


def get_job_or_404(studio: Studio, id: str) -> Job:
    """Return a job, or answer with 404."""
    with missing_as_404():
        return studio.job(id)


async def _generate_events(id: str, request: Request, context: ApiContext) -> AsyncIterator[str]:
    sent, idle_s = None, 0.0
    while not await request.is_disconnected():
        job = await to_thread.run_sync(context.studio.job, id)
        if job != sent:
            sent, idle_s = job, 0.0
            kind = "end" if job.is_over else "job"
            data = context.job_view(job).model_dump(mode="json")
            yield f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
            if job.is_over:
                return
        elif idle_s >= KEEPALIVE_INTERVAL_S:
            idle_s = 0.0
            yield ": keep-alive\n\n"
        await anyio.sleep(POLL_INTERVAL_S)
        idle_s += POLL_INTERVAL_S
