"""Work in batches that fit the memory: one that does not is halved."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from core.progress import ProgressEvent, ProgressReporter

T = TypeVar("T")


def run_in_batches(
    total: int, size: int, run: Callable[[int, int], list[T]], report: ProgressReporter, stage: str
) -> list[T]:
    """Call `run(first, end)` over range(total), `size` at a time, and join what it returns.

    When the memory runs out the size is halved, which is told once, and the batch is tried again;
    the size that fits is told too, so that what comes after need not run out again.
    """
    done: list[T] = []
    told = False
    while len(done) < total:
        try:
            done += run(len(done), min(len(done) + size, total))
            continue
        except torch.OutOfMemoryError:
            if size == 1:
                raise
        size = max(1, min(size, total) // 2)
        if not told:
            told_so = f"Memory ran out; going on with {size} samples at a time."
            report.warn(told_so, stage=stage, once="memory")
        told = True
        report.emit(ProgressEvent(kind="resolved", stage=stage, data={"sample_batch_size": size}))
    return done
