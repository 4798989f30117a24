"""The supervisor of detached work: a small process that holds its lock and records its end.

`jobs.detached.start_detached` starts it. On posix its command holds the lock together with it, so
that a folder never looks free while the command runs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.files import write_json
from jobs.detached import (
    LOCKED_FOLDER_ENV_VAR,
    LOCKED_REPLY,
    LOG_FILE,
    RECORD_FILE,
    STARTED_REPLY,
    STOP_FILE,
    acquire_folder_lock,
)
from jobs.file_lock import FileLock, acquire_lock

LOCK_TIMEOUT_S = 1.0  # another may be starting at the same moment
TURN_POLL_INTERVAL_S = 0.2


def main() -> None:
    """Run the command that the arguments name, from the lock to the exit code."""
    path, turn, *command = json.loads(sys.argv[2])
    folder = Path(path)
    lock = acquire_folder_lock(folder, LOCK_TIMEOUT_S)
    if lock is None:
        _reply_to_parent(LOCKED_REPLY)
        return
    turn_lock = acquire_lock(Path(turn)) if turn else None
    waits = bool(turn) and turn_lock is None
    record: dict[str, Any] = {"group": os.getpid()}  # Any: numbers and None
    if not waits:
        record["launched"] = time.time()
    _write_record(folder, record)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # they end the command, and its end is recorded
    _reply_to_parent(STARTED_REPLY)
    if waits:
        turn_lock = _wait_for_turn(folder, Path(turn))
        if turn_lock is None:
            _write_record(folder, record | {"ended": time.time(), "code": 0})
            return
        record["launched"] = time.time()
        _write_record(folder, record)
    code = _run_command(command, folder, [lock] if turn_lock is None else [lock, turn_lock])
    _write_record(folder, record | {"ended": time.time(), "code": code})


def _wait_for_turn(folder: Path, turn: Path) -> FileLock | None:
    """Wait for the lock of the turn; None where a stop was requested before."""
    while not (folder / STOP_FILE).exists():
        if not folder.is_dir():
            return None
        if (lock := acquire_lock(turn)) is not None:
            return lock
        time.sleep(TURN_POLL_INTERVAL_S)
    return None


def _run_command(command: Sequence[str], folder: Path, locks: Sequence[FileLock]) -> int:
    environment = {
        **os.environ,
        LOCKED_FOLDER_ENV_VAR: str(folder),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONUNBUFFERED": "1",
    }
    shared = [lock.descriptor for lock in locks] if os.name == "posix" else []
    with (folder / LOG_FILE).open("ab") as console:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder.anchor or "/",
            pass_fds=shared,
        )
    while True:
        with suppress(KeyboardInterrupt, InterruptedError):
            return process.wait()


def _reply_to_parent(reply: str) -> None:
    """Write one line to the parent, and let go of its pipe."""
    with suppress(OSError, ValueError):
        sys.stdout.write(f"{reply}\n")
        sys.stdout.flush()
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write the record; a full disk or a deleted folder must not end the work."""
    with suppress(OSError):
        write_json(folder / RECORD_FILE, record, indent=None)
