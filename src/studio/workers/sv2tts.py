"""Worker tasks of SV2TTS: preprocess, embed, predict mels for the vocoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.errors import InvalidValueError, reraise_as_app_error, translate_write_errors
from core.paths import ProjectPaths, validate_name
from core.progress import ProgressReporter
from speakers.embedding import load_encoder
from studio.sv2tts.requests import (
    DatasetResult,
    EmbedRequest,
    PreprocessRequest,
    VocoderPreprocessRequest,
)
from studio.sv2tts.service import find_dataset, get_datasets_folder
from sv2tts.checkpoints import infer_tacotron_config, read_published_weights
from sv2tts.data.ground_truth_aligned import predict_mels
from sv2tts.data.preprocessing import PreprocessOptions, embed_dataset, preprocess
from sv2tts.data.sources import find_sources
from sv2tts.data.train_list import TrainItem, read_train_list
from sv2tts.mel import SYNTHESIZER_MEL
from sv2tts.modules.tacotron import Tacotron


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
        made = preprocess(sources, folder, options, report)
    return _describe(request.dataset, folder, made.items, {**left_out, **made.left_out})


def embed_utterances(
    layout: ProjectPaths, request: EmbedRequest, report: ProgressReporter
) -> DatasetResult:
    """Embed each utterance of a dataset."""
    folder = find_dataset(layout, request.dataset)
    with reraise_as_app_error(InvalidValueError), translate_write_errors(folder):
        encoder = load_encoder(request.encoder)

        def embed(wave: np.ndarray) -> np.ndarray:
            return encoder.embed_wave(wave)

        left_out = embed_dataset(folder, embed, report, skip_existing=request.skip_existing)
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


def load_synthesizer_file(layout: ProjectPaths, name: str) -> Tacotron:
    """Load a synthesizer from a run, by its name, or from a file."""
    run = layout.training / "sv2tts" / "runs" / name / "synthesizer.pt"
    weights = read_published_weights(run if run.is_file() else Path(name).expanduser())
    model = Tacotron(infer_tacotron_config(weights))
    model.load_state_dict(weights, strict=True)
    return model.eval().requires_grad_(False)


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
