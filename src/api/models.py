"""Bundles of weights over HTTP: listed, checked, fetched, deleted into a bin, freed from memory."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from api.errors import CONFLICT, MISSING, Refused
from api.views import At, JobView, Served, job_view
from jobs.plain import to_plain
from studio.errors import StudioError
from studio.layout import Layout
from studio.models import (
    DeletedModel,
    DownloadModel,
    VerifyModel,
    delete_model,
    deleted_models,
    restore_model,
)
from studio.studio import Studio
from studio.weights import BundleSummary, existing_bundle, list_bundles, summarise

router = APIRouter(prefix="/api/models", tags=["Models"])


class BundleView(BaseModel):
    """A bundle. missing: files it needs before it speaks;  problem: why it cannot be read."""

    name: str
    about: str
    networks: list[str]
    bytes: int
    weights_id: str
    speaks: bool
    missing: list[str]
    problem: str


class BundleList(BaseModel):
    """The bundles under models/."""

    models: list[BundleView]


class DownloadBody(BaseModel):
    """Which published weights to fetch. also: further networks by name."""

    model_config = ConfigDict(extra="forbid")

    name: Literal["tortoise"] = "tortoise"
    also: list[str] = []
    precision: Literal["fp32", "fp16"] = "fp32"


class NamedModel(BaseModel):
    """A bundle by its name; a fine-tune is finetunes/NAME."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str


class DeletedView(BaseModel):
    """A bundle in the bin."""

    id: str
    name: str
    size: int
    when: float


class ModelBin(BaseModel):
    """What is in the bin, the latest first."""

    models: list[DeletedView]


class Unloaded(BaseModel):
    """Whether the memory was freed; not while a job uses it."""

    unloaded: bool


@router.get("")
def models(studio: Served) -> BundleList:
    """List the bundles."""
    return BundleList(models=[_view(bundle) for bundle in list_bundles(studio.layout)])


@router.post("/download", status_code=202)
def download(body: DownloadBody, studio: Served, path: At) -> JobView:
    """Fetch published weights; progress is that of the job."""
    request = DownloadModel(
        name=body.name,
        also=tuple(body.also),
        precision=body.precision,
        offline=studio.settings.offline,
    )
    job = studio.submit(request, title=f"Download {body.name}")
    return job_view(job, studio.layout, path)


@router.post("/verify", status_code=202)
def verify(body: NamedModel, studio: Served, path: At) -> JobView:
    """Open every file of a bundle and check that it is whole and fits."""
    _check(studio.layout, body.name)
    job = studio.submit(VerifyModel(name=body.name), title=f"Verify {body.name}")
    return job_view(job, studio.layout, path)


@router.post("/unload")
def unload(studio: Served) -> Unloaded:
    """Free the memory that the loaded weights take."""
    return Unloaded(unloaded=studio.unload())


@router.get("/bin")
def binned(studio: Served) -> ModelBin:
    """List the bundles that were deleted."""
    return ModelBin(models=[_deleted(item) for item in deleted_models(studio.layout)])


@router.post("/bin/{id}/restore")
def restore(id: str, studio: Served) -> BundleView:
    """Bring a deleted bundle back."""
    try:
        name = restore_model(studio.layout, id)
    except StudioError as refusal:
        if refusal.cause == "name_taken":
            raise
        raise Refused(MISSING, str(refusal), "not_found") from refusal
    return _view(summarise(studio.layout, name))


@router.get("/{name:path}")
def model(name: str, studio: Served) -> BundleView:
    """Return one bundle."""
    _check(studio.layout, name)
    return _view(summarise(studio.layout, name))


@router.delete("/{name:path}")
def delete(name: str, studio: Served) -> DeletedView:
    """Move a bundle into the bin, unless a job that waits or runs needs it."""
    _check(studio.layout, name)
    if name in _busy(studio):
        raise Refused(CONFLICT, f"A job that is not over needs {name}. Stop it first.", "busy")
    return _deleted(delete_model(studio.layout, name))


def _busy(studio: Studio) -> set[str]:
    return {
        str(job.request.get("bundle", job.request.get("name", "")))
        for job in studio.jobs(limit=200)
        if not job.is_over
    }


def _check(layout: Layout, name: str) -> None:
    try:
        existing_bundle(layout, name)
    except StudioError as refusal:
        raise Refused(MISSING, str(refusal), "missing_weights") from refusal


def _view(bundle: BundleSummary) -> BundleView:
    return BundleView(
        name=bundle.name,
        about=bundle.about,
        networks=list(bundle.networks),
        bytes=bundle.size,
        weights_id=bundle.weights_id,
        speaks=bundle.speaks,
        missing=list(bundle.missing),
        problem=bundle.problem,
    )


def _deleted(model: DeletedModel) -> DeletedView:
    return DeletedView.model_validate(to_plain(model))
