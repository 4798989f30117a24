"""Datasets over HTTP: made of recordings, looked at, and configured for a training."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.errors import NOT_FOUND, ApiError
from api.schemas import BasePathDep, JobView, StudioDep, build_job_view, get_file_url
from core.errors import reraise_as_app_error
from core.serialization import from_dict, to_dict
from studio.app.studio import Studio
from studio.datasets.service import Datasets, PrepareOptions, PrepareRequest, plan_preparation
from studio.training_runs import config_service as configuring

# Any: plain values on their way to JSON, and fields of a configuration, each of its own type.

router = APIRouter(prefix="/api/datasets", tags=["Training"])


class DatasetView(BaseModel):
    """A dataset. clips: that were cut, of which `kept` are learned from."""

    name: str
    voice: str
    transcriber: str
    created: float = Field(description="seconds since 1970")
    clips: int
    kept: int
    kept_s: float
    state: str = Field(description="ready, unfinished, preparing or damaged")


class DatasetList(BaseModel):
    """The datasets by name."""

    datasets: list[DatasetView]


class DatasetClipView(BaseModel):
    """A clip of a dataset. reason: a word for why it was dropped, or is doubtful."""

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
    """A page of clips, worst first. total: of those that were asked for."""

    clips: list[DatasetClipView]
    total: int
    page: int
    pages: int


class PrepareBody(BaseModel):
    """A wish to make a dataset of a voice; it takes the voice's name where none is given.

    Folders of this machine are named on the page or the command line only.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    voice: str
    name: str = ""
    transcriber: str = "auto"
    model: str = ""
    language: str = "en"
    anew: bool = False
    options: dict[str, Any] = {}


class ConfigureBody(BaseModel):
    """How to train. changes: fields as in {"schedule.steps": 500}, over what is proposed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    bundle: str = "starter"
    changes: dict[str, Any] = {}


class ConfigFindingView(BaseModel):
    """What is wrong with a configuration. level: "stop" where it would end badly."""

    level: Literal["stop", "warn"]
    what: str
    why: str
    fix: str


class ConfigureResult(BaseModel):
    """A configuration and what it comes to. saved: only where nothing stops it."""

    saved: bool
    config: dict[str, Any]
    plan: dict[str, Any] | None
    findings: list[ConfigFindingView]


@router.get("")
def read_datasets(studio: StudioDep) -> DatasetList:
    """List the datasets."""
    found = Datasets(studio.layout).list()
    return DatasetList(datasets=[DatasetView.model_validate(to_dict(item)) for item in found])


@router.post("", status_code=202)
def prepare(body: PrepareBody, studio: StudioDep, path: BasePathDep) -> JobView:
    """Make or renew a dataset of a voice; what was done before is kept. Progress is the job's."""
    facts = body.model_dump(exclude={"options"})
    with reraise_as_app_error(ValueError):
        options = from_dict(PrepareOptions, body.options)
        request = PrepareRequest(**facts, options=options)
    plan_preparation(studio.layout, request)
    job = studio.submit(request, title=f"Dataset {request.dataset_name}")
    return build_job_view(job, studio.layout, path)


@router.get("/{name}")
def read_dataset(name: str, studio: StudioDep) -> DatasetView:
    """Return one dataset."""
    return _get_dataset_or_404(studio, name)


@router.get("/{name}/clips")
def read_clips(
    name: str,
    studio: StudioDep,
    path: BasePathDep,
    show: Literal["all", "kept", "dropped", "edited", "doubtful"] = "all",
    page: Annotated[int, Query(ge=1)] = 1,
) -> DatasetClipPage:
    """List the clips of a dataset, worst first."""
    _get_dataset_or_404(studio, name)
    found = Datasets(studio.layout).find(name, show=show, page=page)
    rows = [
        DatasetClipView.model_validate(
            {**to_dict(row), "url": get_file_url(path, "training", f"{name}/{row.file}")}
        )
        for row in found.rows
    ]
    return DatasetClipPage(clips=rows, total=found.total, page=found.page, pages=found.pages)


@router.post("/{name}/configure")
def configure(name: str, body: ConfigureBody, studio: StudioDep) -> ConfigureResult:
    """Propose a training for a dataset, change what is named, and save it if nothing stops it."""
    _get_dataset_or_404(studio, name)
    device = studio.settings.device
    proposed = configuring.propose_config(studio.layout, name, body.bundle, device).config
    seen = configuring.check_config(
        studio.layout, configuring.apply_changes(proposed, body.changes), device
    )
    if not seen.blocking_findings:
        configuring.save_config(studio.layout, seen.config)
    return ConfigureResult(
        saved=not seen.blocking_findings,
        config=configuring.config_to_values(seen.config),
        plan=None if seen.plan is None else to_dict(seen.plan),
        findings=[
            ConfigFindingView.model_validate(_finding_fields(item)) for item in seen.findings
        ],
    )


def _get_dataset_or_404(studio: Studio, name: str) -> DatasetView:
    studio.layout.dataset(name)
    found = {item.name: item for item in Datasets(studio.layout).list()}
    if name not in found:
        there = ", ".join(found) or "none"
        raise ApiError(NOT_FOUND, f"There is no dataset {name!r} (there: {there}).", "not_found")
    return DatasetView.model_validate(to_dict(found[name]))


def _finding_fields(finding: configuring.PreflightFinding) -> dict[str, str]:
    return {key: str(getattr(finding, key)) for key in ("level", "what", "why", "fix")}
