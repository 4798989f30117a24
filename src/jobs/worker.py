"""The worker: runs tasks one at a time and reports them as messages.

It is a process of its own (`main`), with JSON lines in and out.
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
from typing import Any, TypeAlias, TypeVar

from core.error_classifier import classify_error, format_traceback, format_user_message
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from core.serialization import from_dict, to_dict
from jobs.models import JobFailure
from jobs.task import import_from_string

FORWARDED_KINDS = ("progress", "note", "warning", "take")
MIN_PROGRESS_INTERVAL_S = 0.25  # between two progress events of one stage

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """Arguments of a worker process, in plain values.

    context: "module:function" that makes what tasks share, called with `context_arguments`;
    tasks: name -> (address of the request class, address of the function).
    """

    context: str
    context_arguments: Mapping[str, Any]
    tasks: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand:
    """Run a task. previous_takes: the data of the "take" events of earlier runs of the job."""

    task: str
    request: Mapping[str, Any]
    previous_takes: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMessage:
    """The running task reported something."""

    event: ProgressEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneMessage:
    """The task returned. timings: seconds per stage;  spent: seconds in all."""

    result: Any
    timings: Mapping[str, float]
    spent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedMessage:
    """The task raised, or could not be run."""

    failure: JobFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedMessage:
    """The task ended after a stop request."""


WorkerMessage: TypeAlias = EventMessage | DoneMessage | FailedMessage | StoppedMessage


def encode_message(message: WorkerMessage) -> bytes:
    """Return a message as one line of JSON."""
    return json.dumps({"type": type(message).__name__, **to_dict(message)}).encode() + b"\n"


def decode_message(line: bytes) -> WorkerMessage:
    """Read a message back; raises ValueError for a line that was cut short."""
    plain = json.loads(line)
    match plain.pop("type"):
        case EventMessage.__name__:
            return EventMessage(event=ProgressEvent(**plain["event"]))
        case DoneMessage.__name__:
            return DoneMessage(**plain)
        case FailedMessage.__name__:
            return FailedMessage(failure=JobFailure(**plain["failure"]))
        case _:
            return StoppedMessage()


def capture_failure(work: Callable[[], T]) -> T | FailedMessage | StoppedMessage:
    """Return what the work returns, or a message for whatever it raises."""
    try:
        return work()
    except Cancelled:
        return StoppedMessage()
    except Exception as error:
        failure = JobFailure(
            cause=classify_error(error),
            message=format_user_message(error),
            details=format_traceback(error),
        )
        return FailedMessage(failure=failure)


class Worker:
    """Runs tasks one at a time; commands come from another thread."""

    def __init__(self, config: WorkerConfig, send: Callable[[WorkerMessage], None]) -> None:
        self._config = config
        self._send = send
        self._stop = Flag()
        self._commands: SimpleQueue[RunCommand | None] = SimpleQueue()
        self._context: Any = None

    def submit(self, command: RunCommand | None) -> None:
        """Queue a task, or None to end."""
        if command is not None:
            self._stop.clear()
        self._commands.put(command)

    def stop(self) -> None:
        """Request that the running task stops at its next report."""
        self._stop.set()

    def run(self) -> None:
        """Run submitted tasks until None is received."""
        capture_failure(self._create_context)  # fails again, and is reported, with the first task
        while (command := self._commands.get()) is not None:
            self._send(capture_failure(partial(self._run_task, command)))

    def _create_context(self) -> None:
        if self._context is None:
            create = import_from_string(self._config.context)
            self._context = create(**self._config.context_arguments)

    def _run_task(self, command: RunCommand) -> DoneMessage:
        self._create_context()
        request_class, function = self._config.tasks[command.task]
        request = from_dict(import_from_string(request_class), command.request)
        forward = _EventForwarder(self._send)
        report = ProgressReporter(forward, self._stop.is_set, command.previous_takes)
        report.check_cancelled()
        started = time.perf_counter()
        result = import_from_string(function)(self._context, request, report)
        spent = time.perf_counter() - started
        forward.flush()
        return DoneMessage(result=to_dict(result), timings=dict(report.timings), spent=spent)


class _EventForwarder:
    """Sends events on; of progress a few per second, and where a stage ended."""

    def __init__(self, send: Callable[[WorkerMessage], None]) -> None:
        self._send = send
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
        self._send(EventMessage(event=event))

    def flush(self) -> None:
        """Send the progress event that was held back."""
        if self._pending is not None:
            self._send(EventMessage(event=self._pending))
            self._pending = None


def main() -> None:
    """Be the worker process: the first line in is the config, each further one a command.

    Ends when its input ends, which is also how it notices that its parent is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    faulthandler.enable()
    commands, messages = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what libraries print goes to the log
    writing = Lock()

    def send(message: WorkerMessage) -> None:
        with writing:
            messages.write(encode_message(message))
            messages.flush()

    worker = Worker(from_dict(WorkerConfig, json.loads(commands.readline())), send)

    def read_commands() -> None:
        for line in commands:
            command = json.loads(line)
            if command is None:
                worker.stop()
            else:
                worker.submit(RunCommand(**command))
        os._exit(0)

    Thread(target=read_commands, daemon=True).start()
    worker.run()
    sys.exit(0)
