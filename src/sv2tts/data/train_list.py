"""A preprocessed dataset: `train.txt` beside the folders mels, audio and embeds.

A line is `audio|mel|embed|samples|frames|text`, as Real-Time Voice Cloning writes it; the columns
before the numbers are file names in those folders. Shapes: f frames, m mel bands, s embedding.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.errors import InvalidValueError
from core.files import write_text

TRAIN_FILE, SYNTHESIZED_FILE = "train.txt", "synthesized.txt"
VALIDATION_FILE = "validation.txt"  # utterances kept apart, where the dataset chooses them
ALIGNMENTS_DIR = "alignments"  # (t,) first frame of each symbol, named as the mel; optional
MELS_DIR, AUDIO_DIR, EMBEDS_DIR, GTA_DIR = "mels", "audio", "embeds", "mels_gta"
BUCKET_BATCHES = 32  # batches that are sorted by length together


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainItem:
    """One utterance."""

    audio: str
    mel: str
    embed: str
    samples: int
    frames: int
    text: str

    def __str__(self) -> str:
        return "|".join(
            (self.audio, self.mel, self.embed, str(self.samples), str(self.frames), self.text)
        )


def read_train_list(folder: Path, name: str = TRAIN_FILE) -> list[TrainItem]:
    """Read the utterances of a dataset. Raises InvalidValueError naming a bad line."""
    path = folder / name
    if not path.is_file():
        raise InvalidValueError(
            f"{folder} has no {name}. Preprocess the recordings first, or choose another folder."
        )
    items = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        columns = line.split("|", 5)
        if len(columns) != 6 or not (columns[3].isdigit() and columns[4].isdigit()):
            raise InvalidValueError(
                f"{path}, line {number}: expected audio|mel|embed|samples|frames|text."
            )
        if any("/" in name or "\\" in name for name in columns[:3]):
            raise InvalidValueError(f"{path}, line {number}: a file name may hold no folder.")
        audio, mel, embed, samples, frames, text = columns
        items.append(
            TrainItem(
                audio=audio,
                mel=mel,
                embed=embed,
                samples=int(samples),
                frames=int(frames),
                text=text,
            )
        )
    return items


def write_train_list(folder: Path, items: Iterable[TrainItem], name: str = TRAIN_FILE) -> None:
    """Write the utterances of a dataset."""
    write_text(folder / name, "".join(f"{item}\n" for item in items))


def load_mel(folder: Path, item: TrainItem, directory: str = MELS_DIR) -> Tensor:
    """Load a mel: (m, f). Raises InvalidValueError for a file of another shape."""
    mel = _load_array(folder / directory / item.mel)
    if mel.ndim != 2:
        raise InvalidValueError(f"{item.mel} is {mel.shape}; a mel is (frames, bands).")
    return torch.from_numpy(mel.T.copy())


def load_alignment(folder: Path, item: TrainItem) -> Tensor | None:
    """Load the first frame of each symbol: (t,), None where it is not known."""
    path = folder / ALIGNMENTS_DIR / item.mel
    return torch.from_numpy(_load_array(path)) if path.is_file() else None


def load_embedding(folder: Path, item: TrainItem) -> Tensor:
    """Load a speaker embedding: (s,)."""
    return torch.from_numpy(_load_array(folder / EMBEDS_DIR / item.embed))


def load_audio(folder: Path, item: TrainItem) -> Tensor:
    """Load a wave at 16 kHz: (n,)."""
    return torch.from_numpy(_load_array(folder / AUDIO_DIR / item.audio))


def split_validation(
    items: Sequence[TrainItem], share: float, seed: int
) -> tuple[list[TrainItem], list[TrainItem]]:
    """Return the items to train on and those kept apart, chosen by the seed."""
    order = random.Random(seed).sample(range(len(items)), len(items))
    count = min(round(len(items) * share), max(len(items) - 1, 0))
    apart = set(order[:count])
    return (
        [item for index, item in enumerate(items) if index not in apart],
        [item for index, item in enumerate(items) if index in apart],
    )


def draw_batch(
    items: Sequence[TrainItem], batch_size: int, step: int, seed: int
) -> list[TrainItem]:
    """Return the batch of a step; utterances of like length stand together.

    Depends on step and seed only, so that a resumed training goes on with the same batches.
    """
    size = min(batch_size, len(items))
    bucket = size * BUCKET_BATCHES
    window, number = divmod(step, BUCKET_BATCHES)
    start = window * bucket
    chosen = [items[_shuffled(start + offset, len(items), seed)] for offset in range(bucket)]
    chosen.sort(key=lambda item: item.frames)
    order = random.Random(f"{seed} {window}").sample(range(BUCKET_BATCHES), BUCKET_BATCHES)
    first = order[number] * size
    return chosen[first : first + size]


def _shuffled(position: int, count: int, seed: int) -> int:
    """Return the item at a position of the endless sequence of shuffled epochs."""
    epoch, index = divmod(position, count)
    return _epoch_order(epoch, count, seed)[index]


@lru_cache(maxsize=4)
def _epoch_order(epoch: int, count: int, seed: int) -> list[int]:
    return random.Random(f"{seed} {epoch}").sample(range(count), count)


def _load_array(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidValueError(
            f"{path} cannot be read ({error}). Preprocess the recordings again."
        ) from error
    return np.asarray(array, dtype=np.float32)
