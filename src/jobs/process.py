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

from jobs.plain import to_plain
from jobs.worker import Bench, Message, Worker

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from jobs.worker import main; main()"
)
GONE_S = 5.0
LOG_TAIL = 4000  # characters


class Hand(Protocol):
    """Whoever does the work."""

    def is_there(self) -> bool:
        """Whether it can be given work."""
        ...

    def send(self, command: Message) -> None:
        """Give a command; one that is gone does not mind."""
        ...

    def hear(self, timeout_s: float) -> Message | None:
        """Return what it says next, {} when it says nothing in time, None when it is gone."""
        ...

    def kill(self) -> None:
        """End it now, and do not wait until it is gone."""
        ...

    def end(self) -> None:
        """End it now; it is gone when this returns."""
        ...

    def last_words(self) -> tuple[int | None, str]:
        """Return the exit code, and the end of what it wrote to its log."""
        ...


class WorkerProcess:
    """A fresh interpreter that runs `jobs.worker.main`. It never outlives this process."""

    def __init__(self, bench: Bench, log: Path) -> None:
        self._log = log
        self._heard: SimpleQueue[Message | None] = SimpleQueue()
        self._sending = Lock()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as words:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, json.dumps([str(place) for place in sys.path])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        self._write(to_plain(bench))

    def is_there(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def send(self, command: Message) -> None:
        """Give a command."""
        self._write(command)

    def hear(self, timeout_s: float) -> Message | None:
        """Return the next message, {} when none comes in time, None when the process is gone."""
        try:
            return self._heard.get(timeout=timeout_s)
        except Empty:
            return {}

    def kill(self) -> None:
        """Kill the process and whatever it started."""
        with suppress(ProcessLookupError, PermissionError):
            if not self.is_there():
                return
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def end(self) -> None:
        """Kill the process and wait until its memory is free."""
        self.kill()
        with suppress(subprocess.TimeoutExpired):  # a driver can hold on to a dead process
            self._process.wait(timeout=GONE_S)

    def last_words(self) -> tuple[int | None, str]:
        """Return the exit code (minus the signal that ended it) and the end of its log."""
        try:
            code: int | None = self._process.wait(timeout=GONE_S)
        except subprocess.TimeoutExpired:
            code = None
        with suppress(OSError):
            return code, self._log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
        return code, ""

    def _write(self, message: Any) -> None:
        assert self._process.stdin is not None
        with self._sending, suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def _listen(self, said: IO[bytes]) -> None:
        for line in said:
            with suppress(ValueError):  # the last line of a process that was killed
                self._heard.put(json.loads(line))
        self._heard.put(None)
        self._process.wait()  # so that the system forgets it


class WorkerThread:
    """The worker in a thread of this process: for tests. It cannot be ended while it works."""

    def __init__(self, bench: Bench) -> None:
        self._heard: SimpleQueue[Message | None] = SimpleQueue()
        self._worker = Worker(bench, self._heard.put)
        self._thread = Thread(target=self._worker.work, daemon=True)
        self._thread.start()

    def is_there(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def send(self, command: Message) -> None:
        """Give a command."""
        self._worker.order(command)

    def hear(self, timeout_s: float) -> Message | None:
        """Return the next message, or {} when none comes in time."""
        try:
            return self._heard.get(timeout=timeout_s)
        except Empty:
            return {}

    def kill(self) -> None:
        """Stop what runs at its next report, and hear no more of it."""
        self._worker.order({"do": "stop"})
        self._worker.order(None)
        self._heard.put(None)

    def end(self) -> None:
        """Do the same: a thread cannot be waited for while it works."""
        self.kill()

    def last_words(self) -> tuple[int | None, str]:
        """Say nothing: a thread leaves no log."""
        return None, ""
