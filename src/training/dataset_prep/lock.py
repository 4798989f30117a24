"""Locks of a dataset, which several processes may prepare and edit. Light."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from training.dataset_prep.manifest import ManifestError

EDIT_LOCK_FILE, PREPARE_LOCK_FILE = ".editing.lock", ".preparing.lock"
LOCK_TIMEOUT_S = 20.0


@contextmanager
def lock_for_editing(folder: Path) -> Iterator[None]:
    """Hold the lock for changing dataset.json; wait for it."""
    try:
        with FileLock(folder / EDIT_LOCK_FILE, timeout=LOCK_TIMEOUT_S):
            yield
    except Timeout:
        raise ManifestError(f"{folder.name} is locked by another process. Try again.") from None


@contextmanager
def lock_for_preparation(folder: Path) -> Iterator[None]:
    """Hold the lock for preparing a dataset.  Raises ManifestError if it is taken."""
    try:
        with FileLock(folder / PREPARE_LOCK_FILE, timeout=0):
            yield
    except Timeout:
        raise ManifestError(
            f"{folder.name} is being prepared already. Wait for it, stop it, or choose another "
            "name."
        ) from None


def is_being_prepared(folder: Path) -> bool:
    """Return whether a process prepares the dataset."""
    if not (folder / PREPARE_LOCK_FILE).is_file():
        return False
    try:
        with FileLock(folder / PREPARE_LOCK_FILE, timeout=0):
            return False
    except Timeout:
        return True
