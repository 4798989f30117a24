"""HTTP routes of models: list, verify, download, unload, delete, restore."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.errors import CONFLICT, ApiError, missing_as_404
from api.schemas import ContextDep, JobView, StudioDep, TrashView
from studio.app.studio import Studio
from studio.model_store.bundles import find_model_folder, list_models, summarize_model
from studio.model_store.lifecycle import (
    DownloadModelRequest,
    VerifyModelRequest,
    delete_model,
    list_deleted_models,
    restore_model,
)

router = APIRouter(prefix="/api/models", tags=["Models"])


class LocalModelView(BaseModel):
    """A model. missing: files that speech needs;  problem: why it cannot be read."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    about: str
    networks: list[str]
    bytes: int = Field(validation_alias="size")
    weights_id: str
    speaks: bool
    missing: list[str]
    problem: str


class LocalModelList(BaseModel):
    """The models under models/."""

    models: list[LocalModelView]


class DownloadBody(BaseModel):
    """Published weights to download. also: names of optional networks."""

    model_config = ConfigDict(extra="forbid")

    name: Literal["tortoise"] = "tortoise"
    also: list[str] = []
    precision: Literal["fp32", "fp16"] = "fp32"


class ModelNameBody(BaseModel):
    """The name of a model; finetunes/NAME for a finetuned one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str


class DeletedModelView(TrashView):
    """A deleted model. size: bytes."""

    size: int


class ModelTrash(BaseModel):
    """The deleted models, the latest first."""

    models: list[DeletedModelView]


class UnloadResult(BaseModel):
    """Whether the memory was freed; it is not while a job uses the model."""

    unloaded: bool


@router.get("")
def read_models(studio: StudioDep) -> LocalModelList:
    """List the models."""
    return LocalModelList(
        models=[LocalModelView.model_validate(model) for model in list_models(studio.layout)]
    )


@router.post("/download", status_code=202)
def download(body: DownloadBody, context: ContextDep) -> JobView:
    """Submit a job that downloads published weights."""
    request = DownloadModelRequest(
        name=body.name,
        also=tuple(body.also),
        precision=body.precision,
        offline=context.studio.settings.offline,
        mirror=context.studio.settings.mirror,
    )
    return context.submit(request, title=f"Download {body.name}")


@router.post("/verify", status_code=202)
def verify(body: ModelNameBody, context: ContextDep) -> JobView:
    """Submit a job that checks every file of a model."""
    with missing_as_404("missing_weights"):
        find_model_folder(context.layout, body.name)
    return context.submit(VerifyModelRequest(name=body.name), title=f"Verify {body.name}")


@router.post("/unload")
def unload(studio: StudioDep) -> UnloadResult:
    """Free the memory of the loaded model."""
    return UnloadResult(unloaded=studio.unload())


@router.get("/bin")
def read_trash(studio: StudioDep) -> ModelTrash:
    """List the deleted models."""
    return ModelTrash(
        models=[
            DeletedModelView.model_validate(item) for item in list_deleted_models(studio.layout)
        ]
    )


@router.post("/bin/{id}/restore")
def restore(id: str, studio: StudioDep) -> LocalModelView:
    """Restore a deleted model."""
    with missing_as_404():
        name = restore_model(studio.layout, id)
    return LocalModelView.model_validate(summarize_model(studio.layout, name))


@router.get("/{name:path}")
def read_model(name: str, studio: StudioDep) -> LocalModelView:
    """Return one model."""
    with missing_as_404("missing_weights"):
        return LocalModelView.model_validate(summarize_model(studio.layout, name))


@router.delete("/{name:path}")
def delete(name: str, studio: StudioDep) -> DeletedModelView:
    """Move a model to the trash unless an open job needs it."""
    with missing_as_404("missing_weights"):
        find_model_folder(studio.layout, name)
    if name in _get_models_in_use(studio):
        raise ApiError(CONFLICT, f"A job needs {name}. Stop it first.", "busy")
    return DeletedModelView.model_validate(delete_model(studio.layout, name))


def _get_models_in_use(studio: Studio) -> set[str]:
    return {
        str(job.request.get("bundle", job.request.get("name", "")))
        for job in studio.jobs(limit=200)
        if not job.is_over
    }
