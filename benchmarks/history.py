"""Time of the history with many clips.

    python benchmarks/history.py [--clips 10000] [--root FOLDER]

The clips are tiny, but real: each a WAV file with its settings inside, some with lines and
candidates. They are made once per FOLDER (default: under build/). Prints one JSON object;
`open_ms` is the time to the first page of results.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median

import numpy
import soundfile

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from core.paths import ProjectPaths  # noqa: E402
from core.progress import ProgressReporter  # noqa: E402
from studio.history.query import Search  # noqa: E402
from studio.history.service import History  # noqa: E402
from studio.schemas.take_metadata import TakeMetadata  # noqa: E402
from studio.synthesis.audio_metadata import write_metadata  # noqa: E402

VOICES = ("alice", "bob", "clara", "david", "emma")
SENTENCE = "the of and a to in is was he for it with as his on be at by I this had not are"
WORDS = tuple(word for word in SENTENCE.split())
RARE = "heliotrope"  # in one clip of a hundred
LINES_EVERY = 5  # so many clips share one that has lines and a candidate


def make_clips(results: Path, count: int) -> None:
    """Write the missing clips with metadata."""
    rng = random.Random(0)
    for number in range(count):
        voice = VOICES[number % len(VOICES)]
        final = results / voice / f"{number:05d}-clip.wav"
        if final.exists():
            continue
        text = " ".join(rng.choices(WORDS, k=30)) + (f" {RARE}" if number % 100 == 0 else "")
        when = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(minutes=number)
        record = TakeMetadata(
            text=text,
            voice=voice,
            engine="tortoise",
            bundle="starter",
            weights_id="0" * 16,
            seed=number,
            options={"temperature": 0.8, "samples": 16},
            delivery={"pause_s": 0.3},
            score=rng.random(),
            duration_s=rng.uniform(1, 20),
            created=when.isoformat(),
        )
        files = [final]
        if number % LINES_EVERY == 0:
            files.append(final.with_name(f"{final.stem}.candidate-2.wav"))
            files += [final.with_name(f"{final.stem}.lines") / f"{k:03d}.wav" for k in (1, 2, 3)]
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, numpy.zeros(240), 24_000)
            write_metadata(
                path, replace(record, text=text[:40] if path.parent != final.parent else text)
            )


def measure(layout: ProjectPaths) -> Iterator[tuple[str, float]]:
    """Yield the name and the milliseconds of each operation."""
    layout.history_db.unlink(missing_ok=True)
    yield "first_scan", time_call_ms(lambda: History.open(layout).scan(ProgressReporter()))
    yield "later_scan", median_call_ms(lambda: History.open(layout).scan(ProgressReporter()))
    yield "open", median_call_ms(lambda: History.open(layout).find(Search()))
    history = History.open(layout)
    yield "first_page", median_call_ms(lambda: history.find(Search()))
    yield "last_page", median_call_ms(lambda: history.find(Search(), start=9_900))
    yield "by_score", median_call_ms(lambda: history.find(Search(order="score")))
    yield "rare_word", median_call_ms(lambda: history.find(Search(words=RARE)))
    yield "common_words", median_call_ms(lambda: history.find(Search(words="the of")))
    yield (
        "filtered",
        median_call_ms(lambda: history.find(Search(words="the", voice="bob", since=1.78e9))),
    )
    yield "choices", median_call_ms(history.get_filter_choices)
    yield "look_at_folders", median_call_ms(history.has_changed)


def time_call_ms(work: Callable[[], object]) -> float:
    """Return the milliseconds of one call."""
    started_at = time.perf_counter()
    work()
    return 1_000 * (time.perf_counter() - started_at)


def median_call_ms(work: Callable[[], object]) -> float:
    """Return the median milliseconds of seven calls."""
    return median(time_call_ms(work) for _ in range(7))


def main() -> None:
    """Write the clips, measure, and print one JSON object."""
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--clips", type=int, default=10_000)
    cli.add_argument("--root", type=Path, default=ROOT / "build" / "history")
    parsed = cli.parse_args()
    layout = ProjectPaths.from_root(parsed.root)
    make_clips(layout.results, parsed.clips)
    metrics = {f"{what}_ms": round(elapsed_ms, 1) for what, elapsed_ms in measure(layout)}
    total = History.open(layout).find(Search()).total
    size = layout.history_db.stat().st_size / 1e6
    sys.stdout.write(json.dumps({"clips": total, **metrics, "index_mb": round(size, 1)}) + "\n")


if __name__ == "__main__":
    main()
