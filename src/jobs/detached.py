"""Work that outlives the program that started it: a process group of its own for a folder.

    start_detached([sys.executable, "-m", "training.finetuning.trainer", ...], folder)
    is_alive(folder)            by the lock on the file `lock`, never by a pid
    request_stop(folder)        touches `stop`: the work saves and ends by itself
    stop_or_kill(folder, 5.0)   asks, waits, then kills it

A supervisor process holds the lock, waits for its turn, runs the command with its output in
`console.log`, and writes the state to `status.json`: waiting, running, exited. On posix the command
holds the lock together with it, so that a folder never looks free while the command runs. A state
other than exited without the lock means that both died.
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
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Literal

import psutil

from core.files import write_json
from jobs.file_lock import LOCK_TIMEOUT_S, FileLock, acquire_lock, is_locked
from jobs.models import JobError

LOCK_FILE, STOP_FILE, LOG_FILE, STATUS_FILE = "lock", "stop", "console.log", "status.json"
FORMER_STATUS_FILE = "keeper.json"  # of version 0.1.0, without a state
STOP_LOCK_FILE = "stop.lock"
LOCKED_FOLDER_ENV_VAR = "TESTUDO_HELD_FOLDER"
STARTED_REPLY, LOCKED_REPLY = "running", "taken"  # what the supervisor writes to its parent
LOG_TAIL_BYTES = 8_000
POLL_INTERVAL_S = 0.05
EXIT_TIMEOUT_S = 3.0  # for work that has reported its end and is just exiting
STOP_LOCK_TIMEOUT_S = 5.0
SUPERVISOR_LOCK_TIMEOUT_S = 1.0  # another may be starting at the same moment
TURN_POLL_INTERVAL_S = 0.2
if sys.platform == "win32":  # neither a closed console nor Ctrl-C reaches it
    _CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
else:
    _CREATION_FLAGS = 0  # a session of its own does the same
_SUPERVISOR_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from jobs.detached import supervise; supervise()"
)


class AlreadyRunningError(JobError):
    """Work runs in this folder already; two would overwrite each other's files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder.name} is already running. Wait for it, or stop it first.")


ProcessState = Literal["", "waiting", "running", "exited"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """Status of the latest start, written by the supervisor.

    state: "" where nothing was started;  group: the process group;  launched: when the command
    started, None while it waits for its turn;  ended, code: when and with which exit code it ended
    (minus the signal that ended it), None where the supervisor did not live to see it. Times are
    seconds since 1970.
    """

    state: ProcessState = ""
    group: int = 0
    launched: float | None = None
    ended: float | None = None
    code: int | None = None


def start_detached(command: Sequence[str], folder: Path, *, turn: Path | None = None) -> None:
    """Run a command for this folder, independent of this process and of what ends it.

    turn: a lock file; of all that name the same one, one runs at a time and the others wait.
    Raises AlreadyRunningError where the folder's work runs, JobError where it cannot be started.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not wait_for_exit(folder, EXIT_TIMEOUT_S):
        raise AlreadyRunningError(folder)
    arguments = json.dumps([str(folder.absolute()), str(turn.absolute()) if turn else "", *command])
    path = json.dumps([str(entry) for entry in sys.path])
    with (folder / LOG_FILE).open("ab") as console:
        supervisor = subprocess.Popen(
            [sys.executable, "-c", _SUPERVISOR_CODE, path, arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=console,
            cwd=folder.anchor or "/",  # so that no folder of the user's is kept busy
            start_new_session=True,
            creationflags=_CREATION_FLAGS,
        )
    assert supervisor.stdout is not None
    with supervisor.stdout as output:
        reply = output.readline().decode("ascii", "replace").strip()
    Thread(target=supervisor.wait, daemon=True).start()  # so that no zombie process remains
    if reply == LOCKED_REPLY:
        raise AlreadyRunningError(folder)
    if reply != STARTED_REPLY:
        raise JobError(
            f"{folder.name} could not be started. {read_log_tail(folder)[-300:].strip()}"
        )


def is_alive(folder: Path) -> bool:
    """Return whether the folder's work runs, or waits for its turn."""
    return is_locked(folder / LOCK_FILE)


def wait_for_exit(folder: Path, seconds: float = EXIT_TIMEOUT_S) -> bool:
    """Wait until nothing runs in a folder; False where it still does when the time is up."""
    until = time.monotonic() + seconds
    while is_alive(folder):
        if time.monotonic() >= until:
            return False
        time.sleep(POLL_INTERVAL_S)
    return True


def request_stop(folder: Path) -> None:
    """Request that the work saves and ends; does nothing if none is running."""
    if not folder.is_dir():
        return
    with _hold_stop_lock(folder):
        if is_alive(folder):
            (folder / STOP_FILE).touch()


def stop_or_kill(folder: Path, grace_s: float) -> bool:
    """Request a stop, and kill the work after the timeout; return whether it ended by itself."""
    request_stop(folder)
    if wait_for_exit(folder, grace_s):
        return True
    kill_process_group(read_process_status(folder).group)
    wait_for_exit(folder, 5.0)
    return False


def read_process_status(folder: Path) -> ProcessStatus:
    """Return what the supervisor wrote; an empty status where the file is gone or damaged."""
    path = folder / STATUS_FILE
    try:
        written = (path if path.exists() else folder / FORMER_STATUS_FILE).read_text("utf-8")
        plain = json.loads(written)
        group, code, state = plain.get("group"), plain.get("code"), plain.get("state")
        status = ProcessStatus(
            group=group if isinstance(group, int) else 0,
            launched=_parse_time(plain.get("launched")),
            ended=_parse_time(plain.get("ended")),
            code=code if isinstance(code, int) else None,
        )
    except (OSError, ValueError, AttributeError):
        return ProcessStatus()
    known = state in ("waiting", "running", "exited")
    return replace(status, state=state if known else _derive_state(status))


def read_log_tail(folder: Path, size: int = LOG_TAIL_BYTES) -> str:
    """Return the end of what the work wrote to its console."""
    try:
        with (folder / LOG_FILE).open("rb") as console:
            console.seek(max(0, console.seek(0, os.SEEK_END) - size))
            return console.read().decode("utf-8", "replace")
    except OSError:
        return ""


def describe_exit_code(code: int | None) -> str:
    """Describe the exit code of a process (negative: the signal that ended it)."""
    if code is None:
        return (
            "it disappeared: the machine was turned off or restarted, or all processes were killed"
        )
    if code == 0:
        return "it ended without reporting its state"
    if code > 0:
        return f"it ended with exit code {code}"
    if code == -9:
        return "it was killed (signal 9), usually by the system because memory ran out"
    known = {number.value: number.name for number in signal.Signals}
    return f"it was terminated by signal {-code} ({known.get(-code, 'unknown')})"


def acquire_folder_lock(folder: Path, timeout_s: float = LOCK_TIMEOUT_S) -> FileLock | None:
    """Lock a folder for work and remove what earlier work left; None where another has the lock.

    No stop can be requested between the two, so none is lost.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _hold_stop_lock(folder):
        lock = acquire_lock(folder / LOCK_FILE, timeout_s)
        if lock is not None:
            for stale in (STOP_FILE, STATUS_FILE, FORMER_STATUS_FILE):
                (folder / stale).unlink(missing_ok=True)
        return lock


@contextmanager
def hold_folder_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock while its work runs, unless the supervisor of this process holds it.

    Raises AlreadyRunningError where another process holds it.
    """
    if os.environ.get(LOCKED_FOLDER_ENV_VAR) == str(folder.absolute()):
        yield
        return
    lock = acquire_folder_lock(folder)
    if lock is None:
        raise AlreadyRunningError(folder)
    try:
        yield
    finally:
        lock.release()


def kill_process_group(group: int) -> None:
    """Kill a process that leads its own group, and what it started.

    Only called while the process is known to live, since its number could be another's later.
    """
    if group <= 1 or group == os.getpid():
        return
    if sys.platform != "win32":
        if group != os.getpgid(0):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        return
    with suppress(psutil.Error):
        leader = psutil.Process(group)
        for process in (*leader.children(recursive=True), leader):
            process.kill()


def supervise() -> None:
    """Be the supervisor process: run the command of its arguments, and record how it ended."""
    path, turn, *command = json.loads(sys.argv[2])
    folder = Path(path)
    lock = acquire_folder_lock(folder, SUPERVISOR_LOCK_TIMEOUT_S)
    if lock is None:
        _reply_to_parent(LOCKED_REPLY)
        return
    turn_lock = acquire_lock(Path(turn)) if turn else None
    waits = bool(turn) and turn_lock is None
    status = ProcessStatus(state="waiting", group=os.getpid())
    if not waits:
        status = replace(status, state="running", launched=time.time())
    _write_status(folder, status)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # they end the command, and its end is recorded
    _reply_to_parent(STARTED_REPLY)
    if waits:
        turn_lock = _wait_for_turn(folder, Path(turn))
        if turn_lock is None:
            _write_status(folder, replace(status, state="exited", ended=time.time(), code=0))
            return
        status = replace(status, state="running", launched=time.time())
        _write_status(folder, status)
    code = _run_command(command, folder, [lock] if turn_lock is None else [lock, turn_lock])
    _write_status(folder, replace(status, state="exited", ended=time.time(), code=code))


@contextmanager
def _hold_stop_lock(folder: Path) -> Iterator[None]:
    lock = acquire_lock(folder / STOP_LOCK_FILE, STOP_LOCK_TIMEOUT_S)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _parse_time(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _derive_state(status: ProcessStatus) -> ProcessState:
    """Return the state of a file of version 0.1.0, which has none."""
    if status.ended is not None:
        return "exited"
    if status.launched is not None:
        return "running"
    return "waiting" if status.group else ""


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


def _write_status(folder: Path, status: ProcessStatus) -> None:
    """Write the status; a full disk or a deleted folder must not end the work."""
    with suppress(OSError):
        write_json(folder / STATUS_FILE, asdict(status), indent=None)
