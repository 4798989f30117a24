"""Bundles of weights over HTTP: listed, checked, fetched, deleted into a bin, freed from memory."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from api.errors import CONFLICT, NOT_FOUND, ApiError
from api.schemas import BasePathDep, JobView, StudioDep, build_job_view
from core.errors import AppError
from core.paths import ProjectPaths
from core.serialization import to_dict
from studio.app.studio import Studio
from studio.model_store.bundles import ModelSummary, find_model_folder, list_models, summarize_model
from studio.model_store.lifecycle import (
    DeletedModel,
    DownloadModelRequest,
    VerifyModelRequest,
    delete_model,
    list_deleted_models,
    restore_model,
)

router = APIRouter(prefix="/api/models", tags=["Models"])


class LocalModelView(BaseModel):
    """A bundle. missing: files it needs before it speaks;  problem: why it cannot be read."""

    name: str
    about: str
    networks: list[str]
    bytes: int
    weights_id: str
    speaks: bool
    missing: list[str]
    problem: str


class LocalModelList(BaseModel):
    """The bundles under models/."""

    models: list[LocalModelView]


class DownloadBody(BaseModel):
    """Which published weights to fetch. also: further networks by name."""

    model_config = ConfigDict(extra="forbid")

    name: Literal["tortoise"] = "tortoise"
    also: list[str] = []
    precision: Literal["fp32", "fp16"] = "fp32"


class ModelNameBody(BaseModel):
    """A bundle by its name; a fine-tune is finetunes/NAME."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str


class DeletedModelView(BaseModel):
    """A bundle in the bin."""

    id: str
    name: str
    size: int
    when: float


class ModelTrash(BaseModel):
    """What is in the bin, the latest first."""

    models: list[DeletedModelView]


class UnloadResult(BaseModel):
    """Whether the memory was freed; not while a job uses it."""

    unloaded: bool


@router.get("")
def read_models(studio: StudioDep) -> LocalModelList:
    """List the bundles."""
    return LocalModelList(
        models=[_build_model_view(bundle) for bundle in list_models(studio.layout)]
    )


@router.post("/download", status_code=202)
def download(body: DownloadBody, studio: StudioDep, path: BasePathDep) -> JobView:
    """Fetch published weights; progress is that of the job."""
    request = DownloadModelRequest(
        name=body.name,
        also=tuple(body.also),
        precision=body.precision,
        offline=studio.settings.offline,
    )
    job = studio.submit(request, title=f"Download {body.name}")
    return build_job_view(job, studio.layout, path)


@router.post("/verify", status_code=202)
def verify(body: ModelNameBody, studio: StudioDep, path: BasePathDep) -> JobView:
    """Open every file of a bundle and check that it is whole and fits."""
    _check_model_exists(studio.layout, body.name)
    job = studio.submit(VerifyModelRequest(name=body.name), title=f"Verify {body.name}")
    return build_job_view(job, studio.layout, path)


@router.post("/unload")
def unload(studio: StudioDep) -> UnloadResult:
    """Free the memory that the loaded weights take."""
    return UnloadResult(unloaded=studio.unload())


@router.get("/bin")
def read_trash(studio: StudioDep) -> ModelTrash:
    """List the bundles that were deleted."""
    return ModelTrash(
        models=[_build_deleted_view(item) for item in list_deleted_models(studio.layout)]
    )


@router.post("/bin/{id}/restore")
def restore(id: str, studio: StudioDep) -> LocalModelView:
    """Bring a deleted bundle back."""
    try:
        name = restore_model(studio.layout, id)
    except AppError as refusal:
        if refusal.code == "name_taken":
            raise
        raise ApiError(NOT_FOUND, str(refusal), "not_found") from refusal
    return _build_model_view(summarize_model(studio.layout, name))


@router.get("/{name:path}")
def read_model(name: str, studio: StudioDep) -> LocalModelView:
    """Return one bundle."""
    _check_model_exists(studio.layout, name)
    return _build_model_view(summarize_model(studio.layout, name))


@router.delete("/{name:path}")
def delete(name: str, studio: StudioDep) -> DeletedModelView:
    """Move a bundle into the bin, unless a job that waits or runs needs it."""
    _check_model_exists(studio.layout, name)
    if name in _get_models_in_use(studio):
        raise ApiError(CONFLICT, f"A job that is not over needs {name}. Stop it first.", "busy")
    return _build_deleted_view(delete_model(studio.layout, name))


def _get_models_in_use(studio: Studio) -> set[str]:
    return {
        str(job.request.get("bundle", job.request.get("name", "")))
        for job in studio.jobs(limit=200)
        if not job.is_over
    }


def _check_model_exists(layout: ProjectPaths, name: str) -> None:
    try:
        find_model_folder(layout, name)
    except AppError as refusal:
        raise ApiError(NOT_FOUND, str(refusal), "missing_weights") from refusal


def _build_model_view(bundle: ModelSummary) -> LocalModelView:
    return LocalModelView(
        name=bundle.name,
        about=bundle.about,
        networks=list(bundle.networks),
        bytes=bundle.size,
        weights_id=bundle.weights_id,
        speaks=bundle.speaks,
        missing=list(bundle.missing),
        problem=bundle.problem,
    )


def _build_deleted_view(model: DeletedModel) -> DeletedModelView:
    return DeletedModelView.model_validate(to_dict(model))
