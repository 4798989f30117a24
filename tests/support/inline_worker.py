"""A worker in a thread of the test's process, and a studio that uses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from jobs.worker import Worker, WorkerConfig, WorkerMessage
from jobs.worker_process import iter_messages
from studio.app.studio import Studio


class WorkerThread:
    """A worker that cannot be killed while it works."""

    def __init__(self, config: WorkerConfig, log: Path | None = None) -> None:
        self._received: SimpleQueue[WorkerMessage | None] = SimpleQueue()
        self._worker = Worker(config, self._received.put)
        self._thread = Thread(target=self._worker.run, daemon=True)
        self._thread.start()
        self.is_alive = self._thread.is_alive
        self.run = self._worker.submit
        self.stop = self._worker.stop
        self.kill_and_wait = self.kill

    def messages(self, timeout_s: float) -> Iterator[WorkerMessage | None]:
        return iter_messages(self._received, timeout_s)

    def kill(self) -> None:
        """Stop the task at its next report, and yield no more messages."""
        self._worker.stop()
        self._worker.submit(None)
        self._received.put(None)

    def get_exit_info(self) -> tuple[int | None, str]:
        """Return nothing: a thread has no exit code and no log."""
        return None, ""


class InlineStudio(Studio):
    """A studio whose jobs run in a thread."""

    worker_class = WorkerThread
