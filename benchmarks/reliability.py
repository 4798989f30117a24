"""Measure what docs/reliability.md states, and print it as a table.

PYTHONPATH=src:.:tests python -m benchmarks.reliability [PART ...]

Part: campaigns, memory, journal, history, files; all without one.

campaigns: hostile files, names and requests, kills and crowds, as ./test.sh --soak tries them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import soundfile

Row = tuple[str, str]
HOUR_S, RATE = 3600, 24_000


def main() -> int:
    """Run the parts that are named, or all."""
    parts = {"memory": memory, "journal": journal, "history": history, "files": files}
    cli = argparse.ArgumentParser(prog="benchmarks/reliability.py", description=__doc__)
    cli.add_argument("parts", nargs="*", help=f"campaigns, {', '.join(parts)}; all where none")
    named = cli.parse_args().parts
    if "campaigns" in named or not named:
        print_campaigns()
    chosen = [name for name in named or parts if name in parts]
    if chosen:
        sys.stdout.write("| what | figure |\n|---|---|\n")
    for name in chosen:
        for what, figure in parts[name]():
            sys.stdout.write(f"| {what} | {figure} |\n")
            sys.stdout.flush()
    return 0


def print_campaigns() -> None:
    """Run every campaign in full and print what each counted."""
    from benchmarks.reliability_campaigns import COLUMNS, format_row, run_campaigns

    sys.stdout.write(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n")
    for name, figures in run_campaigns():
        sys.stdout.write(f"{format_row(name, figures)}\n")
        sys.stdout.flush()


def memory() -> Iterator[Row]:
    """Memory above what is in use before, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        for format in ("wav", "flac", "ogg", "mp3", "opus"):
            used = measure_write(Path(folder) / f"a.{format}")
            yield f"memory to write an hour of {format}, beside the clip", f"{used:,} MB"
        bomb = Path(folder) / "bomb.flac"
        _write_bomb(bomb)
        used = in_process(partial(_read_refused, bomb))
        size = bomb.stat().st_size
        yield f"memory for a FLAC of {size:,} bytes, 8 channels at 192 kHz, 30 min", f"{used:,} MB"
        packed = Path(folder) / "bomb.pth"
        _write_packed_weights(packed)
        used = in_process(partial(_load_refused, packed))
        yield (
            f"memory for a .pth of {packed.stat().st_size:,} bytes that unpacks to 1 GB",
            f"{used:,} MB",
        )


def journal() -> Iterator[Row]:
    """The cost of flushing each commit of the job list."""
    from jobs.models import Job
    from jobs.store import JobStore

    job = Job(
        id="", task="speak", request={"text": "x" * 500}, title="t", state="waiting", created=0
    )
    with tempfile.TemporaryDirectory() as folder:
        for level in ("NORMAL", "FULL"):
            store = JobStore.open(Path(folder) / level / "journal.sqlite")
            store._connection.execute(f"PRAGMA synchronous = {level}")
            times = []
            for number in range(300):
                started = time.perf_counter()
                store.add(_with_id(job, number))
                times.append(time.perf_counter() - started)
            store.close()
            yield (
                f"a commit of the job list, synchronous {level} (median)",
                f"{1000 * median(times):.2f} ms",
            )


def history(count: int = 10_000) -> Iterator[Row]:
    """How long the history takes with many clips."""
    from core.paths import ProjectPaths
    from core.progress import ProgressReporter
    from studio.history.query import Search
    from studio.history.service import History

    with tempfile.TemporaryDirectory() as folder:
        layout = ProjectPaths.from_root(Path(folder))
        _write_clips(layout.results / "alice", count)
        opened = History.open(layout)
        yield (
            f"first list of {count:,} new clips",
            _timed(lambda: (opened.update(), opened.find(Search()))),
        )
        while opened.scan_status.running:
            time.sleep(0.1)
        yield f"all {count:,} in the index", f"{opened.find(Search()).total:,}"
        yield "open after a restart", _timed(lambda: History.open(layout).find(Search()))
        yield (
            "list when nothing changed",
            _timed(lambda: (opened.scan_if_changed(ProgressReporter()), opened.find(Search()))),
        )


def files(rounds: int = 200) -> Iterator[Row]:
    """Damaged files of every parser."""
    from tests.test_mutations import PARSERS, check, mutate, sample

    tried = 0
    with tempfile.TemporaryDirectory() as folder:
        for parser in PARSERS:
            place = Path(folder) / parser
            place.mkdir()
            content = sample(parser, place)
            for seed in range(rounds):
                check(parser, mutate(content, random.Random(f"table {parser} {seed}")), place)
                tried += 1
    yield (
        f"damaged files of {len(PARSERS)} parsers, read or refused with a code",
        f"{tried:,} of {tried:,}",
    )


def measure_write(path: Path) -> int:
    """Return the megabytes that writing an hour takes beside the clip."""
    return in_process(partial(_write_hour, path))


def in_process(work: Callable[[], int]) -> int:
    """Return the megabytes that the most memory of a process grows by while it works."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_measure, args=(work, queue))
    process.start()
    grown = int(queue.get())
    process.join()
    return grown


def _measure(work: Callable[[], int], queue: multiprocessing.Queue[int]) -> None:
    queue.put(work())


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _write_hour(path: Path) -> int:
    import torch

    from audio.clip import Clip
    from audio.io import write_clip

    tone = (0.5 * np.sin(np.arange(RATE) / 9)).astype(np.float32)
    clip = Clip(wave=torch.from_numpy(np.tile(tone, HOUR_S)), sample_rate=RATE)
    write_clip(path, Clip(wave=clip.wave[:RATE], sample_rate=RATE))
    before = _peak_mb()
    write_clip(path, clip)
    return _peak_mb() - before


def _read_refused(path: Path) -> int:
    from audio.clip import ClipError
    from audio.io import read_clip

    before = _peak_mb()
    try:
        read_clip(path)
    except ClipError:
        return _peak_mb() - before
    raise AssertionError("it was read")


def _load_refused(path: Path) -> int:
    from engines.model_files import ModelFileError
    from engines.safetensors_io import read_pickle

    before = _peak_mb()
    try:
        read_pickle(path)
    except ModelFileError:
        return _peak_mb() - before
    raise AssertionError("it was read")


def _write_bomb(path: Path) -> None:
    block = np.zeros((192_000, 8), np.int16)
    with soundfile.SoundFile(path, "w", 192_000, channels=8, subtype="PCM_16") as file:
        for _ in range(30 * 60):
            file.write(block)


def _write_packed_weights(path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        with archive.open("a/data/0", "w", force_zip64=True) as entry:
            for _ in range(1_000):
                entry.write(bytes(1_000_000))


def _write_clips(folder: Path, count: int) -> None:
    from studio.schemas.take_metadata import TakeMetadata
    from studio.synthesis.audio_metadata import write_metadata

    folder.mkdir(parents=True)
    record = TakeMetadata(
        text="Good evening, and welcome.", voice="alice", engine="tortoise", bundle="starter",
        weights_id="0" * 16, seed=1, options={}, delivery={},
    )  # fmt: skip
    first = folder / "00000-clip.wav"
    soundfile.write(first, np.zeros(240, np.int16), RATE)
    write_metadata(first, record)
    content = first.read_bytes()
    for number in range(1, count):
        (folder / f"{number:05d}-clip.wav").write_bytes(content)


def _with_id(job: object, number: int) -> object:
    from dataclasses import replace

    return replace(job, id=str(number))


def _timed(work: Callable[[], object]) -> str:
    started = time.perf_counter()
    work()
    return f"{time.perf_counter() - started:.2f} s"


if __name__ == "__main__":
    raise SystemExit(main())
