"""HTTP routes of datasets: prepare, list clips, configure training."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict

from api.errors import NOT_FOUND, ApiError
from api.schemas import ContextDep, JobView, StudioDep
from core.errors import AppError, reraise_as_app_error
from core.paths import quote_for_message
from core.serialization import from_dict, to_dict
from studio.app.studio import Studio
from studio.datasets.dataset_reports import find_report
from studio.datasets.service import (
    DatasetInfo,
    Datasets,
    PrepareOptions,
    PrepareRequest,
    plan_preparation,
)
from studio.training_runs import config_service as configuring

# Any: plain values on their way to JSON, and fields of a configuration, each of its own type.

router = APIRouter(prefix="/api/datasets", tags=["Training"])


class DatasetList(BaseModel):
    """The datasets by name."""

    datasets: tuple[DatasetInfo, ...]


class DatasetClipView(BaseModel):
    """A clip of a dataset. reason: why it was dropped or flagged, as a word."""

    id: str
    url: str
    source: str
    start_s: float
    stop_s: float
    text: str
    kept: bool
    reason: str
    part: str
    confidence: float | None


class DatasetClipPage(BaseModel):
    """A page of clips, the worst first. total: on all pages."""

    clips: list[DatasetClipView]
    total: int
    page: int
    pages: int


class PrepareBody(BaseModel):
    """Prepare a dataset from the clips of a voice. name: by default that of the voice.

    columns: of a list of transcripts, where they are not clear, as in "audio=1,text=3".

    Folders of the machine can be named on the page and the command line only.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    voice: str
    name: str = ""
    transcriber: str = "auto"
    model: str = ""
    language: str = "en"
    anew: bool = False
    columns: str = ""
    options: dict[str, Any] = {}


class ConfigureBody(BaseModel):
    """A training configuration. changes: to the proposed one, as in {"schedule.steps": 500}."""

    model_config = ConfigDict(extra="forbid", strict=True)

    bundle: str = "starter"
    changes: dict[str, Any] = {}


class ConfigureResult(BaseModel):
    """A configuration and its plan. saved: only where no finding prevents the training."""

    saved: bool
    config: dict[str, Any]
    plan: dict[str, Any] | None
    findings: tuple[configuring.PreflightFinding, ...]


@router.get("")
def read_datasets(studio: StudioDep) -> DatasetList:
    """List the datasets."""
    return DatasetList(datasets=Datasets(studio.layout).list())


@router.post("", status_code=202)
def prepare(body: PrepareBody, context: ContextDep) -> JobView:
    """Submit a job that prepares or updates a dataset of a voice."""
    fields = body.model_dump(exclude={"options"})
    with reraise_as_app_error(ValueError):
        options = from_dict(PrepareOptions, body.options)
        request = PrepareRequest(**fields, options=options)
    plan_preparation(context.layout, request)
    return context.submit(request, title=f"Dataset {request.dataset_name}")


@router.get("/{name}")
def read_dataset(name: str, studio: StudioDep) -> DatasetInfo:
    """Return one dataset."""
    return _get_dataset_or_404(studio, name)


@router.get("/{name:path}/report", response_class=FileResponse)
def read_report(name: str, studio: StudioDep) -> FileResponse:
    """Return the HTML report of a dataset; KIND/NAME where datasets of two kinds share a name."""
    try:
        path = find_report(studio.layout, name)
    except AppError:
        path = None
    if path is None:
        raise ApiError(NOT_FOUND, f"There is no report of {quote_for_message(name)}.", "not_found")
    return FileResponse(path, media_type="text/html", headers={"cache-control": "no-cache"})


@router.get("/{name}/clips")
def read_clips(
    name: str,
    context: ContextDep,
    show: Literal["all", "kept", "dropped", "edited", "doubtful"] = "all",
    page: Annotated[int, Query(ge=1)] = 1,
) -> DatasetClipPage:
    """List the clips of a dataset, the worst first."""
    _get_dataset_or_404(context.studio, name)
    found = Datasets(context.layout).find(name, show=show, page=page)
    rows = [
        DatasetClipView.model_validate(
            {**to_dict(row), "url": context.file_url("training", f"{name}/{row.file}")}
        )
        for row in found.rows
    ]
    return DatasetClipPage(clips=rows, total=found.total, page=found.page, pages=found.pages)


@router.post("/{name}/configure")
def configure(name: str, body: ConfigureBody, studio: StudioDep) -> ConfigureResult:
    """Propose a training configuration, apply changes, and save it unless a finding prevents it."""
    _get_dataset_or_404(studio, name)
    device = studio.settings.device
    proposed = configuring.propose_config(studio.layout, name, body.bundle, device).config
    checked = configuring.check_config(
        studio.layout, configuring.apply_changes(proposed, body.changes), device
    )
    if not checked.blocking_findings:
        configuring.save_config(studio.layout, checked.config)
    return ConfigureResult(
        saved=not checked.blocking_findings,
        config=configuring.config_to_values(checked.config),
        plan=None if checked.plan is None else to_dict(checked.plan),
        findings=checked.findings,
    )


def _get_dataset_or_404(studio: Studio, name: str) -> DatasetInfo:
    studio.layout.dataset(name)
    found = {item.name: item for item in Datasets(studio.layout).list()}
    if name not in found:
        known = ", ".join(found) or "none"
        raise ApiError(NOT_FOUND, f"There is no dataset {name!r} (there: {known}).", "not_found")
    return found[name]
