"""Small speaker datasets, each speaker with a tone of his own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from speakers.dataset import (
    FeatureFile,
    Speaker,
    SpeakerDataset,
    get_feature_path,
    write_speaker_dataset,
)
from speakers.modules.feature_config import FeatureConfig

FRAMES = 30


def write_tone_dataset(
    folder: Path, speakers: int = 8, files: int = 3, features: FeatureConfig | None = None
) -> SpeakerDataset:
    """Write a preprocessed dataset whose speakers are told apart by their loudest bins."""
    features, random = features or FeatureConfig(), np.random.default_rng(0)
    people = []
    for number in range(speakers):
        utterances = []
        for take in range(files):
            array = random.random((FRAMES + take, features.bins)).astype(np.float32)
            array[:, number::speakers] += 1.0
            file = FeatureFile(path=f"s{number}/u{take}.npy", frames=len(array))
            path = get_feature_path(folder, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, array)
            utterances.append(file)
        people.append(Speaker(id=f"s{number}", name=f"Speaker {number}", files=tuple(utterances)))
    dataset = SpeakerDataset(features=features, speakers=tuple(people))
    write_speaker_dataset(folder, dataset)
    return dataset
