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

from api.errors import BAD, BROKEN, CONFLICT, FULL, Refused
from jobs.job import Job
from studio.sound_stream import SoundStream
from studio.speaking import Delivery
from studio.studio import Studio

SOONEST_S, LATEST_S = 0.05, 0.5  # between two looks at the job
SINGLE_S = 0.75  # a single line is joined and done within this once it is spoken
THEIRS = frozenset(  # causes that the request itself brought about
    {"refused", "bad_request", "missing_voice", "voice_without_clips", "empty_text", "unspeakable"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A job that somebody listens to, and how it is sent."""

    job: str
    format: str
    media_type: str
    delivery: Delivery
    as_events: bool = False


class Gone(Exception):
    """Whoever asked does not listen any more."""


async def respond(spoken: Spoken, request: Request, studio: Studio) -> Response:
    """Answer with the sound of a job.

    Nothing is answered before the first line is spoken, so that what fails until then has its
    status. A clip of one line comes with its length.
    """
    delivery = spoken.delivery
    stream = SoundStream(
        spoken.format,
        pause_s=delivery.pause_s,
        fade_ms=delivery.fade_ms,
        volume=delivery.volume,
    )
    listening = _Listening(spoken, request, studio)
    headers = {"x-job-id": spoken.job, "cache-control": "no-store"}
    is_answered = False
    try:
        job = await listening.until_spoken()
        if job.result is not None and len(job.takes) < 2 and not spoken.as_events:
            sound = await to_thread.run_sync(stream.whole, _path(job.result))
            is_answered = True
            return Response(sound, media_type=spoken.media_type, headers=headers)
        parts = _parts(listening, stream)
        is_answered = True
        if spoken.as_events:
            return StreamingResponse(
                _events(parts), media_type="text/event-stream", headers=headers
            )
        return StreamingResponse(parts, media_type=spoken.media_type, headers=headers)
    except Gone:
        return Response(status_code=499)  # nobody reads it
    finally:
        if not is_answered:
            await listening.stop()


class _Listening:
    """Somebody waits for the lines of a job."""

    def __init__(self, spoken: Spoken, request: Request, studio: Studio) -> None:
        self._id = spoken.job
        self._request = request
        self._studio = studio

    async def until_spoken(self) -> Job:
        """Wait for the first line, and a moment longer to see whether it is the only one."""
        job = await self.next_after(0)
        with anyio.move_on_after(SINGLE_S):
            while not job.is_over and len(job.takes) == 1:
                await anyio.sleep(SOONEST_S)
                job = await self._look()
        return job

    async def next_after(self, known: int) -> Job:
        """Wait until more lines than these are spoken, or the job is over.

        Raises Refused where it failed, and Gone when nobody listens any more.
        """
        pause = SOONEST_S
        while True:
            job = await self._look()
            if len(job.takes) > known:
                return job
            if job.is_over:
                _check(job)
                return job
            if await self._request.is_disconnected():
                raise Gone
            await anyio.sleep(pause)
            pause = min(pause * 1.5, LATEST_S)

    async def stop(self) -> None:
        """Stop the job if it still runs; also while this request is being given up."""
        with anyio.CancelScope(shield=True):
            if not (await self._look()).is_over:
                await to_thread.run_sync(self._studio.cancel, self._id)

    async def _look(self) -> Job:
        return await to_thread.run_sync(self._studio.job, self._id)


async def _parts(listening: _Listening, stream: SoundStream) -> AsyncIterator[bytes]:
    """Yield the sound line by line; a failure on the way breaks the answer off."""
    known = 0
    try:
        while True:
            job = await listening.next_after(known)
            if len(job.takes) == known:
                break
            for take in job.takes[known:]:
                yield await to_thread.run_sync(stream.add, _path(take))
            known = len(job.takes)
        yield await to_thread.run_sync(stream.end)
    except Gone:
        return
    finally:
        await listening.stop()


async def _events(parts: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Wrap sound into the events that OpenAI's clients read."""
    async for sound in parts:
        coded = base64.b64encode(sound).decode("ascii")
        yield _event({"type": "speech.audio.delta", "audio": coded})
    usage = dict.fromkeys(("input_tokens", "output_tokens", "total_tokens"), 0)
    yield _event({"type": "speech.audio.done", "usage": usage})


def _event(data: dict[str, Any]) -> str:  # Any: JSON values
    return f"data: {json.dumps(data)}\n\n"


def _path(take: Mapping[str, Any]) -> Path:  # Any: plain values
    return Path(str(take["path"]))


def _check(job: Job) -> None:
    """Refuse a job that ended without its sound."""
    if job.state == "stopped":
        raise Refused(CONFLICT, "The job was stopped.", "cancelled")
    if job.failure is not None:
        cause = job.failure.cause
        status = {"no_disk": FULL}.get(cause, BAD if cause in THEIRS else BROKEN)
        raise Refused(status, job.failure.message, cause)
