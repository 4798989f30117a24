"""Worker task that merges two models: check, merge in a temporary folder, then rename it."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.files import commit_folder
from core.paths import ProjectPaths, quote_for_message, validate_name
from core.progress import ProgressReporter
from engines.model_files import ModelFileError, list_tensor_files, write_json
from studio.model_store.bundles import RESERVED_DISK_BYTES, find_model_folder
from studio.schemas.clip_tools import MergeModelsRequest, MergeModelsResult
from studio.workers.context import TaskContext
from tortoise.checkpoints.layout import compute_weights_id
from tortoise.checkpoints.merge import MergeInputs, check_mergeable, merge_models

MERGE_METADATA_FILE = "merge.json"


def merge_two_models(
    context: TaskContext, request: MergeModelsRequest, report: ProgressReporter
) -> MergeModelsResult:
    """Merge two models into models/finetunes/NAME; no files are left after an error.

    Raises AppError for a name that is taken, a full disk, and incompatible models.
    """
    layout = context.layout
    target = layout.model(f"finetunes/{validate_name(request.name, 'model')}")
    if target.exists():
        raise AppError(
            f"There is already a model {quote_for_message(request.name)}. Choose another name.",
            code="name_taken",
        )
    if request.first == request.second:
        raise AppError("A model cannot be merged with itself. Choose two models.")
    parents = MergeInputs(
        first=find_model_folder(layout, request.first),
        second=find_model_folder(layout, request.second),
        share=request.share,
    )
    with reraise_as_app_error(ModelFileError):
        with report.stage("check"):
            check_mergeable(parents)
        size = sum(file.stat().st_size for file in list_tensor_files(parents.first))
        _check_disk_space(layout, size)
        hidden = target.with_name(f".{target.name}.part")
        shutil.rmtree(hidden, ignore_errors=True)
        with translate_write_errors(target):
            try:
                mixed = merge_models(parents, hidden, _describe_merge(request), report)
                write_json(hidden / MERGE_METADATA_FILE, _make_merge_metadata(parents, request))
                commit_folder(hidden, target)
            finally:
                shutil.rmtree(hidden, ignore_errors=True)
    return MergeModelsResult(
        name=f"finetunes/{request.name}",
        weights_id=compute_weights_id(target),
        mixed=tuple(mixed),
        size=sum(file.stat().st_size for file in list_tensor_files(target)),
    )


def _describe_merge(request: MergeModelsRequest) -> str:
    second = round(request.share * 100)
    return f"Merged: {100 - second} % {request.first}, {second} % {request.second}"


def _make_merge_metadata(parents: MergeInputs, request: MergeModelsRequest) -> dict[str, object]:
    shares = (1 - request.share, request.share)
    named = (request.first, request.second)
    folders: tuple[Path, Path] = (parents.first, parents.second)
    return {
        "format": 1,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "parents": [
            {"name": name, "weights_id": compute_weights_id(folder), "share": round(share, 6)}
            for name, folder, share in zip(named, folders, shares, strict=True)
        ],
    }


def _check_disk_space(layout: ProjectPaths, needed: int) -> None:
    free = shutil.disk_usage(layout.models).free
    if free < needed + RESERVED_DISK_BYTES:
        raise AppError(
            f"{layout.models.name} has {free / 1e9:.1f} GB free; the merged model needs "
            f"{(needed + RESERVED_DISK_BYTES) / 1e9:.1f} GB. Free some space.",
            code="no_disk",
        )
