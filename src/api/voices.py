"""Voices over HTTP: which there are, new clips for one, another name, the bin."""

from __future__ import annotations

import shutil
from pathlib import Path

from fastapi import APIRouter, UploadFile
from pydantic import BaseModel, ConfigDict

from api.errors import BAD, MISSING, Refused
from api.views import At, JobView, Served, VoiceView, job_view, voice_view
from jobs.job import Job
from studio.bringing import BringVoice, waiting_folder
from studio.errors import StudioError, writing_to
from studio.layout import Layout
from studio.voice_bin import (
    DeletedVoice,
    delete_voice,
    deleted_voices,
    existing_voice,
    rename_voice,
    restore_voice,
)
from studio.voices import find_voice, list_voices

router = APIRouter(prefix="/api/voices", tags=["Voices"])


class Voices(BaseModel):
    """The voices that can speak, by name."""

    voices: list[VoiceView]


class NewName(BaseModel):
    """Another name for a voice."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str


class DeletedView(BaseModel):
    """A voice in the bin."""

    id: str
    name: str
    when: float


class VoiceBin(BaseModel):
    """What is in the bin, the latest first."""

    voices: list[DeletedView]


@router.get("")
def voices(studio: Served, path: At) -> Voices:
    """List the voices."""
    return Voices(voices=[voice_view(voice, path) for voice in list_voices(studio.layout)])


@router.get("/bin")
def binned(studio: Served) -> VoiceBin:
    """List the voices that were deleted."""
    return VoiceBin(voices=[_deleted(voice) for voice in deleted_voices(studio.layout)])


@router.post("/bin/{id}/restore")
def restore(id: str, studio: Served, path: At) -> VoiceView:
    """Bring a deleted voice back."""
    try:
        return voice_view(restore_voice(studio.layout, id), path)
    except StudioError as refusal:
        raise Refused(MISSING, str(refusal), "not_found") from refusal


@router.get("/{name}")
def voice(name: str, studio: Served, path: At) -> VoiceView:
    """Return one voice with its clips."""
    _check(studio.layout, name)
    return voice_view(find_voice(studio.layout, name), path)


@router.post("/{name}/clips", status_code=202)
def add_clips(name: str, files: list[UploadFile], studio: Served, path: At) -> JobView:
    """Send clips for a voice, new or not; the job listens to them and copies them.

    A single clip that Testudo spoke with the voice inside brings that voice.
    """
    names = [file.filename or "" for file in files]
    folder = waiting_folder(studio.layout, name, names)
    job: Job | None = None
    try:
        for file, file_name in zip(files, names, strict=True):
            _store(file, folder / file_name)
        request = BringVoice(name=name, folder=str(folder))
        job = studio.submit(request, title=f"Import voice {name}")
        return job_view(job, studio.layout, path)
    finally:
        if job is None:
            shutil.rmtree(folder, ignore_errors=True)


@router.patch("/{name}")
def rename(name: str, body: NewName, studio: Served, path: At) -> VoiceView:
    """Give a voice another name."""
    _check(studio.layout, name)
    return voice_view(rename_voice(studio.layout, name, body.name), path)


@router.delete("/{name}")
def delete(name: str, studio: Served) -> DeletedView:
    """Move a voice into the bin, from where it can be restored."""
    _check(studio.layout, name)
    return _deleted(delete_voice(studio.layout, name))


def _check(layout: Layout, name: str) -> None:
    """Refuse a name that no voice has, or could have."""
    try:
        existing_voice(layout, name)
    except StudioError as refusal:
        raise Refused(MISSING, str(refusal), "missing_voice") from refusal


def _store(file: UploadFile, path: Path) -> None:
    with writing_to(path), path.open("wb") as target:
        shutil.copyfileobj(file.file, target, 1 << 20)
    if path.stat().st_size == 0:
        raise Refused(BAD, f"{path.name} is empty. Record or copy it again.", "bad_clip")


def _deleted(voice: DeletedVoice) -> DeletedView:
    return DeletedView(id=voice.id, name=voice.name, when=voice.when)
