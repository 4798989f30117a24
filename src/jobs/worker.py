"""The worker: takes one command after another, runs tasks, and says what comes of them.

Runs as a process of its own (`main`), with JSON lines in and out, or in a thread for tests.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any

from core.progress import Cancelled, ProgressEvent, ProgressReporter
from core.serialization import from_dict, to_dict
from jobs.task import import_from_string

WorkerMessage = Mapping[str, Any]  # plain values
FORWARDED_KINDS = ("progress", "note", "warning", "take")
MIN_PROGRESS_INTERVAL_S = 0.25  # at most four times a second somebody looks


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """What a worker works with, in plain values.

    workshop: "module:function" that makes what tasks share, from `setting`;  tasks: name ->
    (request class, function);  explain: "module:function" that makes a Failure of an exception.
    """

    workshop: str
    setting: Mapping[str, Any]
    tasks: Mapping[str, tuple[str, str]]
    explain: str


class Worker:
    """Runs tasks one at a time; commands come from another thread."""

    def __init__(self, bench: WorkerConfig, say: Callable[[WorkerMessage], None]) -> None:
        self._config = bench
        self._send = say
        self._stop = Flag()
        self._commands: SimpleQueue[WorkerMessage | None] = SimpleQueue()
        self._context: Any = None

    def submit_command(self, command: WorkerMessage | None) -> None:
        """Take a command: {"do": "run", …}, {"do": "stop"}, or None to go home."""
        if command is not None and command["do"] == "stop":
            self._stop.set()
            return
        if command is not None:
            self._stop.clear()
        self._commands.put(command)

    def run(self) -> None:
        """Run what is ordered until told to go home."""
        self._catch_errors(
            self._create_context
        )  # whatever fails here fails again, and is told, with the first job
        while (command := self._commands.get()) is not None:
            self._send(self._catch_errors(partial(self._run_task, command)))

    def _create_context(self) -> WorkerMessage:
        if self._context is None:
            self._context = import_from_string(self._config.workshop)(**self._config.setting)
        return {}

    def _run_task(self, command: WorkerMessage) -> WorkerMessage:
        self._create_context()
        request_class, function = self._config.tasks[command["task"]]
        request = from_dict(import_from_string(request_class), command["request"])
        telling = _EventForwarder(self._send)
        report = ProgressReporter(telling, self._stop.is_set, command["kept"])
        report.check_cancelled()
        started = time.perf_counter()
        result = import_from_string(function)(self._context, request, report)
        spent = time.perf_counter() - started
        telling.flush()
        return {
            "say": "done",
            "result": to_dict(result),
            "timings": dict(report.timings),
            "spent": spent,
        }

    def _catch_errors(self, work: Callable[[], WorkerMessage]) -> WorkerMessage:
        """The border of the process: whatever happens inside becomes a message."""
        try:
            return work()
        except Cancelled:
            return {"say": "stopped"}
        except Exception as cause:
            return {
                "say": "failed",
                "failure": to_dict(import_from_string(self._config.explain)(cause)),
            }


class _EventForwarder:
    """Passes events on; of progress only as much as anybody can watch, and where a stage ended."""

    def __init__(self, say: Callable[[WorkerMessage], None]) -> None:
        self._send = say
        self._stage = ""
        self._sent_at = 0.0
        self._pending: ProgressEvent | None = None

    def __call__(self, event: ProgressEvent) -> None:
        if event.kind not in FORWARDED_KINDS:
            return
        now = time.monotonic()
        if event.kind == "progress":
            if event.stage == self._stage and now - self._sent_at < MIN_PROGRESS_INTERVAL_S:
                self._pending = event
                return
            self._stage, self._sent_at = event.stage, now
        self.flush()
        self._forward(event)

    def flush(self) -> None:
        """Say what was held back."""
        if self._pending is not None:
            self._forward(self._pending)

    def _forward(self, event: ProgressEvent) -> None:
        self._pending = None
        self._send({"say": "event", "event": to_dict(event)})


def main() -> None:
    """Be the worker process: the first line in is the bench, each further one a command.

    Ends when its input ends, which is also how it notices that whoever started it is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    faulthandler.enable()
    commands, events = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what libraries print goes to the log
    writing = Lock()

    def say(message: WorkerMessage) -> None:
        with writing:
            events.write(json.dumps(message).encode() + b"\n")
            events.flush()

    worker = Worker(from_dict(WorkerConfig, json.loads(commands.readline())), say)

    def listen() -> None:
        for line in commands:
            worker.submit_command(json.loads(line))
        os._exit(0)

    Thread(target=listen, daemon=True).start()
    worker.run()
    sys.exit(0)
