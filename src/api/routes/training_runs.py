"""HTTP routes of training runs: start, watch, stop, resume, export, delete, restore."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.errors import CONFLICT, ApiError, missing_as_404, strip_root_path
from api.schemas import ApiContext, ContextDep, JobView, StudioDep, TrashView
from core.serialization import to_dict
from runs.launch import TrainingState
from studio.app.studio import Studio
from studio.training_runs.run_status import RunStatus
from studio.training_runs.service import build_export_request
from studio.training_runs.trash import delete_run, list_deleted_runs, restore_run

# Any: plain values on their way to JSON.

router = APIRouter(prefix="/api/runs", tags=["Training"])


class RunSummaryView(BaseModel):
    """A run in a list. best: the step of the best checkpoint."""

    dataset: str
    name: str
    state: TrainingState
    step: int
    steps: int
    began: float | None = Field(description="seconds since 1970, like ended")
    ended: float | None
    eta_s: float | None
    best: int | None


class RunList(BaseModel):
    """The runs, the latest first."""

    runs: list[RunSummaryView]


class RunCurveView(BaseModel):
    """A metric over the steps of one stage, as [step, value] pairs."""

    stage: str
    name: str
    points: list[tuple[int, float]]


class RunSampleView(BaseModel):
    """The test sentence as generated at a step."""

    step: int
    url: str
    text: str
    wer: float | None
    similarity: float | None


class RunCheckpointView(BaseModel):
    """A checkpoint. loss: validation loss;  there: not deleted yet."""

    step: int
    bytes: int
    loss: float | None
    wer: float | None
    similarity: float | None
    there: bool
    best: bool


class RunDetailView(RunSummaryView):
    """A run with its curves, samples and checkpoints. message, cause: why it ended."""

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
    """Start a run with the train.yaml of a dataset. name: "" for the next number."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dataset: str
    name: str = ""


class ExportCheckpointBody(BaseModel):
    """Export a checkpoint as the model finetunes/NAME; "" replaces the model of the run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    step: int = Field(ge=0)
    name: str = ""


class DeletedRunView(TrashView):
    """A deleted run."""

    dataset: str


class RunTrash(BaseModel):
    """The deleted runs of a dataset, the latest first."""

    runs: list[DeletedRunView]


@router.get("")
def read_runs(
    studio: StudioDep, dataset: str = Query("", description="list only the runs of this dataset")
) -> RunList:
    """List the runs."""
    rows = studio.runs.list(dataset)
    return RunList(runs=[RunSummaryView.model_validate(to_dict(row)) for row in rows])


@router.post("", status_code=202)
def start(body: StartRunBody, context: ContextDep) -> RunDetailView:
    """Start a run in a process of its own, independent of this server."""
    return _build_run_detail(context.studio.runs.start(body.dataset, body.name), context)


@router.get("/{dataset}/bin")
def read_trash(dataset: str, studio: StudioDep) -> RunTrash:
    """List the deleted runs of a dataset."""
    return RunTrash(
        runs=[DeletedRunView.model_validate(x) for x in list_deleted_runs(studio.layout, dataset)]
    )


@router.post("/{dataset}/bin/{id}/restore")
def restore(dataset: str, id: str, context: ContextDep) -> RunDetailView:
    """Restore a deleted run."""
    with missing_as_404():
        name = restore_run(context.layout, dataset, id)
    return _build_run_detail(context.studio.runs.view(dataset, name), context)


@router.get("/{dataset}/{name}")
def read_run(dataset: str, name: str, context: ContextDep) -> RunDetailView:
    """Return a run with its curves, samples and checkpoints."""
    return _build_run_detail(_get_run_or_404(context.studio, dataset, name), context)


@router.post("/{dataset}/{name}/stop")
def stop(dataset: str, name: str, context: ContextDep) -> RunDetailView:
    """Request that a run saves its state and ends; does nothing for an ended run."""
    _get_run_or_404(context.studio, dataset, name)
    return _build_run_detail(context.studio.runs.stop(dataset, name), context)


@router.post("/{dataset}/{name}/resume", status_code=202)
def resume(dataset: str, name: str, context: ContextDep) -> RunDetailView:
    """Resume a stopped or failed run from its last saved state."""
    if not _get_run_or_404(context.studio, dataset, name).can_resume:
        raise ApiError(CONFLICT, f"{name} of {dataset} is finished or already running.", "conflict")
    return _build_run_detail(context.studio.runs.resume(dataset, name), context)


@router.post("/{dataset}/{name}/publish", status_code=202)
def export_checkpoint(
    dataset: str, name: str, body: ExportCheckpointBody, context: ContextDep
) -> JobView:
    """Submit a job that exports a checkpoint as a model."""
    _get_run_or_404(context.studio, dataset, name)
    request = build_export_request(context.layout, dataset, name, body.step, body.name)
    return context.submit(request, title=f"Model of {dataset}/{name}, step {body.step}")


@router.delete("/{dataset}/{name}")
def delete(dataset: str, name: str, studio: StudioDep) -> DeletedRunView:
    """Move a run that has ended to the trash; exported models stay."""
    if not _get_run_or_404(studio, dataset, name).is_over:
        raise ApiError(CONFLICT, f"{name} of {dataset} is running. Stop it first.", "busy")
    return DeletedRunView.model_validate(delete_run(studio.layout, dataset, name))


def _get_run_or_404(studio: Studio, dataset: str, name: str) -> RunStatus:
    with missing_as_404():
        return studio.runs.view(dataset, name)


def _build_run_detail(view: RunStatus, context: ApiContext) -> RunDetailView:
    plain: dict[str, Any] = to_dict(view)
    root, training = context.layout.root, context.layout.training
    for key in ("message", "why_best", "overfitting"):
        plain[key] = strip_root_path(plain[key], root)
    for key in ("warnings", "notes"):
        plain[key] = [strip_root_path(text, root) for text in plain[key]]
    for shown, sample in zip(plain["samples"], view.samples, strict=True):
        shown["url"] = context.file_url("training", sample.path.relative_to(training).as_posix())
    for shown, checkpoint in zip(plain["checkpoints"], view.checkpoints, strict=True):
        shown["bytes"] = checkpoint.size
    return RunDetailView.model_validate(plain)
