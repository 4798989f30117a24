"""Requests of the speaker lab and their results: compare, find speakers, map embeddings. Light."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from core.errors import AppError, InvalidValueError
from core.paths import ProjectPaths, quote_for_message
from speakers.likeness import AUTO_NAME, BUILT_IN_NAME, PUBLISHED_NAME, choose_encoder
from studio.detached_runs import list_folders

__all__ = ["choose_encoder"]

MAP_METHODS = ("tsne", "umap", "pca")
ALL_VOICES = ""
MAX_COMPARED = 40
MAX_PREVIEW_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareSpeakersRequest:
    """Compare clips and voices, each with each.

    clips: references, see studio.voices.uploads;  voices: names;  encoder: see EvaluateRequest.
    """

    clips: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    encoder: str = AUTO_NAME

    def __post_init__(self) -> None:
        count = len(self.clips) + len(self.voices)
        if not 2 <= count <= MAX_COMPARED:
            raise InvalidValueError(
                f"{count} clips and voices are chosen; choose 2 to {MAX_COMPARED}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestSpeaker:
    """The most similar other clip or voice.  sure: probability of one person, None unknown."""

    name: str
    other: str
    cosine: float
    sure: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerComparison:
    """names: n clips and voices;  matrix: n x n cosine similarities, of voices the mean over their
    clips;  left_out: name to reason."""

    encoder: str
    names: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    nearest: tuple[NearestSpeaker, ...]
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindSpeakersRequest:
    """Find who speaks when in a recording.  clip: a reference, see studio.voices.uploads."""

    clip: str
    encoder: str = AUTO_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerTurn:
    """A stretch of one speaker, in seconds.  speaker: from 1, in the order of share."""

    start_s: float
    stop_s: float
    speaker: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSpeaker:
    """A speaker of a recording.  share: of the speech;  cosine, sure: to the main speaker."""

    speaker: int
    seconds: float
    share: float
    cosine: float = 1.0
    sure: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakersInRecording:
    """clip: the reference that was given;  peaks: 0 to 1, evenly over the recording."""

    encoder: str
    name: str
    clip: str
    duration_s: float
    peaks: tuple[float, ...]
    turns: tuple[SpeakerTurn, ...]
    speakers: tuple[FoundSpeaker, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSpeakersRequest:
    """Project the embeddings of recordings onto a plane.

    data: "" for all voices, the name of a finetuning dataset or of a speaker dataset, or a folder.
    """

    data: str = ALL_VOICES
    method: str = MAP_METHODS[0]
    encoder: str = AUTO_NAME
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in MAP_METHODS:
            raise InvalidValueError(
                f"method is {self.method!r}; it must be one of {', '.join(MAP_METHODS)}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPoint:
    """A recording on the map.  x, y: 0 to 1;  file: its path."""

    x: float
    y: float
    speaker: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerMap:
    """points: of recordings, evenly chosen where `total` is more;  left_out: file to reason."""

    encoder: str
    method: str
    data: str
    points: tuple[MapPoint, ...]
    total: int
    left_out: dict[str, str] = field(default_factory=dict)


def list_encoders(layout: ProjectPaths) -> list[tuple[str, str]]:
    """List the encoders that can be chosen, as (label, name)."""
    usual = choose_encoder()
    known = [BUILT_IN_NAME] if usual == BUILT_IN_NAME else [PUBLISHED_NAME, BUILT_IN_NAME]
    runs = [
        folder.name
        for folder in list_folders(layout.encoders / "runs")
        if (folder / "encoder.pt").is_file()
    ]
    return [(f"Automatic ({usual})", AUTO_NAME), *((name, name) for name in [*known, *runs])]


def list_map_data(layout: ProjectPaths) -> list[tuple[str, str]]:
    """List what a map can show, as (label, data of the request)."""
    datasets = [
        (f"Dataset {folder.name}", str(folder))
        for folder in list_folders(layout.training)
        if (folder / "audio").is_dir()
    ]
    speakers = [
        (f"Speaker dataset {folder.name}", str(folder))
        for folder in list_folders(layout.encoders / "datasets")
    ]
    return [("All voices", ALL_VOICES), *datasets, *speakers]


def read_preview(path: str) -> tuple[int, npt.NDArray[np.int16]]:
    """Return sample rate and samples of the first minute of a recording, to play it."""
    file = Path(path)
    try:
        with soundfile.SoundFile(file) as opened:
            frames = int(MAX_PREVIEW_S * opened.samplerate)
            samples = opened.read(frames, dtype="int16", always_2d=True)
            return int(opened.samplerate), samples[:, 0]
    except (OSError, soundfile.LibsndfileError) as error:
        raise AppError(f"{quote_for_message(file.name)} cannot be played: {error}") from error
