"""CPU time of the requests that the page sends while the user types, searches and watches.

    python benchmarks/page.py

Prints one JSON object of milliseconds: a preview of 2,000 characters, the first one of a book of
50,000 words and those after a change of it, a search of a dataset of 10,000 clips, and a look at 20
training runs of 2,000 steps.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from core.paths import ProjectPaths  # noqa: E402
from studio.datasets.service import Datasets  # noqa: E402
from studio.synthesis.preview import PreviewRequest, preview  # noqa: E402
from studio.training_runs.service import TrainingRunService  # noqa: E402
from training.dataset_prep.manifest import ClipRow, Dataset, write_dataset  # noqa: E402

TEXT = "The old man paid 12 pounds, and Mr. Jones sang of love; nobody heard it! Why? "
BOOK_LINES = 1_340  # 50,000 words
BOOK_LINE = (
    "The old man paid {} pounds, and Mr. Jones sang of love; nobody heard it! Why did the river "
    "rise so fast in {} hours, she asked. They walked on through the village, past the mill."
)


def main() -> None:
    """Create the files in a temporary folder, measure, and print."""
    argparse.ArgumentParser(prog="benchmarks/page.py", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = ProjectPaths.from_root(Path(folder))
        paths.models.mkdir()
        (paths.models / "starter").symlink_to(ROOT / "models" / "starter")
        (paths.root / "voices").symlink_to(ROOT / "voices")
        write_runs(paths)
        datasets, runs = write_clips(paths), TrainingRunService(paths)
        request = PreviewRequest(text=(TEXT * 30)[:2_000], voice="clara")
        metrics = {
            "preview_ms": median_call_ms(lambda: preview(request, paths)),
            **measure_book(paths),
            "search_ms": median_call_ms(lambda: datasets.find("large", words="some END")),
            "runs_ms": median_call_ms(runs.list),
        }
    sys.stdout.write(json.dumps(metrics) + "\n")


def measure_book(paths: ProjectPaths) -> dict[str, float]:
    """Preview a book of different sentences, then with a word more in its middle each time."""
    lines = [BOOK_LINE.format(number, number + 3) for number in range(BOOK_LINES)]
    words = iter(range(1_000, 2_000))

    def change() -> object:
        lines[BOOK_LINES // 2] += f" Word {next(words)}."
        return preview(PreviewRequest(text="\n\n".join(lines), voice="clara"), paths)

    started_at = time.process_time()
    change()
    first = 1_000 * (time.process_time() - started_at)
    return {"book_first_ms": round(first, 1), "book_change_ms": median_call_ms(change)}


def write_clips(paths: ProjectPaths) -> Datasets:
    """Write a dataset of 10,000 clips without audio."""
    folder = paths.dataset("large")
    folder.mkdir(parents=True)
    row = ClipRow(id="a", source="s", start_s=0, stop_s=5, text="some words " * 8 + "end")
    rows = tuple(replace(row, id=f"c{number}") for number in range(10_000))
    write_dataset(folder, Dataset(name="large", clips=rows))
    return Datasets(paths)


def write_runs(paths: ProjectPaths) -> None:
    """Write the event logs of 20 runs."""
    step = {"kind": "step", "stage": "gpt", "loss": 3.0, "rate": 1.0}
    lines = [json.dumps(step | {"step": n, "time": float(n)}) + "\n" for n in range(1, 2_001)]
    for number in range(20):
        folder = paths.run("alice", f"{number:03d}")
        folder.mkdir(parents=True)
        (folder / "events.jsonl").write_text("".join(lines), encoding="utf-8")


def median_call_ms(work: Callable[[], object]) -> float:
    """Return the median milliseconds of seven calls, after a first one."""
    work()
    durations = []
    for _ in range(7):
        started_at = time.process_time()
        work()
        durations.append(1_000 * (time.process_time() - started_at))
    return round(median(durations), 1)


if __name__ == "__main__":
    main()
