"""Worker tasks for speaker encoders: preprocess recordings, embed, verify, tabulate and plot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.files import atomic_path
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from engines.device import pick_device
from jobs.models import JobError
from speakers.data.preprocess import PreprocessResult, preprocess
from speakers.embedding import Encoder, load_encoder
from speakers.evaluation.embedding import embed_dataset
from speakers.evaluation.table import (
    EmbeddedUtterances,
    build_speaker_table,
    compute_similarity_matrix,
    get_embeddings,
    write_speaker_table,
)
from speakers.modules.checkpoints import EncoderFileError
from studio.encoders.requests import EvaluateRequest, EvaluateResult, PreprocessRequest
from studio.workers.context import WorkerContext

REGISTRY_PREFIX = "models:/"
PICTURE_SUFFIXES = (".png", ".pdf", ".svg", ".jpg")


def preprocess_task(
    context: WorkerContext, request: PreprocessRequest, report: ProgressReporter
) -> PreprocessResult:
    """Preprocess a dataset in the worker."""
    return preprocess_dataset(context.layout, request, report)


def plot_task(
    context: WorkerContext, request: EvaluateRequest, report: ProgressReporter
) -> EvaluateResult:
    """Draw a picture in the worker."""
    return plot_embeddings(context.layout, request, report)


def preprocess_dataset(
    layout: ProjectPaths, request: PreprocessRequest, report: ProgressReporter
) -> PreprocessResult:
    """Compute the features of a dataset."""
    folder = layout.encoder_dataset(request.name)
    with translate_write_errors(folder), reraise_as_app_error(JobError):
        return preprocess(
            [Path(source).expanduser() for source in request.sources],
            folder,
            request.features,
            request.options,
            request.augmentation,
            report,
        )


def embed_recordings(
    layout: ProjectPaths, request: EvaluateRequest, report: ProgressReporter
) -> EvaluateResult:
    """Write one row for each utterance: file, speaker, gender and the embedding."""
    encoder, utterances, left_out = _embed(layout, request, report)
    values = [f"e{index}" for index in range(utterances.embeddings.shape[1])]
    facts = pd.DataFrame(
        {
            "file": utterances.files,
            "speaker": utterances.speakers,
            "gender": utterances.genders,
        }
    )
    table = pd.concat([facts, pd.DataFrame(utterances.embeddings, columns=values)], axis=1)
    path = Path(request.out)
    if path.suffix.lower() == ".npy":
        with translate_write_errors(path), atomic_path(path) as part, part.open("wb") as file:
            np.save(file, utterances.embeddings, allow_pickle=False)
    else:
        with translate_write_errors(path):
            write_speaker_table(table, path)
    return _make_result(encoder, utterances, left_out, path)


def verify_encoder(
    layout: ProjectPaths, request: EvaluateRequest, report: ProgressReporter
) -> EvaluateResult:
    """Measure the equal error rate; draw the DET curve where a picture is asked for."""
    from speakers.evaluation.verification import make_trials, verify_speakers

    encoder, utterances, left_out = _embed(layout, request, report)
    trials = make_trials(utterances.embeddings, utterances.speakers)
    measured = verify_speakers(trials)
    path = Path(request.out) if request.out else None
    if path is not None:
        from speakers.evaluation.plots import plot_det

        _check_picture(path)
        with translate_write_errors(path):
            plot_det(trials, measured, f"{encoder.name}: {Path(request.data).name}", path)
    return EvaluateResult(
        encoder=encoder.name,
        speakers=len(set(utterances.speakers)),
        utterances=len(utterances.speakers),
        path=str(path or ""),
        eer=measured.eer,
        threshold=measured.threshold,
        same=measured.same,
        different=measured.different,
        left_out=left_out,
    )


def tabulate_speakers(
    layout: ProjectPaths, request: EvaluateRequest, report: ProgressReporter
) -> EvaluateResult:
    """Write the mean embedding of every speaker as CSV or Parquet."""
    encoder, utterances, left_out = _embed(layout, request, report)
    path = Path(request.out)
    with translate_write_errors(path):
        write_speaker_table(build_speaker_table(utterances, request.max_per_speaker), path)
    return _make_result(encoder, utterances, left_out, path)


def plot_embeddings(
    layout: ProjectPaths, request: EvaluateRequest, report: ProgressReporter
) -> EvaluateResult:
    """Draw a projection by speaker and gender, the similarity of all speakers, or a DET curve."""
    if request.method == "det":
        return verify_encoder(layout, request, report)
    from speakers.evaluation.plots import plot_projection, plot_similarity
    from speakers.evaluation.projection import project

    path = Path(request.out)
    _check_picture(path)
    encoder, utterances, left_out = _embed(layout, request, report)
    table = build_speaker_table(utterances, request.max_per_speaker)
    title = f"{encoder.name}: {Path(request.data).name}"
    with translate_write_errors(path), report.stage("plot"):
        if request.method == "similarity":
            matrix = compute_similarity_matrix(get_embeddings(table))
            plot_similarity(matrix, list(table["speaker"]), title, path)
        elif request.level == "speaker":
            points = project(get_embeddings(table), request.method, request.seed)
            plot_projection(points, list(table["speaker"]), list(table["gender"]), title, path)
        else:
            points = project(utterances.embeddings, request.method, request.seed)
            plot_projection(points, utterances.speakers, utterances.genders, title, path)
    return _make_result(encoder, utterances, left_out, path)


def find_encoder(layout: ProjectPaths, name: str, device: str) -> Encoder:
    """Load an encoder by the name of its run, "resemblyzer", its path, or its URI in MLflow."""
    where = pick_device(device)
    if name.startswith(REGISTRY_PREFIX):
        from speakers.tracking.registry import pull_encoder

        return pull_encoder(name, where)
    with reraise_as_app_error(EncoderFileError):
        is_run = "/" not in name and (layout.encoders / "runs" / name).is_dir()
        return load_encoder(layout.encoder_run(name) if is_run else name, where)


def _embed(
    layout: ProjectPaths, request: EvaluateRequest, report: ProgressReporter
) -> tuple[Encoder, EmbeddedUtterances, dict[str, str]]:
    with report.stage("load"):
        encoder = find_encoder(layout, request.encoder, request.device)
    is_name = "/" not in request.data and (layout.encoders / "datasets" / request.data).is_dir()
    data = layout.encoder_dataset(request.data) if is_name else Path(request.data).expanduser()
    return (encoder, *embed_dataset(encoder, data, report, request.layout))


def _make_result(
    encoder: Encoder, utterances: EmbeddedUtterances, left_out: dict[str, str], path: Path
) -> EvaluateResult:
    return EvaluateResult(
        encoder=encoder.name,
        speakers=len(set(utterances.speakers)),
        utterances=len(utterances.speakers),
        path=str(path),
        left_out=left_out,
    )


def _check_picture(path: Path) -> None:
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise AppError(f"{path.name} does not end in one of {', '.join(PICTURE_SUFFIXES)}.")
