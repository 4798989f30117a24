"""HTTP routes of voices: list, upload clips, tag, effects, blend, rename, delete, restore."""

from __future__ import annotations

import shutil

from fastapi import APIRouter, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from api.errors import missing_as_404
from api.routes.files import save_upload
from api.schemas import (
    ORIGIN,
    ConsentView,
    ContextDep,
    EffectOptionsDict,
    JobView,
    StudioDep,
    TrashView,
    VoiceView,
)
from audio.effects.options import EFFECT_PRESETS, EffectOptions
from core.errors import reraise_as_app_error
from core.options import check_option_values
from core.paths import ProjectPaths
from jobs.models import Job
from studio.schemas.clip_tools import merge_effects
from studio.schemas.voices import SaveBlendRequest
from studio.voices.catalog import check_voices, find_voice, list_voices, search_voices
from studio.voices.consent import make_consent, write_consent
from studio.voices.effects import write_voice_effects
from studio.voices.tags import write_tags
from studio.voices.trash import (
    delete_voice,
    find_voice_folder,
    get_new_voice_folder,
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


class TagsBody(BaseModel):
    """The tags of a voice."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tags: list[str]


class VoiceEffectsBody(BaseModel):
    """Effects of a voice: a preset, and options that differ from it; neither removes them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    preset: str = Field(default="", description=f"one of {', '.join(EFFECT_PRESETS)}")
    options: EffectOptionsDict = Field(default_factory=dict)


class BlendBody(BaseModel):
    """A blend to save as a voice.  voice: such as alice:0.7+bob:0.3."""

    model_config = ConfigDict(extra="forbid", strict=True)

    voice: str
    bundle: str = ""


@router.get("")
def read_voices(context: ContextDep, search: str = "") -> VoiceList:
    """List the voices.  search: only those with these words in their name or tags."""
    voices = search_voices(list_voices(context.layout), search)
    return VoiceList(voices=[context.voice_view(voice) for voice in voices])


@router.get("/bin")
def read_trash(studio: StudioDep) -> VoiceTrash:
    """List the deleted voices."""
    return VoiceTrash(
        voices=[TrashView.model_validate(x) for x in list_deleted_voices(studio.layout)]
    )


@router.post("/bin/{id}/restore")
def restore(id: str, context: ContextDep) -> VoiceView:
    """Restore a deleted voice."""
    with missing_as_404():
        return context.voice_view(restore_voice(context.layout, id))


@router.get("/{name}")
def read_voice(name: str, context: ContextDep) -> VoiceView:
    """Return one voice with its clips."""
    _check_voice_exists(context.layout, name)
    return context.voice_view(find_voice(context.layout, name))


@router.post("/{name}/clips", status_code=202)
def add_clips(name: str, files: list[UploadFile], context: ContextDep) -> JobView:
    """Upload clips for a new or an existing voice and submit a job that imports them.

    A single clip that contains speaker latents restores that voice.
    """
    names = [file.filename or "" for file in files]
    folder = create_upload_dir(context.layout, name, names)
    job: Job | None = None
    try:
        for file, file_name in zip(files, names, strict=True):
            save_upload(file, folder / file_name)
        request = ImportVoiceRequest(name=name, folder=str(folder))
        job = context.studio.submit(request, title=f"Import voice {name}", origin=ORIGIN)
        return context.job_view(job)
    finally:
        if job is None:
            shutil.rmtree(folder, ignore_errors=True)


@router.put("/{name}/consent")
def set_consent(name: str, body: ConsentView, context: ContextDep) -> VoiceView:
    """State why a voice may be cloned."""
    _check_voice_exists(context.layout, name)
    folder = find_voice_folder(context.layout, name)
    write_consent(folder, make_consent(body.model_dump()))
    return context.voice_view(find_voice(context.layout, name))


@router.put("/{name}/tags")
def set_tags(name: str, body: TagsBody, context: ContextDep) -> VoiceView:
    """Replace the tags of a voice."""
    _check_voice_exists(context.layout, name)
    write_tags(find_voice_folder(context.layout, name), body.tags)
    return context.voice_view(find_voice(context.layout, name))


@router.put("/{name}/effects")
def set_effects(name: str, body: VoiceEffectsBody, context: ContextDep) -> VoiceView:
    """Replace the effects that every clip of a voice has; the voice itself is not changed."""
    _check_voice_exists(context.layout, name)
    with reraise_as_app_error(ValueError):
        check_option_values(EffectOptions, body.options)
        options = merge_effects(body.preset, body.options)
    write_voice_effects(find_voice_folder(context.layout, name), options)
    return context.voice_view(find_voice(context.layout, name))


@router.post("/{name}/blend", status_code=202)
def save_blend(name: str, body: BlendBody, context: ContextDep) -> JobView:
    """Submit a job that saves a blend of voices as a new voice."""
    get_new_voice_folder(context.layout, name)
    check_voices(context.layout, body.voice)
    request = SaveBlendRequest(name=name, voice=body.voice, bundle=body.bundle)
    job = context.studio.submit(request, title=f"Save the blend as {name}", origin=ORIGIN)
    return context.job_view(job)


@router.patch("/{name}")
def rename(name: str, body: RenameVoiceBody, context: ContextDep) -> VoiceView:
    """Rename a voice."""
    _check_voice_exists(context.layout, name)
    return context.voice_view(rename_voice(context.layout, name, body.name))


@router.delete("/{name}")
def delete(name: str, studio: StudioDep) -> TrashView:
    """Move a voice to the trash."""
    _check_voice_exists(studio.layout, name)
    return TrashView.model_validate(delete_voice(studio.layout, name))


def _check_voice_exists(layout: ProjectPaths, name: str) -> None:
    with missing_as_404("missing_voice"):
        find_voice_folder(layout, name)
