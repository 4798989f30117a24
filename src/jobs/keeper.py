"""The keeper of one piece of detached work: a small process that holds its lock and sees its end.

It is started by `jobs.detached.start` and knows nothing of what it runs. On posix its command
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

from jobs.detached import CONSOLE, HELD_VARIABLE, KEPT, LOCK, RUNNING, STOP, TAKEN
from jobs.held import Held, take

PATIENCE_S = 1.0  # somebody else may be beginning at the same moment
TURN_PAUSE_S = 0.2


def main() -> None:
    """Keep the work that the arguments name, from the first lock to the exit code."""
    folder, turn, *command = json.loads(sys.argv[2])
    place = Path(folder)
    held = take(place / LOCK, PATIENCE_S)
    if held is None:
        _answer(TAKEN)
        return
    (place / STOP).unlink(missing_ok=True)
    mine = take(Path(turn)) if turn else None
    waits = bool(turn) and mine is None
    written: dict[str, Any] = {"group": os.getpid()}  # Any: numbers and None
    if not waits:
        written["launched"] = time.time()
    _write(place, written)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stay)  # the command ends by them; we have to see how
    _answer(RUNNING)
    if waits:
        mine = _wait_for_turn(place, Path(turn))
        if mine is None:
            _write(place, written | {"ended": time.time(), "code": 0})
            return
        written["launched"] = time.time()
        _write(place, written)
    code = _run(command, place, [held] if mine is None else [held, mine])
    _write(place, written | {"ended": time.time(), "code": code})


def _wait_for_turn(place: Path, turn: Path) -> Held | None:
    """Take the lock of the turn as soon as it is free; None where we were asked to stop before."""
    while not (place / STOP).exists():
        if not place.is_dir():
            return None
        if (mine := take(turn)) is not None:
            return mine
        time.sleep(TURN_PAUSE_S)
    return None


def _run(command: Sequence[str], place: Path, locks: Sequence[Held]) -> int:
    environment = {
        **os.environ,
        HELD_VARIABLE: str(place),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONUNBUFFERED": "1",
    }
    shared = [lock.descriptor for lock in locks] if os.name == "posix" else []
    with (place / CONSOLE).open("ab") as console:
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


def _answer(word: str) -> None:
    """Say one word to whoever began us, who listens for no more, and hold no pipe of theirs."""
    with suppress(OSError, ValueError):
        sys.stdout.write(f"{word}\n")
        sys.stdout.flush()
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _write(place: Path, facts: dict[str, Any]) -> None:
    """Write down what is known; a full disk or a deleted folder must not end the work."""
    part = place / f".{KEPT}.part"
    with suppress(OSError):
        part.write_text(json.dumps(facts), encoding="utf-8")
        part.replace(place / KEPT)


def _stay(number: int, frame: FrameType | None) -> None:
    """Hear a signal and go on."""
