"""The files of a preprocessed speaker dataset. Light.

<dataset>/dataset.json                            features, statistics, speakers and their files
<dataset>/features/<speaker>/<utterance>.npy      float32 (frames, bins)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from core.errors import InvalidValueError
from core.files import write_json
from core.serialization import ValidationError, from_dict, to_dict
from speakers.modules.feature_config import FeatureConfig, FeatureStatistics

DATASET_FILE, FEATURES_DIR = "dataset.json", "features"
DATASET_VERSION = 1
MAX_SPEAKERS, MAX_UTTERANCES = 64, 10  # the batch of the published encoders
MIN_SPEAKERS = 2


class SpeakerDatasetError(InvalidValueError):
    """A speaker dataset is missing, damaged, or too small for what it is used for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFile:
    """One utterance. path: the .npy relative to `features`, with forward slashes; source: the
    recording, as given to the preprocessing."""

    path: str
    frames: int
    source: str = ""

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path).parts
        if not parts or self.path.startswith("/") or ".." in parts or "\\" in self.path:
            raise SpeakerDatasetError(f"{self.path!r} is no path inside the folder features.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """One speaker. id: unique in the dataset, the folder below `features`; gender: such as "F",
    None where unknown."""

    id: str
    name: str = ""
    gender: str | None = None
    files: tuple[FeatureFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerDataset:
    """The content of dataset.json."""

    version: int = DATASET_VERSION
    features: FeatureConfig = field(default_factory=FeatureConfig)
    speakers: tuple[Speaker, ...] = ()
    statistics: FeatureStatistics | None = None

    def __post_init__(self) -> None:
        if self.version != DATASET_VERSION:
            raise SpeakerDatasetError(
                f"{DATASET_FILE} has version {self.version}; this program reads version "
                f"{DATASET_VERSION}. Preprocess the recordings again."
            )


def read_speaker_dataset(folder: Path) -> SpeakerDataset:
    """Read dataset.json.  Raises SpeakerDatasetError where it is missing or damaged."""
    path = folder / DATASET_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpeakerDatasetError(
            f"{folder} has no {DATASET_FILE}. Preprocess the recordings first."
        ) from None
    except (OSError, ValueError) as error:
        raise SpeakerDatasetError(f"{path} cannot be read: {error}") from error
    try:
        return from_dict(SpeakerDataset, content)
    except ValidationError as error:
        raise SpeakerDatasetError(f"{path}: {error}") from error


def write_speaker_dataset(folder: Path, dataset: SpeakerDataset) -> None:
    """Write dataset.json atomically."""
    write_json(folder / DATASET_FILE, to_dict(dataset))


def get_feature_path(folder: Path, file: FeatureFile) -> Path:
    """Return the .npy file of an utterance."""
    return folder / FEATURES_DIR / file.path


def suggest_batch_shape(files_per_speaker: Sequence[int]) -> tuple[int, int]:
    """Return speakers and utterances of a batch for a dataset: at most 64 x 10.

    A speaker with few files gives several crops of each.
    """
    usable = sorted(count for count in files_per_speaker if count)
    if len(usable) < MIN_SPEAKERS:
        raise SpeakerDatasetError("A batch needs two speakers with utterances.")
    median = usable[len(usable) // 2]
    utterances = min(MAX_UTTERANCES, max(4, median))
    speakers = min(MAX_SPEAKERS, max(MIN_SPEAKERS, len(usable) // 2), len(usable))
    return speakers, utterances
