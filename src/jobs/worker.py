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

from jobs.plain import from_plain, to_plain
from jobs.report import Cancelled, Event, Reporter
from jobs.task import resolve

Message = Mapping[str, Any]  # plain values
PASSED_ON = ("progress", "note", "warning", "take")
BETWEEN_S = 0.25  # at most four times a second somebody looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
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

    def __init__(self, bench: Bench, say: Callable[[Message], None]) -> None:
        self._bench = bench
        self._say = say
        self._stop = Flag()
        self._commands: SimpleQueue[Message | None] = SimpleQueue()
        self._workshop: Any = None

    def order(self, command: Message | None) -> None:
        """Take a command: {"do": "run", …}, {"do": "stop"}, or None to go home."""
        if command is not None and command["do"] == "stop":
            self._stop.set()
            return
        if command is not None:
            self._stop.clear()
        self._commands.put(command)

    def work(self) -> None:
        """Run what is ordered until told to go home."""
        self._answer(self._open)  # whatever fails here fails again, and is told, with the first job
        while (command := self._commands.get()) is not None:
            self._say(self._answer(partial(self._run, command)))

    def _open(self) -> Message:
        if self._workshop is None:
            self._workshop = resolve(self._bench.workshop)(**self._bench.setting)
        return {}

    def _run(self, command: Message) -> Message:
        self._open()
        request_class, function = self._bench.tasks[command["task"]]
        request = from_plain(resolve(request_class), command["request"])
        telling = _Telling(self._say)
        report = Reporter(telling, self._stop.is_set, command["kept"])
        report.check()
        started = time.perf_counter()
        result = resolve(function)(self._workshop, request, report)
        spent = time.perf_counter() - started
        telling.flush()
        return {
            "say": "done",
            "result": to_plain(result),
            "timings": dict(report.timings),
            "spent": spent,
        }

    def _answer(self, work: Callable[[], Message]) -> Message:
        """The border of the process: whatever happens inside becomes a message."""
        try:
            return work()
        except Cancelled:
            return {"say": "stopped"}
        except Exception as cause:
            return {"say": "failed", "failure": to_plain(resolve(self._bench.explain)(cause))}


class _Telling:
    """Passes events on; of progress only as much as anybody can watch, and where a stage ended."""

    def __init__(self, say: Callable[[Message], None]) -> None:
        self._say = say
        self._stage = ""
        self._at = 0.0
        self._held: Event | None = None

    def __call__(self, event: Event) -> None:
        if event.kind not in PASSED_ON:
            return
        now = time.monotonic()
        if event.kind == "progress":
            if event.stage == self._stage and now - self._at < BETWEEN_S:
                self._held = event
                return
            self._stage, self._at = event.stage, now
        self.flush()
        self._pass_on(event)

    def flush(self) -> None:
        """Say what was held back."""
        if self._held is not None:
            self._pass_on(self._held)

    def _pass_on(self, event: Event) -> None:
        self._held = None
        self._say({"say": "event", "event": to_plain(event)})


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

    def say(message: Message) -> None:
        with writing:
            events.write(json.dumps(message).encode() + b"\n")
            events.flush()

    worker = Worker(from_plain(Bench, json.loads(commands.readline())), say)

    def listen() -> None:
        for line in commands:
            worker.order(json.loads(line))
        os._exit(0)

    Thread(target=listen, daemon=True).start()
    worker.work()
    sys.exit(0)
