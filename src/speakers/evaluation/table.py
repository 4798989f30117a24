"""Embeddings of utterances, and the table with the mean embedding of every speaker.

n utterances, s speakers, d values of an embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from core.errors import AppError
from core.files import atomic_path

TABLE_SUFFIXES = (".csv", ".parquet")
FACTS = ("speaker", "name", "gender", "utterances")
VALUE_PREFIX = "e"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddedUtterances:
    """embeddings: (n, d) of unit length; speakers, genders ("" unknown), names, files: n each."""

    embeddings: npt.NDArray[np.float32]
    speakers: tuple[str, ...]
    files: tuple[str, ...]
    genders: tuple[str, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for values in (self.speakers, self.files, self.genders, self.names):
            if len(values) != len(self.embeddings):
                raise ValueError(f"{len(self.embeddings)} embeddings, but {len(values)} facts")


def build_speaker_table(utterances: EmbeddedUtterances, max_per_speaker: int = 0) -> pd.DataFrame:
    """Return one row for each speaker: speaker, name, gender, utterances, e0 … of the mean.

    max_per_speaker: only the first so many utterances of each, 0 for all. The mean is normalized to
    unit length.
    """
    frame = pd.DataFrame(
        {
            "speaker": utterances.speakers,
            "name": utterances.names,
            "gender": utterances.genders,
            "row": range(len(utterances.speakers)),
        }
    )
    rows = []
    for speaker, group in frame.groupby("speaker", sort=True):
        chosen = group["row"].to_numpy()[: max_per_speaker or None]
        mean = utterances.embeddings[chosen].mean(0)
        facts = [speaker, group["name"].iloc[0], group["gender"].iloc[0], len(chosen)]
        rows.append([*facts, *(mean / max(float(np.linalg.norm(mean)), 1e-12))])
    values = [f"{VALUE_PREFIX}{index}" for index in range(utterances.embeddings.shape[1])]
    return pd.DataFrame(rows, columns=[*FACTS, *values])


def write_speaker_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV or Parquet, by the suffix, atomically."""
    _check_suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as part:
        if path.suffix.lower() == ".csv":
            table.to_csv(part, index=False)
        else:
            table.to_parquet(part, index=False)


def read_speaker_table(path: Path) -> pd.DataFrame:
    """Read a table that `write_speaker_table` wrote.  Raises AppError for another file."""
    _check_suffix(path)
    try:
        if path.suffix.lower() == ".csv":
            table = pd.read_csv(path, dtype=dict.fromkeys(FACTS[:3], str), keep_default_na=False)
        else:
            table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise AppError(f"{path} cannot be read as a table: {error}") from error
    if not {*FACTS, f"{VALUE_PREFIX}0"} <= set(table.columns):
        raise AppError(f"{path.name} is not a table of speakers: it needs {', '.join(FACTS)}, e0 …")
    return table


def get_embeddings(table: pd.DataFrame) -> npt.NDArray[np.float32]:
    """Return the mean embeddings of a table: (s, d)."""
    columns = [name for name in table.columns if name[1:].isdigit() and name[0] == VALUE_PREFIX]
    return table[columns].to_numpy(np.float32)


def compute_similarity_matrix(embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the cosine similarity of every two rows: (s, d) -> (s, s)."""
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True).clip(1e-12)
    matrix: npt.NDArray[np.float32] = units @ units.T
    return matrix


def rank_similar(
    embedding: npt.NDArray[np.float32], table: pd.DataFrame, count: int = 5
) -> Sequence[tuple[str, float]]:
    """Return the most similar speakers of a table and their similarity.  embedding: (d,)."""
    stacked = np.concatenate([embedding[None], get_embeddings(table)])
    similarity = compute_similarity_matrix(stacked)[0, 1:]
    order = np.argsort(-similarity)[:count]
    return [(str(table["speaker"].iloc[row]), float(similarity[row])) for row in order]


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise AppError(f"{path.name} does not end in {' or '.join(TABLE_SUFFIXES)}.")
