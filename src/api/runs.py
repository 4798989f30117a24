"""Trainings over HTTP: begun, watched, stopped, gone on with, published, deleted into a bin."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.errors import CONFLICT, MISSING, Refused, without_root
from api.views import At, JobView, Served, file_url, job_view
from jobs.plain import to_plain
from studio.errors import StudioError
from studio.runs_bin import DeletedRun, delete_run, deleted_runs, restore_run
from studio.runs_publish import wish_to_publish
from studio.runs_view import RunState, RunView
from studio.studio import Studio

# Any: plain values on their way to JSON.

router = APIRouter(prefix="/api/runs", tags=["Training"])


class RunLine(BaseModel):
    """A run in a list. best: the step whose checkpoint to take."""

    dataset: str
    name: str
    state: RunState
    step: int
    steps: int
    began: float | None = Field(description="seconds since 1970, as is ended")
    ended: float | None
    eta_s: float | None
    best: int | None


class RunList(BaseModel):
    """The runs, the latest first."""

    runs: list[RunLine]


class CurveBody(BaseModel):
    """One measured thing over the steps of one stage: [step, value] each."""

    stage: str
    name: str
    points: list[tuple[int, float]]


class SampleBody(BaseModel):
    """The sentence as it was spoken at a step."""

    step: int
    url: str
    text: str
    wer: float | None
    similarity: float | None


class CheckpointBody(BaseModel):
    """A checkpoint. loss: of validation;  there: it has not been deleted since."""

    step: int
    bytes: int
    loss: float | None
    wer: float | None
    similarity: float | None
    there: bool
    best: bool


class RunBody(RunLine):
    """A run as it is now. message, cause: why it ended, where there is something to say."""

    stage: str
    seconds_per_step: float | None
    memory: int | None
    device: str
    clips: int
    validation_clips: int
    curves: list[CurveBody]
    samples: list[SampleBody]
    checkpoints: list[CheckpointBody]
    why_best: str
    overfitting: str
    warnings: list[str]
    notes: list[str]
    message: str
    cause: str


class NewRun(BaseModel):
    """A wish to train as the dataset's train.yaml says. name: "" for the next number."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dataset: str
    name: str = ""


class PublishBody(BaseModel):
    """Which checkpoint becomes a model, finetunes/NAME; "" in the place of the run's own."""

    model_config = ConfigDict(extra="forbid", strict=True)

    step: int = Field(ge=0)
    name: str = ""


class DeletedBody(BaseModel):
    """A run in the bin."""

    id: str
    dataset: str
    name: str
    when: float


class RunBin(BaseModel):
    """What is in the bin of a dataset, the latest first."""

    runs: list[DeletedBody]


@router.get("")
def runs(studio: Served, dataset: str = Query("", description="only of this one")) -> RunList:
    """List the trainings."""
    with_rows = [RunLine.model_validate(to_plain(row)) for row in studio.runs.list(dataset)]
    return RunList(runs=with_rows)


@router.post("", status_code=202)
def start(body: NewRun, studio: Served, path: At) -> RunBody:
    """Begin a training; it goes on by itself, whatever becomes of this server."""
    return _body(studio.runs.start(body.dataset, body.name), studio, path)


@router.get("/{dataset}/bin")
def binned(dataset: str, studio: Served) -> RunBin:
    """List the runs of a dataset that were deleted."""
    return RunBin(runs=[_deleted(item) for item in deleted_runs(studio.layout, dataset)])


@router.post("/{dataset}/bin/{id}/restore")
def restore(dataset: str, id: str, studio: Served, path: At) -> RunBody:
    """Bring a deleted run back."""
    try:
        name = restore_run(studio.layout, dataset, id)
    except StudioError as refusal:
        if refusal.cause == "name_taken":
            raise
        raise Refused(MISSING, str(refusal), "not_found") from refusal
    return _body(studio.runs.view(dataset, name), studio, path)


@router.get("/{dataset}/{name}")
def run(dataset: str, name: str, studio: Served, path: At) -> RunBody:
    """Return a run as it is now, with its curves, samples and checkpoints."""
    return _body(_existing(studio, dataset, name), studio, path)


@router.post("/{dataset}/{name}/stop")
def stop(dataset: str, name: str, studio: Served, path: At) -> RunBody:
    """Let a run save and end; nothing happens to one that is over."""
    _existing(studio, dataset, name)
    return _body(studio.runs.stop(dataset, name), studio, path)


@router.post("/{dataset}/{name}/resume", status_code=202)
def resume(dataset: str, name: str, studio: Served, path: At) -> RunBody:
    """Let a run that was cut off go on from its last saved state."""
    if not _existing(studio, dataset, name).can_resume:
        raise Refused(CONFLICT, f"{name} of {dataset} is done, or goes on already.", "conflict")
    return _body(studio.runs.resume(dataset, name), studio, path)


@router.post("/{dataset}/{name}/publish", status_code=202)
def publish(dataset: str, name: str, body: PublishBody, studio: Served, path: At) -> JobView:
    """Make a model of a checkpoint, as a job."""
    _existing(studio, dataset, name)
    request = wish_to_publish(studio.layout, dataset, name, body.step, body.name)
    job = studio.submit(request, title=f"Model of {dataset}/{name}, step {body.step}")
    return job_view(job, studio.layout, path)


@router.delete("/{dataset}/{name}")
def delete(dataset: str, name: str, studio: Served) -> DeletedBody:
    """Move a run that is over into the bin; what it published stays."""
    if not _existing(studio, dataset, name).is_over:
        raise Refused(CONFLICT, f"{name} of {dataset} goes on. Stop it first.", "busy")
    return _deleted(delete_run(studio.layout, dataset, name))


def _existing(studio: Studio, dataset: str, name: str) -> RunView:
    try:
        return studio.runs.view(dataset, name)
    except StudioError as refusal:
        raise Refused(MISSING, str(refusal), "not_found") from refusal


def _body(view: RunView, studio: Studio, path: str) -> RunBody:
    """Return a run as clients see it; the end of its console stays here."""
    plain: dict[str, Any] = to_plain(view)
    root, training = studio.layout.root, studio.layout.training
    for key in ("message", "why_best", "overfitting"):
        plain[key] = without_root(plain[key], root)
    for key in ("warnings", "notes"):
        plain[key] = [without_root(told, root) for told in plain[key]]
    for shown, sample in zip(plain["samples"], view.samples, strict=True):
        shown["url"] = file_url(path, "training", sample.path.relative_to(training).as_posix())
    for shown, checkpoint in zip(plain["checkpoints"], view.checkpoints, strict=True):
        shown["bytes"] = checkpoint.size
    return RunBody.model_validate(plain)


def _deleted(run: DeletedRun) -> DeletedBody:
    return DeletedBody.model_validate(to_plain(run))
