"""Batches of speakers x utterances: which speakers, which of their files, which crops.

Shapes: n speakers, m utterances of each, f frames, c bins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from speakers.dataset import (
    MIN_SPEAKERS,
    FeatureFile,
    Speaker,
    SpeakerDataset,
    SpeakerDatasetError,
    get_feature_path,
)
from speakers.modules.features import normalize_features
from speakers.training.config import EncoderTrainConfig

MAX_CACHED_BYTES = 1_000_000_000

# Any: state dicts.


class ShufflingCycler:
    """Draw items in random order, each as often as the others.

    With n items and k draws, each is drawn k // n to (k - 1) // n + 1 times, and at most 2 (n - 1)
    others lie between two of its draws. A call for up to n items gives no item twice.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.rest: list[int] = []

    def draw(self, count: int, generator: torch.Generator) -> list[int]:
        """Return the next `count` items."""
        drawn: list[int] = []
        while len(drawn) < count:
            if not self.rest:
                order = torch.randperm(self.size, generator=generator).tolist()
                recent = set(drawn[-(len(drawn) % self.size) :]) if len(drawn) % self.size else ()
                self.rest = [item for item in order if item not in recent]
                self.rest += [item for item in order if item in recent]
            drawn.append(self.rest.pop(0))
        return drawn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """frames: (n * m, f, c), speaker after speaker;  speakers: (n,) their indices."""

    frames: Tensor
    speakers: Tensor


class FeatureStore:
    """The features of a dataset, normalized; kept in memory up to a gigabyte."""

    def __init__(self, folder: Path, dataset: SpeakerDataset) -> None:
        self._folder = folder
        self._method = dataset.features.normalization
        self._bins = dataset.features.bins
        known = dataset.statistics
        self._mean = None if known is None else np.array(known.mean)
        self._std = None if known is None else np.array(known.std)
        self._cached: dict[str, npt.NDArray[np.float32]] = {}
        self._cached_bytes = 0

    def read(self, file: FeatureFile) -> npt.NDArray[np.float32]:
        """Return the features of an utterance: (f, c).  Raises SpeakerDatasetError."""
        if (known := self._cached.get(file.path)) is not None:
            return known
        path = get_feature_path(self._folder, file)
        try:
            features = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise SpeakerDatasetError(f"{path} cannot be read: {error}") from error
        if features.ndim != 2 or features.shape[1] != self._bins or not len(features):
            raise SpeakerDatasetError(
                f"{path} holds an array of shape {features.shape}; it must be (frames, "
                f"{self._bins}). Preprocess the recordings again."
            )
        ready = normalize_features(features, self._method, self._mean, self._std)
        ready = ready.astype(np.float32)
        if self._cached_bytes + ready.nbytes <= MAX_CACHED_BYTES:
            self._cached[file.path] = ready
            self._cached_bytes += ready.nbytes
        return ready


class BatchSampler:
    """Draw batches; the same seed gives the same batches, and a saved state continues them."""

    def __init__(
        self,
        store: FeatureStore,
        speakers: Sequence[Speaker],
        config: EncoderTrainConfig,
        seed: int,
        *,
        augment: bool,
    ) -> None:
        self._store, self._speakers, self._config = store, speakers, config
        self._augment = augment
        self._generator = torch.Generator().manual_seed(seed)
        self._order = ShufflingCycler(len(speakers))
        self._files = [ShufflingCycler(len(speaker.files)) for speaker in speakers]

    def draw(self) -> Batch:
        """Return the next batch."""
        config, generator = self._config, self._generator
        count = min(config.speakers_per_batch, len(self._speakers))
        chosen = self._order.draw(count, generator)
        frames = self._draw_length()
        crops = []
        for index in chosen:
            files = self._speakers[index].files
            for number in self._files[index].draw(config.utterances_per_speaker, generator):
                crops.append(self._crop(self._store.read(files[number]), frames))
        batch = torch.stack(crops)
        return Batch(
            frames=self._augment_batch(batch) if self._augment else batch,
            speakers=torch.tensor(chosen),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` continues from."""
        return {
            "generator": self._generator.get_state(),
            "speakers": list(self._order.rest),
            "files": [list(cycler.rest) for cycler in self._files],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state.  Raises SpeakerDatasetError where the dataset has changed."""
        if len(state["files"]) != len(self._files):
            raise SpeakerDatasetError(
                f"The saved state belongs to {len(state['files'])} speakers; the dataset has "
                f"{len(self._files)} now. Restore it, or restart the training."
            )
        self._generator.set_state(state["generator"])
        self._order.rest = list(state["speakers"])
        for cycler, rest in zip(self._files, state["files"], strict=True):
            cycler.rest = [item for item in rest if item < cycler.size]

    def _draw_length(self) -> int:
        longest, shortest = self._config.crop_frames, self._config.min_crop_frames
        if not self._augment or not shortest:
            return longest
        return self._draw_int(shortest, longest)

    def _crop(self, features: npt.NDArray[np.float32], frames: int) -> Tensor:
        """Return a random crop; a short utterance is padded on both sides with its minimum."""
        spare = len(features) - frames
        if spare >= 0:
            start = self._draw_int(0, spare)
            return torch.from_numpy(features[start : start + frames])
        before = self._draw_int(0, -spare)
        floor = features.min(0, keepdims=True)
        parts = [np.repeat(floor, before, 0), features, np.repeat(floor, -spare - before, 0)]
        return torch.from_numpy(np.concatenate(parts))

    def _augment_batch(self, batch: Tensor) -> Tensor:
        config, count = self._config, len(batch)
        if config.gain_db:
            gain = (2 * torch.rand(count, 1, 1, generator=self._generator) - 1) * config.gain_db
            batch = batch * 10 ** (gain / 10)
        for axis, most in ((1, config.mask_frames), (2, config.mask_bins)):
            if most:
                batch = self._mask(batch, axis, min(most, batch.shape[axis] - 1))
        return batch

    def _mask(self, batch: Tensor, axis: int, most: int) -> Tensor:
        """Replace a random stretch of each crop by the crop's mean."""
        size, count = batch.shape[axis], len(batch)
        random = torch.rand(2, count, 1, generator=self._generator)
        width = (random[0] * (most + 1)).floor()
        start = (random[1] * (size - width + 1)).floor()
        at = torch.arange(size)[None]
        masked = (at >= start) & (at < start + width)  # (count, size)
        mean = batch.mean((1, 2), keepdim=True)
        return torch.where(masked[:, :, None] if axis == 1 else masked[:, None], mean, batch)

    def _draw_int(self, low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=self._generator))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerSplit:
    """Speakers to train on and others to validate on; the files of each as they are used."""

    train: tuple[Speaker, ...]
    validation: tuple[Speaker, ...]


def split_speakers(dataset: SpeakerDataset, share: float, seed: int) -> SpeakerSplit:
    """Keep a random share of the speakers, two or more, apart for validation; none for 0.

    Raises SpeakerDatasetError where fewer than two remain for either.
    """
    usable = [speaker for speaker in dataset.speakers if speaker.files]
    kept = max(MIN_SPEAKERS, round(len(usable) * share)) if share else 0
    if len(usable) - kept < MIN_SPEAKERS:
        raise SpeakerDatasetError(
            f"The dataset has {len(usable)} speakers with utterances; training needs "
            f"{MIN_SPEAKERS} and validation {kept}. Add speakers, or lower validation_share."
        )
    order = torch.randperm(len(usable), generator=torch.Generator().manual_seed(seed)).tolist()
    apart = set(order[:kept])
    return SpeakerSplit(
        train=tuple(one for index, one in enumerate(usable) if index not in apart),
        validation=tuple(one for index, one in enumerate(usable) if index in apart),
    )


def compute_cycle_steps(
    speakers: Sequence[Speaker], config: EncoderTrainConfig, at_least: int = 1
) -> int:
    """Return how many batches show every crop of each speaker's files about once."""
    files = [file for speaker in speakers for file in speaker.files]
    chunks = sum(max(1, file.frames // config.crop_frames) for file in files)
    groups = len(speakers) // max(config.speakers_per_batch, 1)
    crops = chunks // max(len(speakers), 1)  # of each speaker
    return max(at_least, groups * (crops // max(config.utterances_per_speaker, 1)))
