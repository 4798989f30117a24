"""Stream the audio of a speech job line by line; the job is cancelled when the client leaves."""

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

MIN_POLL_INTERVAL_S, MAX_POLL_INTERVAL_S = 0.05, 0.5
SINGLE_LINE_WAIT_S = 0.75  # for the job to end after its first line, if it has only one
CLIENT_ERROR_CAUSES = frozenset(  # answered with status 400
    {"refused", "bad_request", "missing_voice", "voice_without_clips", "empty_text", "unspeakable"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStreamRequest:
    """A speech job to stream. as_events: as server-sent events."""

    job: str
    format: str
    media_type: str
    delivery: OutputOptions
    as_events: bool = False


class ClientDisconnected(Exception):
    """The client closed the connection."""


async def create_speech_response(
    spoken: SpeechStreamRequest, request: Request, studio: Studio
) -> Response:
    """Return the audio of a job.

    Waits for the first line, so that earlier failures have their status. A clip of one line is
    answered whole, with its length.
    """
    delivery = spoken.delivery
    stream = StreamMixer(
        spoken.format,
        pause_s=delivery.pause_s,
        fade_ms=delivery.fade_ms,
        volume=delivery.volume,
    )
    poller = _JobPoller(spoken, request, studio)
    headers = {"x-job-id": spoken.job, "cache-control": "no-store"}
    is_answered = False
    try:
        job = await poller.wait_for_first_take()
        if job.result is not None and len(job.takes) < 2 and not spoken.as_events:
            sound = await to_thread.run_sync(stream.encode_clip, _get_take_path(job.result))
            is_answered = True
            return Response(sound, media_type=spoken.media_type, headers=headers)
        parts = _stream_audio(poller, stream)
        is_answered = True
        if spoken.as_events:
            return StreamingResponse(
                _wrap_in_sse(parts), media_type="text/event-stream", headers=headers
            )
        return StreamingResponse(parts, media_type=spoken.media_type, headers=headers)
    except ClientDisconnected:
        return Response(status_code=499)
    finally:
        if not is_answered:
            await poller.stop()


class _JobPoller:
    def __init__(self, spoken: SpeechStreamRequest, request: Request, studio: Studio) -> None:
        self._id = spoken.job
        self._request = request
        self._studio = studio

    async def wait_for_first_take(self) -> Job:
        """Wait for the first line, and for the end of the job if that is the only one."""
        job = await self.wait_for_more_takes(0)
        with anyio.move_on_after(SINGLE_LINE_WAIT_S):
            while not job.is_over and len(job.takes) == 1:
                await anyio.sleep(MIN_POLL_INTERVAL_S)
                job = await self._get_job()
        return job

    async def wait_for_more_takes(self, known: int) -> Job:
        """Wait until more lines than `known` are finished or the job has ended.

        Raises ApiError where it failed, and ClientDisconnected.
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
        """Cancel the job if it has not ended, also while this request is being cancelled."""
        with anyio.CancelScope(shield=True):
            if not (await self._get_job()).is_over:
                await to_thread.run_sync(self._studio.cancel, self._id)

    async def _get_job(self) -> Job:
        return await to_thread.run_sync(self._studio.job, self._id)


async def _stream_audio(poller: _JobPoller, stream: StreamMixer) -> AsyncIterator[bytes]:
    """Yield the audio line by line; an error ends the response early."""
    known = 0
    try:
        while True:
            job = await poller.wait_for_more_takes(known)
            if len(job.takes) == known:
                break
            for take in job.takes[known:]:
                yield await to_thread.run_sync(stream.add_take, take)
            known = len(job.takes)
        yield await to_thread.run_sync(stream.end)
    except ClientDisconnected:
        return
    finally:
        await poller.stop()


async def _wrap_in_sse(parts: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Wrap audio into the server-sent events of OpenAI."""
    async for audio in parts:
        coded = base64.b64encode(audio).decode("ascii")
        yield _format_sse_event({"type": "speech.audio.delta", "audio": coded})
    usage = dict.fromkeys(("input_tokens", "output_tokens", "total_tokens"), 0)
    yield _format_sse_event({"type": "speech.audio.done", "usage": usage})


def _format_sse_event(data: dict[str, Any]) -> str:  # Any: JSON values
    return f"data: {json.dumps(data)}\n\n"


def _get_take_path(take: Mapping[str, Any]) -> Path:  # Any: plain values
    return Path(str(take["path"]))


def _raise_if_failed(job: Job) -> None:
    if job.state == "stopped":
        raise ApiError(CONFLICT, "The job was cancelled.", "cancelled")
    if job.failure is not None:
        cause = job.failure.cause
        status = {"no_disk": INSUFFICIENT_STORAGE}.get(
            cause, BAD_REQUEST if cause in CLIENT_ERROR_CAUSES else SERVER_ERROR
        )
        raise ApiError(status, job.failure.message, cause)
