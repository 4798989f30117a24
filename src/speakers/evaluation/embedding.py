"""Embed all recordings of a dataset: its feature files, or the recordings of a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from audio.clip import ClipError
from audio.io import read_clip
from core.errors import AppError
from core.progress import ProgressReporter
from speakers.data.discovery import scan_dataset
from speakers.dataset import DATASET_FILE, get_feature_path, read_speaker_dataset
from speakers.embedding import Encoder, embed_clip
from speakers.evaluation.table import EmbeddedUtterances

STAGE = "embed"
AUGMENTED_MARK = ".augmented-"


@dataclass(kw_only=True)
class _Rows:
    embeddings: list[np.ndarray] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    genders: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def to_utterances(self) -> EmbeddedUtterances:
        return EmbeddedUtterances(
            embeddings=np.stack(self.embeddings).astype(np.float32),
            speakers=tuple(self.speakers),
            files=tuple(self.files),
            genders=tuple(self.genders),
            names=tuple(self.names),
        )


def embed_dataset(
    encoder: Encoder, data: Path, report: ProgressReporter, layout: str = "auto"
) -> tuple[EmbeddedUtterances, dict[str, str]]:
    """Embed every utterance of a dataset; return also why files were left out.

    data: a preprocessed dataset, or recordings in one of the layouts. Raises AppError where
    nothing can be embedded, or the features are not those that the encoder reads.
    """
    if (data / DATASET_FILE).is_file():
        return _embed_features(encoder, data, report), {}
    return _embed_recordings(encoder, data, report, layout)


def _embed_features(encoder: Encoder, data: Path, report: ProgressReporter) -> EmbeddedUtterances:
    dataset = read_speaker_dataset(data)
    if dataset.features != encoder.feature_config:
        raise AppError(
            f"{data.name} holds features of kind {dataset.features.kind}; {encoder.name} reads "
            f"{encoder.feature_config.kind}, or other options of it. Give the folder of the "
            "recordings instead, or preprocess them again."
        )
    rows = _Rows()
    files = [
        (speaker, file)
        for speaker in dataset.speakers
        for file in speaker.files
        if AUGMENTED_MARK not in file.path
    ]
    for speaker, file in report.track(files, STAGE):
        features = np.load(get_feature_path(data, file), allow_pickle=False)
        rows.embeddings.append(encoder.embed_features(features))
        rows.speakers.append(speaker.id)
        rows.files.append(file.source or file.path)
        rows.genders.append(speaker.gender or "")
        rows.names.append(speaker.name)
    return rows.to_utterances()


def _embed_recordings(
    encoder: Encoder, data: Path, report: ProgressReporter, layout: str
) -> tuple[EmbeddedUtterances, dict[str, str]]:
    scan = scan_dataset(data, layout)
    left_out = {str(item.path): item.reason for item in scan.left_out}
    rows = _Rows()
    for recording in report.track(scan.recordings, STAGE):
        try:
            embedding = embed_clip(encoder, read_clip(recording.path))
        except (ClipError, OSError) as error:
            left_out[str(recording.path)] = str(error)
            continue
        facts = scan.facts.get(recording.speaker)
        rows.embeddings.append(embedding)
        rows.speakers.append(recording.speaker)
        rows.files.append(str(recording.path))
        rows.genders.append((facts.gender if facts else None) or "")
        rows.names.append(facts.name if facts else "")
    if not rows.embeddings:
        reasons = "; ".join(f"{Path(name).name}: {why}" for name, why in list(left_out.items())[:3])
        raise AppError(f"No recording of {data} can be embedded: {reasons}")
    return rows.to_utterances(), left_out
