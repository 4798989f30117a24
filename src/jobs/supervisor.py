"""The keeper of one piece of detached work: a small process that holds its lock and sees its end.

It is started by `jobs.detached.start_detached` and knows nothing of what it runs. On posix its
command
holds the lock together with it, so that a folder never looks free while somebody works in it.
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
from types import FrameType
from typing import Any

from jobs.detached import (
    LOCK_FILE,
    LOCKED_FOLDER_ENV_VAR,
    LOCKED_REPLY,
    LOG_FILE,
    RECORD_FILE,
    STARTED_REPLY,
    STOP_FILE,
)
from jobs.file_lock import FileLock, acquire_lock

LOCK_TIMEOUT_S = 1.0  # somebody else may be beginning at the same moment
TURN_POLL_INTERVAL_S = 0.2


def main() -> None:
    """Keep the work that the arguments name, from the first lock to the exit code."""
    folder, turn, *command = json.loads(sys.argv[2])
    place = Path(folder)
    held = acquire_lock(place / LOCK_FILE, LOCK_TIMEOUT_S)
    if held is None:
        _reply_to_parent(LOCKED_REPLY)
        return
    (place / STOP_FILE).unlink(missing_ok=True)
    mine = acquire_lock(Path(turn)) if turn else None
    waits = bool(turn) and mine is None
    written: dict[str, Any] = {"group": os.getpid()}  # Any: numbers and None
    if not waits:
        written["launched"] = time.time()
    _write_record(place, written)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ignore_signal)  # the command ends by them; we have to see how
    _reply_to_parent(STARTED_REPLY)
    if waits:
        mine = _wait_for_turn(place, Path(turn))
        if mine is None:
            _write_record(place, written | {"ended": time.time(), "code": 0})
            return
        written["launched"] = time.time()
        _write_record(place, written)
    code = _run_command(command, place, [held] if mine is None else [held, mine])
    _write_record(place, written | {"ended": time.time(), "code": code})


def _wait_for_turn(place: Path, turn: Path) -> FileLock | None:
    """Take the lock of the turn as soon as it is free; None where we were asked to stop before."""
    while not (place / STOP_FILE).exists():
        if not place.is_dir():
            return None
        if (mine := acquire_lock(turn)) is not None:
            return mine
        time.sleep(TURN_POLL_INTERVAL_S)
    return None


def _run_command(command: Sequence[str], place: Path, locks: Sequence[FileLock]) -> int:
    environment = {
        **os.environ,
        LOCKED_FOLDER_ENV_VAR: str(place),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONUNBUFFERED": "1",
    }
    shared = [lock.descriptor for lock in locks] if os.name == "posix" else []
    with (place / LOG_FILE).open("ab") as console:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=place.anchor or "/",
            pass_fds=shared,
        )
    while True:
        with suppress(KeyboardInterrupt, InterruptedError):
            return process.wait()


def _reply_to_parent(word: str) -> None:
    """Say one word to whoever began us, who listens for no more, and hold no pipe of theirs."""
    with suppress(OSError, ValueError):
        sys.stdout.write(f"{word}\n")
        sys.stdout.flush()
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _write_record(place: Path, facts: dict[str, Any]) -> None:
    """Write down what is known; a full disk or a deleted folder must not end the work."""
    part = place / f".{RECORD_FILE}.part"
    with suppress(OSError):
        part.write_text(json.dumps(facts), encoding="utf-8")
        part.replace(place / RECORD_FILE)


def _ignore_signal(number: int, frame: FrameType | None) -> None:
    """Hear a signal and go on."""
