"""A file lock that the system releases when all processes that hold it have ended.

filelock uses the same kind of lock, but a child process cannot share it with its parent.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

LOCK_TIMEOUT_S, RETRY_INTERVAL_S = 0.05, 0.01  # is_locked holds it for a moment


class FileLock:
    """A lock that this process holds until `release`, or until it ends."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def release(self) -> None:
        """Release it; a child that was given the descriptor still holds it."""
        os.close(self.descriptor)


def acquire_lock(path: Path, timeout_s: float = LOCK_TIMEOUT_S) -> FileLock | None:
    """Acquire the lock, or return None where another holds it when the time is up.

    Raises OSError where the file cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    if _try_lock(descriptor, timeout_s, shared=False):
        return FileLock(descriptor)
    os.close(descriptor)
    return None


def is_locked(path: Path) -> bool:
    """Return whether the lock is held; False where there is no such file."""
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


def _try_lock(descriptor: int, timeout_s: float, *, shared: bool) -> bool:
    end = time.monotonic() + timeout_s
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
        """Lock the first byte; there are no shared locks here, so is_locked waits."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int, *, shared: bool) -> None:
        """Lock the file; is_locked uses a shared lock, so that readers do not block each other."""
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
