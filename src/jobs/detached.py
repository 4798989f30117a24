"""Work that outlives the program that began it: its own process group, a diary in its folder.

    start([sys.executable, "-m", "training.finetuning.trainer", ...], folder)
    is_alive(folder)       by the held file `lock`, never by a pid
    ask_to_stop(folder)    touches `stop`: the work saves and ends by itself
    end(folder, 5.0)       asks, waits, then ends it for good

A keeper (`jobs.supervisor`) stands between: it holds the lock, waits for its turn, runs the command
with its output in `console.log`, and writes down in `keeper.json` how that ended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from jobs.file_lock import acquire_lock, is_locked
from jobs.models import JobError

LOCK_FILE, STOP_FILE, LOG_FILE, RECORD_FILE = "lock", "stop", "console.log", "keeper.json"
LOCKED_FOLDER_ENV_VAR = "TESTUDO_HELD_FOLDER"
STARTED_REPLY, LOCKED_REPLY = "running", "taken"  # the keeper's first and only word to us
LOG_TAIL_BYTES = 8_000  # bytes
POLL_INTERVAL_S = 0.05
EXIT_TIMEOUT_S = 3.0
"""Whoever worked in a folder may have told its end already, and just be ending."""
if sys.platform == "win32":  # neither a closed console nor Ctrl-C reaches it
    _CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
else:
    _CREATION_FLAGS = 0  # a session of its own does the same
_SUPERVISOR_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from jobs.supervisor import main; main()"
)


class AlreadyRunningError(JobError):
    """Work goes on in this folder; two would spoil each other's files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """What the keeper wrote down of the latest start.

    group: the process group;  launched: when the command began, None while it waits for its turn;
    ended, code: when and with which exit code it ended (minus the signal that ended it), None
    where nobody lived to see it. Times are seconds since 1970.
    """

    group: int = 0
    launched: float | None = None
    ended: float | None = None
    code: int | None = None


def start_detached(command: Sequence[str], folder: Path, *, turn: Path | None = None) -> None:
    """Run a command for this folder, apart from this process and whatever ends it.

    turn: a lock; of all who name the same one works one at a time, the others wait.
    Raises AlreadyRuns where the folder's work goes on, JobError where it cannot be begun.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not wait_for_exit(folder, EXIT_TIMEOUT_S):
        raise AlreadyRunningError(
            f"{folder.name} is already running. Wait for it, or stop it first."
        )
    asked = json.dumps([str(folder.absolute()), str(turn.absolute()) if turn else "", *command])
    with (folder / LOG_FILE).open("ab") as console:
        keeper = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _SUPERVISOR_CODE,
                json.dumps([str(place) for place in sys.path]),
                asked,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=console,
            cwd=folder.anchor or "/",  # so that no folder of the user's is kept busy
            start_new_session=True,
            creationflags=_CREATION_FLAGS,
        )
    assert keeper.stdout is not None
    with keeper.stdout as said:
        word = said.readline().decode("ascii", "replace").strip()
    Thread(target=keeper.wait, daemon=True).start()  # so that the system forgets it
    if word == LOCKED_REPLY:
        raise AlreadyRunningError(
            f"{folder.name} is already running. Wait for it, or stop it first."
        )
    if word != STARTED_REPLY:
        raise JobError(f"{folder.name} could not be begun. {read_log_tail(folder)[-300:].strip()}")


def is_alive(folder: Path) -> bool:
    """Whether the folder's work goes on, or waits for its turn."""
    return is_locked(folder / LOCK_FILE)


def wait_for_exit(folder: Path, seconds: float = EXIT_TIMEOUT_S) -> bool:
    """Wait until nothing goes on in a folder; False where it still does when the time is up."""
    until = time.monotonic() + seconds
    while is_alive(folder):
        if time.monotonic() >= until:
            return False
        time.sleep(POLL_INTERVAL_S)
    return True


def request_stop(folder: Path) -> None:
    """Ask the work to save and end; nothing happens where none goes on."""
    if is_alive(folder):
        (folder / STOP_FILE).touch()


def stop_or_kill(folder: Path, grace_s: float) -> bool:
    """Ask the work to stop, and end it for good when the time is up.

    Returns whether it ended by itself.
    """
    request_stop(folder)
    if wait_for_exit(folder, grace_s):
        return True
    _kill_process_group(read_process_record(folder).group)
    wait_for_exit(folder, 5.0)
    return False


def read_process_record(folder: Path) -> ProcessRecord:
    """Return what the keeper wrote down; nothing where the file is gone or damaged."""
    try:
        written = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        group, code = written.get("group"), written.get("code")
        return ProcessRecord(
            group=group if isinstance(group, int) else 0,
            launched=_parse_time(written.get("launched")),
            ended=_parse_time(written.get("ended")),
            code=code if isinstance(code, int) else None,
        )
    except (OSError, ValueError, AttributeError):
        return ProcessRecord()


def read_log_tail(folder: Path, size: int = LOG_TAIL_BYTES) -> str:
    """Return the end of what the work wrote to its console."""
    try:
        with (folder / LOG_FILE).open("rb") as console:
            console.seek(max(0, console.seek(0, os.SEEK_END) - size))
            return console.read().decode("utf-8", "replace")
    except OSError:
        return ""


def describe_exit_code(code: int | None) -> str:
    """Say in words how a process ended by its exit code (minus the signal that ended it)."""
    if code is None:
        return "it vanished: the machine was turned off or restarted, or everything was ended"
    if code == 0:
        return "it ended without saying how far it came"
    if code > 0:
        return f"it ended with exit code {code}"
    if code == -9:
        return "it was killed (signal 9): most often the system does so when memory runs out"
    known = {number.value: number.name for number in signal.Signals}
    return f"it was ended by signal {-code} ({known.get(-code, 'unknown')})"


@contextmanager
def hold_folder_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock while its work goes on, unless the keeper that began us does.

    Raises AlreadyRuns where another holds it.
    """
    if os.environ.get(LOCKED_FOLDER_ENV_VAR) == str(folder.absolute()):
        yield
        return
    held = acquire_lock(folder / LOCK_FILE)
    if held is None:
        raise AlreadyRunningError(
            f"{folder.name} is already running. Wait for it, or stop it first."
        )
    try:
        for stale in (STOP_FILE, RECORD_FILE):
            (folder / stale).unlink(missing_ok=True)
        yield
    finally:
        held.release()


def _kill_process_group(group: int) -> None:
    """End a process group at once; it is only called while its lock is held."""
    if group <= 1:
        return
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(group)], capture_output=True)
    elif group != os.getpgid(0):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def _parse_time(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
