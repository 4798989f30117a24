"""Worker tasks on models: export a checkpoint, download, verify, check for updates."""

from __future__ import annotations

from pathlib import Path

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.diagnostics.updates import CheckUpdatesRequest, CheckUpdatesResult, check_for_updates
from studio.model_store.bundles import (
    ModelSummary,
    VerifyModelResult,
    download_published_model,
    find_model_folder,
    verify_model_files,
)
from studio.model_store.finetunes import get_finetune_voice
from studio.model_store.lifecycle import (
    DownloadModelRequest,
    VerifyModelRequest,
    check_online_allowed,
)
from studio.schemas.checkpoint_export import (
    ExportCheckpointRequest,
    ExportCheckpointResult,
    make_finetune_name,
)
from studio.training_runs.service import read_train_config
from studio.voices.consent import copy_consent
from studio.voices.consent_reminders import describe_missing_consent
from studio.workers.context import TaskContext, WorkerContext
from training.asr.base import TranscribeError
from training.asr.whisper_download import download_hugging_face_model, download_whisper_model
from training.finetuning.checkpoints.run_layout import RunPaths, read_finetune_metadata
from training.finetuning.export import export_checkpoint


def export_run_checkpoint(
    context: TaskContext, request: ExportCheckpointRequest, report: ProgressReporter
) -> ExportCheckpointResult:
    """Create the model; an earlier export of the same run with this name is replaced."""
    layout = context.layout
    run = layout.run(request.dataset, request.run)
    if not run.is_dir():
        raise AppError(f"The run {request.run} of {request.dataset} no longer exists.")
    base = find_model_folder(layout, read_train_config(run).weights.bundle)
    bundle = f"finetunes/{request.name or make_finetune_name(request.dataset, request.run)}"
    target = layout.model(bundle)
    places = RunPaths(bundle=base, dataset=layout.dataset(request.dataset), publish=target)
    with translate_write_errors(target), reraise_as_app_error(ValueError), report.stage("publish"):
        export_checkpoint(run, request.step, places, report)
        learned = read_finetune_metadata(target)
        voice = get_finetune_voice(learned)
        if not copy_consent(layout.voice(voice), target):
            report.warn(f"{describe_missing_consent(voice)} Do so before you share this model.")
    return ExportCheckpointResult(
        bundle=bundle, voice=get_finetune_voice(learned), step=learned.step
    )


def download_model_task(
    context: WorkerContext, request: DownloadModelRequest, report: ProgressReporter
) -> ModelSummary:
    """Fetch published weights; goes on where an earlier attempt stopped."""
    check_online_allowed(request.offline)
    return download_published_model(
        context.layout, request.name, report, request.also, request.precision, request.mirror
    )


def download_whisper(
    layout: ProjectPaths, name: str, report: ProgressReporter, mirror: str = ""
) -> Path:
    """Download a published Whisper, or a repository of the Hugging Face hub ("owner/name").

    mirror: address that is asked in place of the hub.  Returns its file or folder below
    models/whisper. Raises AppError where that fails.
    """
    with reraise_as_app_error(TranscribeError):
        if "/" in name:
            return download_hugging_face_model(name, layout.whisper, report, mirror)
        return download_whisper_model(name, layout.whisper, report)


def verify_model_task(
    context: WorkerContext, request: VerifyModelRequest, report: ProgressReporter
) -> VerifyModelResult:
    """Check every file of a bundle."""
    return verify_model_files(context.layout, request.name, report)


def check_updates_task(
    context: WorkerContext, request: CheckUpdatesRequest, report: ProgressReporter
) -> CheckUpdatesResult:
    """Check for a newer version."""
    return check_for_updates(request)
