"""The campaigns of tests/campaigns in full, for the table of docs/reliability.md."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from campaigns import (
    crowd,
    hostile_audio,
    hostile_names,
    hostile_requests,
    hostile_weights,
    killed_download,
    killed_generation,
    killed_queue,
    killed_training,
    long_history,
    long_run,
)
from campaigns.figures import Figures

COLUMNS = (
    *("campaign", "files", "kills", "requests", "names", "lost", "doubled", "half-written"),
    *("peak memory", "poll, median and 95 %", "memory a job"),
)
CAMPAIGNS: Mapping[str, Callable[[Path], Figures]] = {
    "sound files": lambda folder: hostile_audio.read_all(folder, 15),
    "weights, latents, tokenizers": hostile_weights.load_all,
    "names": lambda folder: hostile_names.try_names(folder, hostile_names.names()),
    "requests": hostile_requests.send_all,
    "killed trainings": lambda folder: killed_training.kill_runs(folder, 50),
    "killed studios": lambda folder: killed_generation.kill_studios(folder, 50),
    "killed downloads": lambda folder: killed_download.kill_downloads(folder, 50),
    "ended queues of 200 jobs": lambda folder: killed_queue.end_queues(folder, 200, 10),
    "50 clients, 60 watchers": lambda folder: crowd.serve_crowd(folder, 50, 4, 60),
    "history": lambda folder: long_history.use_history(folder, 10_000),
    "long run": lambda folder: long_run.speak_long(folder, 2_000),
}


def run_campaigns() -> Iterator[tuple[str, Figures]]:
    """Yield each campaign with what it counted, and the sum last."""
    total = Figures()
    for name, run in CAMPAIGNS.items():
        with tempfile.TemporaryDirectory() as folder:
            figures = run(Path(folder))
        total += figures
        yield name, figures
    yield "all", total


def format_row(name: str, figures: Figures) -> str:
    """Return a row of the table; what a campaign does not count is left blank."""
    counts = (figures.files, figures.kills, figures.requests, figures.names)
    ends = (figures.lost, figures.doubled, figures.half_written)
    polls = f"{figures.median_ms} ms, {figures.p95_ms} ms" if figures.p95_ms else ""
    cells = [
        name,
        *(f"{count:,}" if count else "" for count in counts),
        *(f"{count:,}" for count in ends),
        f"{figures.peak_mb} MB" if figures.peak_mb else "",
        polls,
        f"{figures.bytes_per_job:,} bytes" if figures.bytes_per_job else "",
    ]
    return f"| {' | '.join(cells)} |"
