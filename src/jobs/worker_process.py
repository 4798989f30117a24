"""The worker as the runner holds it: a process that can be ended at any moment, or a thread."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import IO, Any, Protocol

from core.serialization import to_dict
from jobs.worker import Worker, WorkerConfig, WorkerMessage

_WORKER_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from jobs.worker import main; main()"
)
EXIT_TIMEOUT_S = 5.0
LOG_TAIL_CHARS = 4000  # characters


class WorkerHandle(Protocol):
    """Whoever does the work."""

    def is_alive(self) -> bool:
        """Whether it can be given work."""
        ...

    def send(self, command: WorkerMessage) -> None:
        """Give a command; one that is gone does not mind."""
        ...

    def receive(self, timeout_s: float) -> WorkerMessage | None:
        """Return what it says next, {} when it says nothing in time, None when it is gone."""
        ...

    def kill(self) -> None:
        """End it now, and do not wait until it is gone."""
        ...

    def kill_and_wait(self) -> None:
        """End it now; it is gone when this returns."""
        ...

    def get_exit_info(self) -> tuple[int | None, str]:
        """Return the exit code, and the end of what it wrote to its log."""
        ...


class WorkerProcess:
    """A fresh interpreter that runs `jobs.worker.main`. It never outlives this process."""

    def __init__(self, bench: WorkerConfig, log: Path) -> None:
        self._log = log
        self._received: SimpleQueue[WorkerMessage | None] = SimpleQueue()
        self._send_lock = Lock()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as words:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _WORKER_CODE,
                    json.dumps([str(place) for place in sys.path]),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        Thread(target=self._read_messages, args=(self._process.stdout,), daemon=True).start()
        self._write(to_dict(bench))

    def is_alive(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def send(self, command: WorkerMessage) -> None:
        """Give a command."""
        self._write(command)

    def receive(self, timeout_s: float) -> WorkerMessage | None:
        """Return the next message, {} when none comes in time, None when the process is gone."""
        try:
            return self._received.get(timeout=timeout_s)
        except Empty:
            return {}

    def kill(self) -> None:
        """Kill the process and whatever it started."""
        with suppress(ProcessLookupError, PermissionError):
            if not self.is_alive():
                return
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def kill_and_wait(self) -> None:
        """Kill the process and wait until its memory is free."""
        self.kill()
        with suppress(subprocess.TimeoutExpired):  # a driver can hold on to a dead process
            self._process.wait(timeout=EXIT_TIMEOUT_S)

    def get_exit_info(self) -> tuple[int | None, str]:
        """Return the exit code (minus the signal that ended it) and the end of its log."""
        try:
            code: int | None = self._process.wait(timeout=EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            code = None
        with suppress(OSError):
            return code, self._log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL_CHARS:]
        return code, ""

    def _write(self, message: Any) -> None:
        assert self._process.stdin is not None
        with self._send_lock, suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def _read_messages(self, said: IO[bytes]) -> None:
        for line in said:
            with suppress(ValueError):  # the last line of a process that was killed
                self._received.put(json.loads(line))
        self._received.put(None)
        self._process.wait()  # so that the system forgets it


class WorkerThread:
    """The worker in a thread of this process: for tests. It cannot be ended while it works."""

    def __init__(self, bench: WorkerConfig) -> None:
        self._received: SimpleQueue[WorkerMessage | None] = SimpleQueue()
        self._worker = Worker(bench, self._received.put)
        self._thread = Thread(target=self._worker.run, daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def send(self, command: WorkerMessage) -> None:
        """Give a command."""
        self._worker.submit_command(command)

    def receive(self, timeout_s: float) -> WorkerMessage | None:
        """Return the next message, or {} when none comes in time."""
        try:
            return self._received.get(timeout=timeout_s)
        except Empty:
            return {}

    def kill(self) -> None:
        """Stop what runs at its next report, and hear no more of it."""
        self._worker.submit_command({"do": "stop"})
        self._worker.submit_command(None)
        self._received.put(None)

    def kill_and_wait(self) -> None:
        """Do the same: a thread cannot be waited for while it works."""
        self.kill()

    def get_exit_info(self) -> tuple[int | None, str]:
        """Say nothing: a thread leaves no log."""
        return None, ""
