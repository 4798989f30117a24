"""Work in batches that fit the memory: one that does not is halved."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

T = TypeVar("T")

OnHalved = Callable[[int], object]
"""Called with the new batch size after each out-of-memory error."""


def ignore_halved(size: int) -> None:
    """Ignore a smaller batch size."""


def run_in_batches(
    total: int, size: int, run: Callable[[int, int], list[T]], on_halved: OnHalved = ignore_halved
) -> list[T]:
    """Call `run(first, end)` over range(total), `size` at a time, and join what it returns.

    When the memory runs out the size is halved and the batch is tried again.
    """
    done: list[T] = []
    while len(done) < total:
        try:
            done += run(len(done), min(len(done) + size, total))
            continue
        except torch.OutOfMemoryError:
            if size == 1:
                raise
        size = max(1, min(size, total) // 2)
        on_halved(size)
    return done
