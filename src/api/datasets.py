"""Datasets over HTTP: made of recordings, looked at, and configured for a training."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.errors import MISSING, Refused
from api.views import At, JobView, Served, file_url, job_view
from jobs.plain import from_plain, to_plain
from studio import configuring
from studio.datasets import Datasets, PrepareOptions, PrepareRequest, check_prepare
from studio.errors import refusing
from studio.studio import Studio

# Any: plain values on their way to JSON, and fields of a configuration, each of its own type.

router = APIRouter(prefix="/api/datasets", tags=["Training"])


class DatasetBody(BaseModel):
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

    datasets: list[DatasetBody]


class ClipBody(BaseModel):
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


class ClipPage(BaseModel):
    """A page of clips, worst first. total: of those that were asked for."""

    clips: list[ClipBody]
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


class FindingBody(BaseModel):
    """What is wrong with a configuration. level: "stop" where it would end badly."""

    level: Literal["stop", "warn"]
    what: str
    why: str
    fix: str


class Configured(BaseModel):
    """A configuration and what it comes to. saved: only where nothing stops it."""

    saved: bool
    config: dict[str, Any]
    plan: dict[str, Any] | None
    findings: list[FindingBody]


@router.get("")
def datasets(studio: Served) -> DatasetList:
    """List the datasets."""
    found = Datasets(studio.layout).list()
    return DatasetList(datasets=[DatasetBody.model_validate(to_plain(item)) for item in found])


@router.post("", status_code=202)
def prepare(body: PrepareBody, studio: Served, path: At) -> JobView:
    """Make or renew a dataset of a voice; what was done before is kept. Progress is the job's."""
    facts = body.model_dump(exclude={"options"})
    with refusing(ValueError):
        options = from_plain(PrepareOptions, body.options)
        request = PrepareRequest(**facts, options=options)
    check_prepare(studio.layout, request)
    job = studio.submit(request, title=f"Dataset {request.called}")
    return job_view(job, studio.layout, path)


@router.get("/{name}")
def dataset(name: str, studio: Served) -> DatasetBody:
    """Return one dataset."""
    return _existing(studio, name)


@router.get("/{name}/clips")
def clips(
    name: str,
    studio: Served,
    path: At,
    show: Literal["all", "kept", "dropped", "edited", "doubtful"] = "all",
    page: Annotated[int, Query(ge=1)] = 1,
) -> ClipPage:
    """List the clips of a dataset, worst first."""
    _existing(studio, name)
    found = Datasets(studio.layout).find(name, show=show, page=page)
    rows = [
        ClipBody.model_validate(
            {**to_plain(row), "url": file_url(path, "training", f"{name}/{row.file}")}
        )
        for row in found.rows
    ]
    return ClipPage(clips=rows, total=found.total, page=found.page, pages=found.pages)


@router.post("/{name}/configure")
def configure(name: str, body: ConfigureBody, studio: Served) -> Configured:
    """Propose a training for a dataset, change what is named, and save it if nothing stops it."""
    _existing(studio, name)
    device = studio.settings.device
    proposed = configuring.propose(studio.layout, name, body.bundle, device).config
    seen = configuring.examine(studio.layout, configuring.changed(proposed, body.changes), device)
    if not seen.stops:
        configuring.save(studio.layout, seen.config)
    return Configured(
        saved=not seen.stops,
        config=configuring.values_of(seen.config),
        plan=None if seen.plan is None else to_plain(seen.plan),
        findings=[FindingBody.model_validate(_told(item)) for item in seen.findings],
    )


def _existing(studio: Studio, name: str) -> DatasetBody:
    studio.layout.dataset(name)
    found = {item.name: item for item in Datasets(studio.layout).list()}
    if name not in found:
        there = ", ".join(found) or "none"
        raise Refused(MISSING, f"There is no dataset {name!r} (there: {there}).", "not_found")
    return DatasetBody.model_validate(to_plain(found[name]))


def _told(finding: configuring.Finding) -> dict[str, str]:
    return {key: str(getattr(finding, key)) for key in ("level", "what", "why", "fix")}
