"""Read the index and the audio of a corpus.

A corpus is a folder of shards. `shards/0007.npy` holds the int16 samples of many clips end to end
(mono, 24 kHz), `shards/0007.jsonl` a row for each of them. A shard without an index is incomplete
and ignored.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusRow:
    """One clip of a corpus.

    Rows of a parallel corpus with the same `sentence` have the same words and timing. `durations`
    of `phonemes` (one character each) are in units of 600 samples; both are empty where unknown.
    """

    shard: str
    start: int
    samples: int
    speaker: str
    text: str
    sentence: int = -1
    phonemes: str = ""
    durations: tuple[int, ...] = ()


def read_index(folder: Path) -> list[CorpusRow]:
    """List all clips of the corpus in a fixed order.

    Raises FileNotFoundError when there is no complete shard.
    """
    indexes = sorted((folder / "shards").glob("[0-9]*.jsonl"))
    if not indexes:
        raise FileNotFoundError(f"{folder} has no corpus; create one with recipes.corpus.build")
    lines = [line for path in indexes for line in path.read_text("utf-8").splitlines()]
    return [_parse_row(line) for line in lines]


def _parse_row(line: str) -> CorpusRow:
    row = CorpusRow(**json.loads(line))
    return replace(row, durations=tuple(row.durations))


def read_wave(folder: Path, row: CorpusRow) -> Samples:
    """Return the samples of one clip: (n,) int16 at 24 kHz, memory-mapped."""
    return _open_shard(folder / "shards" / row.shard)[row.start : row.start + row.samples]


@lru_cache(maxsize=4096)
def _open_shard(path: Path) -> Samples:
    mapped: Samples = np.load(path, mmap_mode="r")
    return mapped


def split_held_out(rows: Sequence[CorpusRow]) -> tuple[list[CorpusRow], list[CorpusRow]]:
    """Return training and held-out clips; the last shard is held out.

    Raises ValueError when there is only one.
    """
    last = max(row.shard for row in rows)
    train = [row for row in rows if row.shard != last]
    if not train:
        raise ValueError("the corpus has one shard; it needs two, one of them to be held out")
    return train, [row for row in rows if row.shard == last]
