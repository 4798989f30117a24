"""A history of thousands of clips: listed at once, read in the background, searched, deleted."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import soundfile

from campaigns.figures import Figures
from core.paths import ProjectPaths
from studio.history.query import Search
from studio.history.service import MAX_FILES_AT_ONCE, History
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import write_metadata

WORDS = ("evening", "harbour", "lantern", "meadow", "thunder")
PATIENCE_S = 300.0


def write_clips(folder: Path, count: int) -> None:
    """Write clips with settings, one word of WORDS in each text."""
    folder.mkdir(parents=True)
    for at, word in enumerate(WORDS):
        record = TakeMetadata(
            text=f"Good {word}.", voice="alice", engine="tortoise", bundle="starter",
            weights_id="0" * 16, seed=at, options={}, delivery={},
        )  # fmt: skip
        first = folder / f"{at:05d}-clip.wav"
        soundfile.write(first, np.zeros(240, np.int16), 24_000)
        write_metadata(first, record)
    contents = [path.read_bytes() for path in sorted(folder.iterdir())]
    for number in range(len(WORDS), count):
        (folder / f"{number:05d}-clip.wav").write_bytes(contents[number % len(WORDS)])


def use_history(folder: Path, count: int) -> Figures:
    """List, search, delete and restore in a history of `count` new clips."""
    layout = ProjectPaths.from_root(folder)
    write_clips(layout.results / "alice", count)
    history = History.open(layout)
    history.update()
    first = history.find(Search())
    assert 0 < first.total <= max(MAX_FILES_AT_ONCE, count), "nothing is listed at first"
    deadline = time.monotonic() + PATIENCE_S
    while history.scan_status.running:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found = History.open(layout).find(Search())
    lost = count - found.total
    for word in WORDS:
        lost += abs(history.find(Search(words=word)).total - count // len(WORDS))
    refs = [row.ref for row in found.rows]
    deletion = history.delete(refs)
    lost += count - len(refs) - history.find(Search()).total
    history.restore(deletion.id)
    lost += count - history.find(Search()).total
    size = layout.history_db.stat().st_size
    assert size < 50_000_000 * max(count, 1_000) / 10_000, f"the index has {size:,} bytes"
    return Figures(files=count, lost=lost)
