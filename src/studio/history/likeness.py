"""How alike clips are to their voice: what is measured, and what is not yet.

A worker measures with a speaker encoder and writes into the index, where lists are sorted by it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from studio.synthesis.output_paths import RANKS_PER_LINE

_UNMEASURED = f"rank < {RANKS_PER_LINE} and likeness_by != ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureLikenessRequest:
    """Compare all clips that were not compared yet with their voice.  encoder: see speakers."""

    encoder: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class LikenessResult:
    """measured: clips and candidates with a similarity;  skipped: voice to the reason."""

    encoder: str
    measured: int
    skipped: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmeasuredFile:
    """A clip or candidate to compare.  seen: its fingerprint in the index."""

    path: str
    seen: str
    voice: str


def count_unmeasured(db: sqlite3.Connection, encoder: str) -> int:
    """Return how many clips and candidates were not compared with an encoder."""
    found = db.execute(f"select count(*) from files where {_UNMEASURED}", [encoder]).fetchone()
    return int(found[0])


def list_unmeasured(db: sqlite3.Connection, encoder: str) -> list[UnmeasuredFile]:
    """List the clips and candidates that were not compared with an encoder, newest first."""
    found = db.execute(
        f"select path, seen, speaker, voice from files where {_UNMEASURED} order by created desc",
        [encoder],
    )
    return [
        UnmeasuredFile(path=row["path"], seen=row["seen"], voice=row["speaker"] or row["voice"])
        for row in found
    ]


def write_likeness(
    db: sqlite3.Connection, measured: Mapping[UnmeasuredFile, float | None], encoder: str
) -> None:
    """Write similarities, None where there is none; files that changed meanwhile are skipped."""
    db.executemany(
        "update files set likeness = ?, likeness_by = ? where path = ? and seen = ?",
        [(value, encoder, file.path, file.seen) for file, value in measured.items()],
    )
