"""Worker task that prepares a dataset: transcribe, segment, filter and split."""

from __future__ import annotations

from dataclasses import replace

from core.errors import reraise_as_app_error, translate_write_errors
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.datasets.prepare_request import (
    PrepareRequest,
    check_dataset_name_free,
    find_source_folder,
)
from studio.schemas.settings import Settings
from studio.workers.context import TaskContext
from training.asr.availability import list_local_models
from training.asr.base import AUTO, WHISPER, TranscribeError, TranscriberConfig
from training.dataset_prep.manifest import ManifestError
from training.dataset_prep.prepare import PrepareJob, PrepareResult, run_preparation


def prepare_from_request(
    context: TaskContext, request: PrepareRequest, report: ProgressReporter
) -> PrepareResult:
    """Prepare or update a dataset; finished work of an earlier run is kept.

    Raises AppError where it cannot be done.
    """
    layout = context.layout
    folder = find_source_folder(layout, request)
    check_dataset_name_free(layout, request, folder)
    target = layout.dataset(request.dataset_name)
    job = PrepareJob(
        name=request.dataset_name,
        voice=request.voice,
        recordings=folder,
        target=target,
        models=layout.whisper,
        wish=_build_transcriber_config(layout, context.settings, request),
        options=request.options,
        anew=request.anew,
        columns=request.parse_columns(),
    )
    with reraise_as_app_error(ManifestError, TranscribeError), translate_write_errors(target):
        return run_preparation(job, report)


def _build_transcriber_config(
    layout: ProjectPaths, settings: Settings, request: PrepareRequest
) -> TranscriberConfig:
    """Add the settings: the preferred model, and whether and where from to download."""
    config = request.to_transcriber_config()
    preferred, model = settings.whisper_model, config.model
    if not model and config.name in (AUTO, WHISPER):
        model = preferred if preferred in list_local_models(layout.whisper) else ""
    fetch = config.fetch and not settings.offline
    return replace(config, model=model, fetch=fetch, mirror=settings.mirror)
