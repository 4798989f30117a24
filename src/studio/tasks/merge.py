"""Two models become one: checked, mixed in a folder that nobody sees yet, then put in place."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from jobs.report import Reporter
from studio.errors import StudioError, refusing, writing_to
from studio.layout import Layout, plain_name, shown
from studio.tasks.workshop import Workshop
from studio.utilities import Merged, MergeModels
from studio.weights import SPARE_BYTES, existing_bundle
from tortoise.bundle import BundleError, tensor_files, weights_id, write_json
from tortoise.merge import Parents, check_parents, merge_bundles

RECORD = "merge.json"


def merge_models(workshop: Workshop, request: MergeModels, report: Reporter) -> Merged:
    """Mix two models into models/finetunes/NAME."""
    return merged(workshop.layout, request, report)


def merged(layout: Layout, request: MergeModels, report: Reporter) -> Merged:
    """Mix two models; nothing is left behind where that fails.

    Raises StudioError for a name that is taken, a full disk, and models that do not go together.
    """
    target = layout.bundle(f"finetunes/{plain_name(request.name, 'model')}")
    if target.exists():
        raise StudioError(f"There is already a model {shown(request.name)}. Choose another name.")
    if request.first == request.second:
        raise StudioError("A model merged with itself stays what it is. Choose two.")
    parents = Parents(
        first=existing_bundle(layout, request.first),
        second=existing_bundle(layout, request.second),
        share=request.share,
    )
    with refusing(BundleError):
        with report.stage("check"):
            check_parents(parents)
        size = sum(file.stat().st_size for file in tensor_files(parents.first))
        _check_room(layout, size)
        hidden = target.with_name(f".{target.name}.part")
        shutil.rmtree(hidden, ignore_errors=True)
        with writing_to(target):
            try:
                mixed = merge_bundles(parents, hidden, _about(request), report)
                write_json(hidden / RECORD, _record(parents, request))
                hidden.replace(target)
            finally:
                shutil.rmtree(hidden, ignore_errors=True)
    return Merged(
        name=f"finetunes/{request.name}",
        weights_id=weights_id(target),
        mixed=tuple(mixed),
        size=sum(file.stat().st_size for file in tensor_files(target)),
    )


def _about(request: MergeModels) -> str:
    second = round(request.share * 100)
    return f"Merged: {100 - second} % {request.first}, {second} % {request.second}"


def _record(parents: Parents, request: MergeModels) -> dict[str, object]:
    shares = (1 - request.share, request.share)
    named = (request.first, request.second)
    folders: tuple[Path, Path] = (parents.first, parents.second)
    return {
        "format": 1,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "parents": [
            {"name": name, "weights_id": weights_id(folder), "share": round(share, 6)}
            for name, folder, share in zip(named, folders, shares, strict=True)
        ],
    }


def _check_room(layout: Layout, needed: int) -> None:
    free = shutil.disk_usage(layout.models).free
    if free < needed + SPARE_BYTES:
        raise StudioError(
            f"{layout.models.name} has {free / 1e9:.1f} GB free; the merged model needs "
            f"{(needed + SPARE_BYTES) / 1e9:.1f} GB. Free some space.",
            cause="no_disk",
        )
