"""Small waveforms of the clips in a list, computed once and kept in the index."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from studio.history.index import iter_batches

BARS = 64
LEVELS = 16  # a hexadecimal digit each


def compute_bars(file: Path) -> str:
    """Return the loudest sample of each of 64 parts of a file as a hexadecimal digit.

    The loudest part has the digit f. "" for a file that cannot be decoded.
    """
    from studio.history.waveform import read_waveform  # with numpy: the command line lists without

    peaks = read_waveform(file).peaks
    if not peaks or not max(peaks):
        return "0" * BARS if peaks else ""
    starts = [len(peaks) * bar // BARS for bar in range(BARS)]
    ends = [max(start + 1, len(peaks) * (bar + 1) // BARS) for bar, start in enumerate(starts)]
    heights = (max(peaks[start:end]) for start, end in zip(starts, ends, strict=True))
    return "".join(f"{round((LEVELS - 1) * height / max(peaks)):x}" for height in heights)


def read_bars(db: sqlite3.Connection, paths: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the kept waveforms of indexed files, and the files that have none yet."""
    kept: dict[str, str] = {}
    missing: list[str] = []
    for some in iter_batches(paths):
        marks = ", ".join("?" * len(some))
        found = db.execute(
            "select files.path, bars from files left join peaks on peaks.path = files.path"
            f" and peaks.seen = files.seen where files.path in ({marks})",
            some,
        )
        for row in found:
            if row["bars"] is None:
                missing.append(row["path"])
            else:
                kept[row["path"]] = row["bars"]
    return kept, missing


def write_bars(db: sqlite3.Connection, bars: Mapping[str, str]) -> None:
    """Keep the waveforms of indexed files, until a file changes."""
    db.executemany(
        "insert or replace into peaks(path, seen, bars)"
        " select path, seen, ? from files where path = ?",
        [(text, path) for path, text in bars.items()],
    )
