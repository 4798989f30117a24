"""A training run's folder: `events.jsonl` for people, `state.pt` for going on, `stop` to end it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from core.progress import ProgressEvent, ProgressReporter
from training.finetuning.optim.divergence import DivergenceError


class TrainingLoop:
    """Walks through the steps of one run and keeps its diary."""

    def __init__(
        self, folder: Path, report: ProgressReporter, *, save_every_s: float = 180.0
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.report = report
        self.save_every_s = save_every_s
        self._saved_at = time.monotonic()
        self._began = time.monotonic()

    def steps(self, first: int, last: int, stage: str) -> Iterator[int]:
        """Yield steps first..last-1; ends early, without error, once `stop` lies in the folder."""
        for step in self.report.track(range(first, last), stage):
            if (self.folder / "stop").exists():
                return
            yield step

    def is_save_due(self) -> bool:
        """Whether it is time to save again."""
        if time.monotonic() - self._saved_at < self.save_every_s:
            return False
        self._saved_at = time.monotonic()
        return True

    def log_metrics(self, step: int, **figures: float) -> None:
        """Add a line to the diary.

        Raises Diverged when a figure is not a number.
        """
        seconds = round(time.monotonic() - self._began, 2)
        line = {"step": step, "seconds": seconds} | {k: round(v, 5) for k, v in figures.items()}
        with (self.folder / "events.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")
        wrong = [name for name, value in figures.items() if value != value]
        if wrong:
            raise DivergenceError(
                f"{', '.join(wrong)} at step {step} is not a number; lower the rate"
            )


def make_step_generator(seed: int, step: int) -> torch.Generator:
    """Randomness of one step, the same whether or not the run was interrupted before it."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)


class ProgressPrinter:
    """One line on standard error, renewed at most once a second."""

    def __init__(self) -> None:
        self._printed_at = 0.0

    def __call__(self, event: ProgressEvent) -> None:
        if time.monotonic() - self._printed_at >= 1.0:
            self._printed_at = time.monotonic()
            sys.stderr.write(f"\r{event.stage} {event.done}/{event.total} {event.message}")
