"""Preprocess SV2TTS datasets, embed their utterances, predict mels for the vocoder."""

from __future__ import annotations

from pathlib import Path

import torch

from core.errors import InvalidValueError, reraise_as_app_error, translate_write_errors
from core.paths import ProjectPaths, validate_name
from core.progress import ProgressReporter
from speakers.embedding import Encoder
from studio.datasets.gold_finetune import find_finetunable_model, list_finetunable_models
from studio.sv2tts.requests import (
    DatasetResult,
    EmbedRequest,
    PreprocessRequest,
    VocoderPreprocessRequest,
)
from studio.sv2tts.service import find_dataset, get_datasets_folder
from studio.workers.context import WorkerContext
from studio.workers.encoders.evaluation import find_encoder
from sv2tts.checkpoints import load_published_synthesizer, load_speaker_encoder, read_config
from sv2tts.data.ground_truth_aligned import predict_mels
from sv2tts.data.preprocessing import (
    PreprocessOptions,
    adopt_model_format,
    embed_dataset,
    preprocess,
)
from sv2tts.data.sources import find_sources
from sv2tts.data.train_list import TrainItem, read_train_list
from sv2tts.mel import SYNTHESIZER_MEL
from sv2tts.modules.tacotron import Tacotron


def preprocess_task(
    context: WorkerContext, request: PreprocessRequest, report: ProgressReporter
) -> DatasetResult:
    """Make a dataset in the worker."""
    return preprocess_dataset(context.layout, request, report)


def embed_task(
    context: WorkerContext, request: EmbedRequest, report: ProgressReporter
) -> DatasetResult:
    """Embed a dataset in the worker."""
    return embed_utterances(context.layout, request, report)


def predict_mels_task(
    context: WorkerContext, request: VocoderPreprocessRequest, report: ProgressReporter
) -> DatasetResult:
    """Predict the mels of a dataset in the worker."""
    return predict_dataset_mels(context.layout, request, report)


def preprocess_dataset(
    layout: ProjectPaths, request: PreprocessRequest, report: ProgressReporter
) -> DatasetResult:
    """Make a synthesizer dataset from recordings with texts."""
    folder = get_datasets_folder(layout) / validate_name(request.dataset, "dataset")
    with reraise_as_app_error(InvalidValueError, ValueError), translate_write_errors(folder):
        sources, left_out = find_sources(
            Path(request.source).expanduser(),
            request.layout,
            request.subfolders,
            alignments=request.alignments,
        )
        options = PreprocessOptions(trim=request.trim, skip_existing=request.skip_existing)
        if request.model:
            options = adopt_model_format(options, find_finetunable_model(layout, request.model))
        made = preprocess(sources, folder, options, report)
    return _describe(request.dataset, folder, made.items, {**left_out, **made.left_out})


def embed_utterances(
    layout: ProjectPaths, request: EmbedRequest, report: ProgressReporter
) -> DatasetResult:
    """Embed each utterance of a dataset."""
    folder = find_dataset(layout, request.dataset)
    with reraise_as_app_error(InvalidValueError), translate_write_errors(folder):
        encoder = _find_encoder(layout, request.encoder)
        left_out = embed_dataset(
            folder, encoder.embed_wave, report, skip_existing=request.skip_existing
        )
        items = read_train_list(folder)
    return _describe(request.dataset, folder, items, left_out)


def predict_dataset_mels(
    layout: ProjectPaths, request: VocoderPreprocessRequest, report: ProgressReporter
) -> DatasetResult:
    """Predict the mels of a dataset with a synthesizer."""
    folder = find_dataset(layout, request.dataset)
    with reraise_as_app_error(InvalidValueError, ValueError), translate_write_errors(folder):
        model = load_synthesizer_file(layout, request.synthesizer)
        predict_mels(folder, model, report)
        items = read_train_list(folder)
    return _describe(request.dataset, folder, items, {})


def _find_encoder(layout: ProjectPaths, name: str) -> Encoder:
    """Return the encoder of a model, or what `find_encoder` finds."""
    if name in list_finetunable_models(layout):
        model = layout.model(name)
        return load_speaker_encoder(model, read_config(model), torch.device("cpu"))
    return find_encoder(layout, name, "cpu")


def load_synthesizer_file(layout: ProjectPaths, name: str) -> Tacotron:
    """Load a synthesizer from a run, by its name, or from a file."""
    run = layout.training / "sv2tts" / "runs" / name / "synthesizer.pt"
    path = run if run.is_file() else Path(name).expanduser()
    return load_published_synthesizer(path).eval().requires_grad_(False)


def _describe(
    name: str,
    folder: Path,
    items: list[TrainItem] | tuple[TrainItem, ...],
    left_out: dict[str, str],
) -> DatasetResult:
    seconds = sum(item.samples for item in items) / SYNTHESIZER_MEL.sample_rate
    return DatasetResult(
        name=name,
        folder=str(folder),
        utterances=len(items),
        hours=seconds / 3600,
        left_out=left_out,
    )
