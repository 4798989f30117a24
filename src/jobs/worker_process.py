"""The worker process as the queue holds it: it can be killed at any moment."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import IO, Any

from core.files import create_private_file, make_private_folder
from core.serialization import to_dict
from jobs.detached import kill_process_group
from jobs.worker import RunCommand, WorkerConfig, WorkerMessage, decode_message

_WORKER_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from jobs.worker import main; main()"
)
EXIT_TIMEOUT_S = 5.0
LOG_TAIL_CHARS = 4000


class WorkerProcess:
    """A fresh interpreter that runs `jobs.worker.main`. It never outlives this process."""

    def __init__(self, config: WorkerConfig, log: Path) -> None:
        self._log = log
        self._received: SimpleQueue[WorkerMessage | None] = SimpleQueue()
        self._send_lock = Lock()
        make_private_folder(log.parent)
        create_private_file(log)
        path = json.dumps([str(entry) for entry in sys.path])
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _WORKER_CODE, path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        Thread(target=self._read_messages, args=(self._process.stdout,), daemon=True).start()
        self._write(to_dict(config))

    def is_alive(self) -> bool:
        """Return whether it can be given work."""
        return self._process.poll() is None

    def run(self, command: RunCommand) -> None:
        """Run a task; nothing happens where the process is gone."""
        self._write(to_dict(command))

    def stop(self) -> None:
        """Request that the running task stops at its next report."""
        self._write(None)

    def messages(self, timeout_s: float) -> Iterator[WorkerMessage | None]:
        """Yield messages, None when none comes in time, until the process is gone."""
        return iter_messages(self._received, timeout_s)

    def kill(self) -> None:
        """Kill the process and whatever it started; do not wait until it is gone."""
        if self.is_alive():
            kill_process_group(self._process.pid)

    def kill_and_wait(self) -> None:
        """Kill the process and wait until its memory is free."""
        self.kill()
        with suppress(subprocess.TimeoutExpired):  # a driver can hold on to a dead process
            self._process.wait(timeout=EXIT_TIMEOUT_S)

    def get_exit_info(self) -> tuple[int | None, str]:
        """Return the exit code (minus the signal that ended it) and the end of its log."""
        code, log = None, ""
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(timeout=EXIT_TIMEOUT_S)
        with suppress(OSError):
            log = self._log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL_CHARS:]
        return code, log

    def _write(self, plain: Any) -> None:
        assert self._process.stdin is not None
        with self._send_lock, suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(plain).encode() + b"\n")
            self._process.stdin.flush()

    def _read_messages(self, stream: IO[bytes]) -> None:
        for line in stream:
            with suppress(ValueError):  # the last line of a process that was killed
                self._received.put(decode_message(line))
        self._received.put(None)
        self._process.wait()  # so that no zombie process remains


def describe_worker_exit(code: int | None) -> str:
    """Describe how a process ended."""
    if code is None:
        return "did not respond"
    if code < 0:
        names = {item.value: item.name for item in signal.Signals}
        return f"was killed by the system ({names.get(-code, f'signal {-code}')})"
    return f"exited (exit code {code})"


def iter_messages(
    received: SimpleQueue[WorkerMessage | None], timeout_s: float
) -> Iterator[WorkerMessage | None]:
    """Yield messages, None when none comes in time, until a None was received."""
    while True:
        try:
            message = received.get(timeout=timeout_s)
        except Empty:
            yield None
            continue
        if message is None:
            return
        yield message
