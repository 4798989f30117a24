"""Making a model of a checkpoint, in the worker."""

from __future__ import annotations

from jobs.report import Reporter
from studio.errors import StudioError, refusing, writing_to
from studio.finetunes import voice_of
from studio.layout import Layout
from studio.runs import config_of
from studio.runs_publish import PublishedRun, PublishRun, finetune_name
from studio.tasks.workshop import Workshop
from studio.weights import existing_bundle
from training.finetune_about import Places, read_finetune
from training.finetune_publish import publish


def publish_run(workshop: Workshop, request: PublishRun, report: Reporter) -> PublishedRun:
    """Make the model in the worker."""
    return publish_checkpoint(workshop.layout, request, report)


def publish_checkpoint(layout: Layout, request: PublishRun, report: Reporter) -> PublishedRun:
    """Make the model; what the same run published before under this name is replaced."""
    run = layout.run(request.dataset, request.run)
    if not run.is_dir():
        raise StudioError(f"The run {request.run} of {request.dataset} is not there any more.")
    base = existing_bundle(layout, config_of(run).weights.bundle)
    bundle = f"finetunes/{request.name or finetune_name(request.dataset, request.run)}"
    target = layout.bundle(bundle)
    places = Places(bundle=base, dataset=layout.dataset(request.dataset), publish=target)
    with writing_to(target), refusing(ValueError), report.stage("publish"):
        publish(run, request.step, places, report)
        learned = read_finetune(target)
    return PublishedRun(bundle=bundle, voice=voice_of(learned), step=learned.step)
