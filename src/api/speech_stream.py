"""A job as one answer: its lines are sent as they are spoken, and it ends with whoever listens."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from api.errors import BAD_REQUEST, CONFLICT, INSUFFICIENT_STORAGE, SERVER_ERROR, ApiError
from jobs.models import Job
from studio.app.studio import Studio
from studio.schemas.speech import OutputOptions
from studio.synthesis.stream_mixer import StreamMixer

MIN_POLL_INTERVAL_S, MAX_POLL_INTERVAL_S = 0.05, 0.5  # between two looks at the job
SINGLE_LINE_WAIT_S = 0.75  # a single line is joined and done within this once it is spoken
CLIENT_ERROR_CAUSES = frozenset(  # causes that the request itself brought about
    {"refused", "bad_request", "missing_voice", "voice_without_clips", "empty_text", "unspeakable"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStreamRequest:
    """A job that somebody listens to, and how it is sent."""

    job: str
    format: str
    media_type: str
    delivery: OutputOptions
    as_events: bool = False


class ClientDisconnected(Exception):
    """Whoever asked does not listen any more."""


async def create_speech_response(
    spoken: SpeechStreamRequest, request: Request, studio: Studio
) -> Response:
    """Answer with the sound of a job.

    Nothing is answered before the first line is spoken, so that what fails until then has its
    status. A clip of one line comes with its length.
    """
    delivery = spoken.delivery
    stream = StreamMixer(
        spoken.format,
        pause_s=delivery.pause_s,
        fade_ms=delivery.fade_ms,
        volume=delivery.volume,
    )
    listening = _JobPoller(spoken, request, studio)
    headers = {"x-job-id": spoken.job, "cache-control": "no-store"}
    is_answered = False
    try:
        job = await listening.wait_for_first_take()
        if job.result is not None and len(job.takes) < 2 and not spoken.as_events:
            sound = await to_thread.run_sync(stream.encode_clip, _get_take_path(job.result))
            is_answered = True
            return Response(sound, media_type=spoken.media_type, headers=headers)
        parts = _stream_audio(listening, stream)
        is_answered = True
        if spoken.as_events:
            return StreamingResponse(
                _wrap_in_sse(parts), media_type="text/event-stream", headers=headers
            )
        return StreamingResponse(parts, media_type=spoken.media_type, headers=headers)
    except ClientDisconnected:
        return Response(status_code=499)  # nobody reads it
    finally:
        if not is_answered:
            await listening.stop()


class _JobPoller:
    """Somebody waits for the lines of a job."""

    def __init__(self, spoken: SpeechStreamRequest, request: Request, studio: Studio) -> None:
        self._id = spoken.job
        self._request = request
        self._studio = studio

    async def wait_for_first_take(self) -> Job:
        """Wait for the first line, and a moment longer to see whether it is the only one."""
        job = await self.wait_for_more_takes(0)
        with anyio.move_on_after(SINGLE_LINE_WAIT_S):
            while not job.is_over and len(job.takes) == 1:
                await anyio.sleep(MIN_POLL_INTERVAL_S)
                job = await self._get_job()
        return job

    async def wait_for_more_takes(self, known: int) -> Job:
        """Wait until more lines than these are spoken, or the job is over.

        Raises Refused where it failed, and Gone when nobody listens any more.
        """
        pause = MIN_POLL_INTERVAL_S
        while True:
            job = await self._get_job()
            if len(job.takes) > known:
                return job
            if job.is_over:
                _raise_if_failed(job)
                return job
            if await self._request.is_disconnected():
                raise ClientDisconnected
            await anyio.sleep(pause)
            pause = min(pause * 1.5, MAX_POLL_INTERVAL_S)

    async def stop(self) -> None:
        """Stop the job if it still runs; also while this request is being given up."""
        with anyio.CancelScope(shield=True):
            if not (await self._get_job()).is_over:
                await to_thread.run_sync(self._studio.cancel, self._id)

    async def _get_job(self) -> Job:
        return await to_thread.run_sync(self._studio.job, self._id)


async def _stream_audio(listening: _JobPoller, stream: StreamMixer) -> AsyncIterator[bytes]:
    """Yield the sound line by line; a failure on the way breaks the answer off."""
    known = 0
    try:
        while True:
            job = await listening.wait_for_more_takes(known)
            if len(job.takes) == known:
                break
            for take in job.takes[known:]:
                yield await to_thread.run_sync(stream.add, _get_take_path(take))
            known = len(job.takes)
        yield await to_thread.run_sync(stream.end)
    except ClientDisconnected:
        return
    finally:
        await listening.stop()


async def _wrap_in_sse(parts: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Wrap sound into the events that OpenAI's clients read."""
    async for sound in parts:
        coded = base64.b64encode(sound).decode("ascii")
        yield _format_sse_event({"type": "speech.audio.delta", "audio": coded})
    usage = dict.fromkeys(("input_tokens", "output_tokens", "total_tokens"), 0)
    yield _format_sse_event({"type": "speech.audio.done", "usage": usage})


def _format_sse_event(data: dict[str, Any]) -> str:  # Any: JSON values
    return f"data: {json.dumps(data)}\n\n"


def _get_take_path(take: Mapping[str, Any]) -> Path:  # Any: plain values
    return Path(str(take["path"]))


def _raise_if_failed(job: Job) -> None:
    """Refuse a job that ended without its sound."""
    if job.state == "stopped":
        raise ApiError(CONFLICT, "The job was stopped.", "cancelled")
    if job.failure is not None:
        cause = job.failure.cause
        status = {"no_disk": INSUFFICIENT_STORAGE}.get(
            cause, BAD_REQUEST if cause in CLIENT_ERROR_CAUSES else SERVER_ERROR
        )
        raise ApiError(status, job.failure.message, cause)
