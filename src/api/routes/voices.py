"""HTTP routes of voices: list, upload clips, rename, delete, restore."""

from __future__ import annotations

import shutil
from pathlib import Path

from fastapi import APIRouter, UploadFile
from pydantic import BaseModel, ConfigDict

from api.errors import BAD_REQUEST, ApiError, missing_as_404
from api.schemas import (
    BasePathDep,
    JobView,
    StudioDep,
    TrashView,
    VoiceView,
    build_job_view,
    build_voice_view,
)
from core.errors import translate_write_errors
from core.paths import ProjectPaths
from jobs.models import Job
from studio.voices.catalog import find_voice, list_voices
from studio.voices.trash import (
    delete_voice,
    find_voice_folder,
    list_deleted_voices,
    rename_voice,
    restore_voice,
)
from studio.voices.uploads import ImportVoiceRequest, create_upload_dir

router = APIRouter(prefix="/api/voices", tags=["Voices"])


class VoiceList(BaseModel):
    """The voices by name."""

    voices: list[VoiceView]


class RenameVoiceBody(BaseModel):
    """The new name of a voice."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str


class VoiceTrash(BaseModel):
    """The deleted voices, the latest first."""

    voices: list[TrashView]


@router.get("")
def read_voices(studio: StudioDep, path: BasePathDep) -> VoiceList:
    """List the voices."""
    return VoiceList(voices=[build_voice_view(voice, path) for voice in list_voices(studio.layout)])


@router.get("/bin")
def read_trash(studio: StudioDep) -> VoiceTrash:
    """List the deleted voices."""
    return VoiceTrash(
        voices=[TrashView.model_validate(x) for x in list_deleted_voices(studio.layout)]
    )


@router.post("/bin/{id}/restore")
def restore(id: str, studio: StudioDep, path: BasePathDep) -> VoiceView:
    """Restore a deleted voice."""
    with missing_as_404():
        return build_voice_view(restore_voice(studio.layout, id), path)


@router.get("/{name}")
def read_voice(name: str, studio: StudioDep, path: BasePathDep) -> VoiceView:
    """Return one voice with its clips."""
    _check_voice_exists(studio.layout, name)
    return build_voice_view(find_voice(studio.layout, name), path)


@router.post("/{name}/clips", status_code=202)
def add_clips(name: str, files: list[UploadFile], studio: StudioDep, path: BasePathDep) -> JobView:
    """Upload clips for a new or an existing voice and submit a job that imports them.

    A single clip that contains speaker latents restores that voice.
    """
    names = [file.filename or "" for file in files]
    folder = create_upload_dir(studio.layout, name, names)
    job: Job | None = None
    try:
        for file, file_name in zip(files, names, strict=True):
            _save_upload(file, folder / file_name)
        request = ImportVoiceRequest(name=name, folder=str(folder))
        job = studio.submit(request, title=f"Import voice {name}")
        return build_job_view(job, studio.layout, path)
    finally:
        if job is None:
            shutil.rmtree(folder, ignore_errors=True)


@router.patch("/{name}")
def rename(name: str, body: RenameVoiceBody, studio: StudioDep, path: BasePathDep) -> VoiceView:
    """Rename a voice."""
    _check_voice_exists(studio.layout, name)
    return build_voice_view(rename_voice(studio.layout, name, body.name), path)


@router.delete("/{name}")
def delete(name: str, studio: StudioDep) -> TrashView:
    """Move a voice to the trash."""
    _check_voice_exists(studio.layout, name)
    return TrashView.model_validate(delete_voice(studio.layout, name))


def _check_voice_exists(layout: ProjectPaths, name: str) -> None:
    with missing_as_404("missing_voice"):
        find_voice_folder(layout, name)


def _save_upload(file: UploadFile, path: Path) -> None:
    with translate_write_errors(path), path.open("wb") as target:
        shutil.copyfileobj(file.file, target, 1 << 20)
    if path.stat().st_size == 0:
        raise ApiError(BAD_REQUEST, f"{path.name} is empty. Record or copy it again.", "bad_clip")
