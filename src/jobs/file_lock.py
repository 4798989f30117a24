"""A file that is held: the lock that says whether work goes on, whoever began it.

The system lets go of it when its holders are gone, however they went; a pid could be another's by
then. The same kind of lock as filelock takes, but one that a child can hold together with us.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

LOCK_TIMEOUT_S, RETRY_INTERVAL_S = 0.05, 0.01  # somebody may be looking at the very moment


class FileLock:
    """A lock that this process holds until `release`, or until it ends."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def release(self) -> None:
        """Let go; a child that was given the descriptor still holds it."""
        os.close(self.descriptor)


def acquire_lock(path: Path, patience_s: float = LOCK_TIMEOUT_S) -> FileLock | None:
    """Take the lock, or return None where another holds it.

    patience_s: how long to try again.  Raises OSError where the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    if _try_lock(descriptor, patience_s, shared=False):
        return FileLock(descriptor)
    os.close(descriptor)
    return None


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock; False where there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _try_lock(
            descriptor, 0.0 if sys.platform != "win32" else LOCK_TIMEOUT_S, shared=True
        )
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, patience_s: float, *, shared: bool) -> bool:
    """Try to lock until it succeeds or the patience is over."""
    end = time.monotonic() + patience_s
    while True:
        with suppress(OSError):
            _lock(descriptor, shared=shared)
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(RETRY_INTERVAL_S)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, *, shared: bool) -> None:
        """Lock the first byte; there are no shared locks here, so lookers have patience."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int, *, shared: bool) -> None:
        """Lock the file; those who only look share it, so that they do not hinder each other."""
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
