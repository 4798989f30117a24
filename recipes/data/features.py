"""Mels of a whole corpus, computed once and memory-mapped.

`features/<kind>/0007.npy` holds the frames of shard 0007, clip after clip, so the place of a clip
follows from the lengths of the clips before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from audio.mel import GPT_MEL, VOCODER_MEL, log_mel, resample
from core.files import atomic_path
from core.progress import ProgressReporter
from recipes.corpus.reader import CorpusRow, read_wave
from recipes.corpus.speakers import SAMPLE_RATE

MelKind = Literal["gpt", "vocoder"]
MEL_SPECS = {"gpt": GPT_MEL, "vocoder": VOCODER_MEL}


def count_frames(row: CorpusRow, kind: MelKind) -> int:
    """Return the number of mel frames of a clip."""
    spec = MEL_SPECS[kind]
    samples = -(-row.samples * spec.sample_rate // SAMPLE_RATE)
    return 1 + samples // spec.hop


def write_features(
    corpus: Path, rows: Sequence[CorpusRow], kind: MelKind, processes: int, report: ProgressReporter
) -> None:
    """Compute the missing log-mels; float16 (f, bands)."""
    missing = find_missing_shards(corpus / "features" / kind, ".npy", rows)
    with ProcessPoolExecutor(processes) as pool:
        done = pool.map(partial(_write_shard, corpus, kind), missing)
        for _ in report.track(done, f"{kind} mels", len(missing)):
            pass


def _write_shard(corpus: Path, kind: MelKind, rows: Sequence[CorpusRow]) -> None:
    torch.set_num_threads(1)
    frames = np.concatenate([compute_clip_mel(corpus, row, kind) for row in rows])
    save_array(corpus / "features" / kind / rows[0].shard, frames)


def compute_clip_mel(corpus: Path, row: CorpusRow, kind: MelKind) -> np.ndarray:
    """Compute the log-mel of one clip: (f, bands) float16."""
    wave = torch.from_numpy(read_wave(corpus, row).astype(np.float32) / 32768.0)
    spec = MEL_SPECS[kind]
    mel = log_mel(resample(wave, SAMPLE_RATE, spec.sample_rate), spec)[0]
    frames: np.ndarray = mel.T.to(torch.float16).numpy()
    if len(frames) != count_frames(row, kind):
        raise ValueError(f"{row.shard} {row.start}: {len(frames)} frames, not the expected number")
    return frames


def find_missing_shards(
    folder: Path, suffix: str, rows: Sequence[CorpusRow]
) -> list[list[CorpusRow]]:
    """Create the folder; return the rows of every shard that has no file in it."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = [list(group) for _, group in groupby(rows, key=lambda row: row.shard)]
    return [g for g in shards if not (folder / g[0].shard).with_suffix(suffix).exists()]


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an array atomically."""
    with atomic_path(path) as part:
        np.save(part, array)


class MelDataset:
    """The mels of all clips of some shards: `features[i]` is the log-mel (f, bands) of rows[i]."""

    def __init__(self, corpus: Path, rows: Sequence[CorpusRow], kind: MelKind) -> None:
        self._shards: dict[str, np.ndarray] = {}
        self._clip_ranges: list[tuple[str, int, int]] = []
        for shard, group in groupby(rows, key=lambda row: row.shard):
            self._shards[shard] = np.load(corpus / "features" / kind / shard, mmap_mode="r")
            start = 0
            for row in group:
                length = count_frames(row, kind)
                self._clip_ranges.append((shard, start, length))
                start += length

    def __len__(self) -> int:
        return len(self._clip_ranges)

    def __getitem__(self, index: int) -> Tensor:
        shard, start, length = self._clip_ranges[index]
        return torch.from_numpy(self._shards[shard][start : start + length].astype(np.float32))

    def crop(self, index: int, frames: int, generator: torch.Generator) -> Tensor:
        """Cut a random window of at most `frames` frames: (f, bands)."""
        shard, start, length = self._clip_ranges[index]
        spare = max(0, length - frames)
        first = start + int(torch.randint(spare + 1, (1,), generator=generator))
        piece = self._shards[shard][first : first + min(frames, length)]
        return torch.from_numpy(piece.astype(np.float32))
