"""Trainings over HTTP: begun, watched, stopped, gone on with, published, deleted into a bin."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.errors import CONFLICT, NOT_FOUND, ApiError, strip_root_path
from api.schemas import BasePathDep, JobView, StudioDep, build_job_view, get_file_url
from core.errors import AppError
from core.serialization import to_dict
from studio.app.studio import Studio
from studio.training_runs.run_status import RunState, RunStatus
from studio.training_runs.service import build_export_request
from studio.training_runs.trash import DeletedRun, delete_run, list_deleted_runs, restore_run

# Any: plain values on their way to JSON.

router = APIRouter(prefix="/api/runs", tags=["Training"])


class RunSummaryView(BaseModel):
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

    runs: list[RunSummaryView]


class RunCurveView(BaseModel):
    """One measured thing over the steps of one stage: [step, value] each."""

    stage: str
    name: str
    points: list[tuple[int, float]]


class RunSampleView(BaseModel):
    """The sentence as it was spoken at a step."""

    step: int
    url: str
    text: str
    wer: float | None
    similarity: float | None


class RunCheckpointView(BaseModel):
    """A checkpoint. loss: of validation;  there: it has not been deleted since."""

    step: int
    bytes: int
    loss: float | None
    wer: float | None
    similarity: float | None
    there: bool
    best: bool


class RunDetailView(RunSummaryView):
    """A run as it is now. message, cause: why it ended, where there is something to say."""

    stage: str
    seconds_per_step: float | None
    memory: int | None
    device: str
    clips: int
    validation_clips: int
    curves: list[RunCurveView]
    samples: list[RunSampleView]
    checkpoints: list[RunCheckpointView]
    why_best: str
    overfitting: str
    warnings: list[str]
    notes: list[str]
    message: str
    cause: str


class StartRunBody(BaseModel):
    """A wish to train as the dataset's train.yaml says. name: "" for the next number."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dataset: str
    name: str = ""


class ExportCheckpointBody(BaseModel):
    """Which checkpoint becomes a model, finetunes/NAME; "" in the place of the run's own."""

    model_config = ConfigDict(extra="forbid", strict=True)

    step: int = Field(ge=0)
    name: str = ""


class DeletedRunView(BaseModel):
    """A run in the bin."""

    id: str
    dataset: str
    name: str
    when: float


class RunTrash(BaseModel):
    """What is in the bin of a dataset, the latest first."""

    runs: list[DeletedRunView]


@router.get("")
def read_runs(
    studio: StudioDep, dataset: str = Query("", description="only of this one")
) -> RunList:
    """List the trainings."""
    with_rows = [RunSummaryView.model_validate(to_dict(row)) for row in studio.runs.list(dataset)]
    return RunList(runs=with_rows)


@router.post("", status_code=202)
def start(body: StartRunBody, studio: StudioDep, path: BasePathDep) -> RunDetailView:
    """Begin a training; it goes on by itself, whatever becomes of this server."""
    return _build_run_detail(studio.runs.start(body.dataset, body.name), studio, path)


@router.get("/{dataset}/bin")
def read_trash(dataset: str, studio: StudioDep) -> RunTrash:
    """List the runs of a dataset that were deleted."""
    return RunTrash(
        runs=[_build_deleted_view(item) for item in list_deleted_runs(studio.layout, dataset)]
    )


@router.post("/{dataset}/bin/{id}/restore")
def restore(dataset: str, id: str, studio: StudioDep, path: BasePathDep) -> RunDetailView:
    """Bring a deleted run back."""
    try:
        name = restore_run(studio.layout, dataset, id)
    except AppError as refusal:
        if refusal.code == "name_taken":
            raise
        raise ApiError(NOT_FOUND, str(refusal), "not_found") from refusal
    return _build_run_detail(studio.runs.view(dataset, name), studio, path)


@router.get("/{dataset}/{name}")
def read_run(dataset: str, name: str, studio: StudioDep, path: BasePathDep) -> RunDetailView:
    """Return a run as it is now, with its curves, samples and checkpoints."""
    return _build_run_detail(_get_run_or_404(studio, dataset, name), studio, path)


@router.post("/{dataset}/{name}/stop")
def stop(dataset: str, name: str, studio: StudioDep, path: BasePathDep) -> RunDetailView:
    """Let a run save and end; nothing happens to one that is over."""
    _get_run_or_404(studio, dataset, name)
    return _build_run_detail(studio.runs.stop(dataset, name), studio, path)


@router.post("/{dataset}/{name}/resume", status_code=202)
def resume(dataset: str, name: str, studio: StudioDep, path: BasePathDep) -> RunDetailView:
    """Let a run that was cut off go on from its last saved state."""
    if not _get_run_or_404(studio, dataset, name).can_resume:
        raise ApiError(CONFLICT, f"{name} of {dataset} is done, or goes on already.", "conflict")
    return _build_run_detail(studio.runs.resume(dataset, name), studio, path)


@router.post("/{dataset}/{name}/publish", status_code=202)
def export_checkpoint(
    dataset: str, name: str, body: ExportCheckpointBody, studio: StudioDep, path: BasePathDep
) -> JobView:
    """Make a model of a checkpoint, as a job."""
    _get_run_or_404(studio, dataset, name)
    request = build_export_request(studio.layout, dataset, name, body.step, body.name)
    job = studio.submit(request, title=f"Model of {dataset}/{name}, step {body.step}")
    return build_job_view(job, studio.layout, path)


@router.delete("/{dataset}/{name}")
def delete(dataset: str, name: str, studio: StudioDep) -> DeletedRunView:
    """Move a run that is over into the bin; what it published stays."""
    if not _get_run_or_404(studio, dataset, name).is_over:
        raise ApiError(CONFLICT, f"{name} of {dataset} goes on. Stop it first.", "busy")
    return _build_deleted_view(delete_run(studio.layout, dataset, name))


def _get_run_or_404(studio: Studio, dataset: str, name: str) -> RunStatus:
    try:
        return studio.runs.view(dataset, name)
    except AppError as refusal:
        raise ApiError(NOT_FOUND, str(refusal), "not_found") from refusal


def _build_run_detail(view: RunStatus, studio: Studio, path: str) -> RunDetailView:
    """Return a run as clients see it; the end of its console stays here."""
    plain: dict[str, Any] = to_dict(view)
    root, training = studio.layout.root, studio.layout.training
    for key in ("message", "why_best", "overfitting"):
        plain[key] = strip_root_path(plain[key], root)
    for key in ("warnings", "notes"):
        plain[key] = [strip_root_path(told, root) for told in plain[key]]
    for shown, sample in zip(plain["samples"], view.samples, strict=True):
        shown["url"] = get_file_url(path, "training", sample.path.relative_to(training).as_posix())
    for shown, checkpoint in zip(plain["checkpoints"], view.checkpoints, strict=True):
        shown["bytes"] = checkpoint.size
    return RunDetailView.model_validate(plain)


def _build_deleted_view(run: DeletedRun) -> DeletedRunView:
    return DeletedRunView.model_validate(to_dict(run))
