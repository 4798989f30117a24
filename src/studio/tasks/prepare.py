"""A dataset is made in the worker: recordings heard, cut, judged and parted."""

from __future__ import annotations

from dataclasses import replace

from jobs.report import Reporter
from studio.dataset_request import PrepareRequest, refuse_other, source_folder
from studio.errors import refusing, writing_to
from studio.layout import Layout
from studio.settings import Settings
from studio.tasks.workshop import Workshop
from training.manifest import ManifestError
from training.prepare import Prepared, PrepareJob, prepare
from training.transcribe.available import local_models
from training.transcribe.base import TranscribeError, TranscriberWish


def prepare_dataset(workshop: Workshop, request: PrepareRequest, report: Reporter) -> Prepared:
    """Make or renew a dataset; what an earlier run has done is kept."""
    return prepared(workshop.layout, workshop.settings, request, report)


def prepared(
    layout: Layout, settings: Settings, request: PrepareRequest, report: Reporter
) -> Prepared:
    """Do what a request asks for.  Raises StudioError saying what to do where it cannot."""
    folder = source_folder(layout, request)
    refuse_other(layout, request, folder)
    target = layout.dataset(request.called)
    job = PrepareJob(
        name=request.called,
        voice=request.voice,
        recordings=folder,
        target=target,
        models=layout.whisper,
        wish=_wish(layout, settings, request),
        options=request.options,
        anew=request.anew,
    )
    with refusing(ManifestError, TranscribeError), writing_to(target):
        return prepare(job, report)


def _wish(layout: Layout, settings: Settings, request: PrepareRequest) -> TranscriberWish:
    """Complete the wish by the settings: which model is usual, and whether any may be fetched."""
    wish = request.wish()
    usual = settings.whisper_model
    model = wish.model or (usual if usual in local_models(layout.whisper) else "")
    return replace(wish, model=model, fetch=wish.fetch and not settings.offline)
