"""Chores that a worker can be given: light ones, and every way to behave badly."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from core.progress import ProgressEvent, ProgressReporter
from jobs.eta import WorkEstimate
from jobs.task import Task
from jobs.worker import WorkerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """What to do, how many times; takes wait for the file `go` where there is one to wait for."""

    do: str = "count"
    times: int = 3
    name: str = "chore"
    wait: bool = False
    dies_at: int = -1
    deaths: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand(Chore):
    """A chore that goes on where it was cut off."""


@dataclass(frozen=True, kw_only=True)
class Shed:
    """Where chores leave their traces."""

    folder: Path

    def log(self, line: str) -> None:
        with (self.folder / "log").open("a") as file:
            file.write(f"{line}\n")


def open_shed(folder: str) -> Shed:
    if (Path(folder) / "locked").exists():
        raise ImportError("No module named 'torch'")
    return Shed(folder=Path(folder))


def gauge(request: Mapping[str, Any]) -> WorkEstimate:
    return WorkEstimate(
        work="errand", units={"draft": float(request["times"])}, parts=request["times"]
    )


TASKS = {
    "chore": Task(request="support.job_helpers:Chore", run="support.job_helpers:do_chore"),
    "errand": Task(
        request="support.job_helpers:Errand",
        run="support.job_helpers:do_chore",
        resumable=True,
        work_estimator="support.job_helpers:gauge",
    ),
}


def bench(folder: Path) -> WorkerConfig:
    return WorkerConfig(
        context="support.job_helpers:open_shed",
        context_arguments={"folder": str(folder)},
        tasks={name: (task.request, task.run) for name, task in TASKS.items()},
    )


def do_chore(shed: Shed, chore: Chore, report: ProgressReporter) -> Chore:
    shed.log(f"begin {chore.name}")
    DOINGS[chore.do](shed, chore, report)
    shed.log(f"end {chore.name}")
    return chore


def _count(shed: Shed, chore: Chore, report: ProgressReporter) -> None:
    sys.stdout.write("chatter of a library\n")
    sys.stdout.flush()
    for _ in report.track(range(chore.times), "counting"):
        pass


def _take(shed: Shed, chore: Chore, report: ProgressReporter) -> None:
    with report.stage("load"):
        pass
    have = {take["index"] for take in report.previous_takes}
    for index in range(chore.times):
        if index in have:
            _tell(chore, index, report)  # again: whoever watches may have missed it
            continue
        if chore.wait and index:
            _until(lambda: (shed.folder / "go").exists(), report)
        if index == chore.dies_at and _dead_before(shed) < chore.deaths:
            shed.log("died")
            os.kill(os.getpid(), signal.SIGKILL)
        with report.stage("draft"):
            shed.log(f"take {index}")
        _tell(chore, index, report)
        report.warn(f"take {index} is a bit loud")
        report.warn("all takes are a bit loud")


def _tell(chore: Chore, index: int, report: ProgressReporter) -> None:
    data = {"index": index, "path": f"{index}.wav"}
    report.emit(
        ProgressEvent(kind="take", stage="speaking", done=index + 1, total=chore.times, data=data)
    )


def _dead_before(shed: Shed) -> int:
    return (shed.folder / "log").read_text().splitlines().count("died")


def _until(ready: Callable[[], bool], report: ProgressReporter) -> None:
    while not ready():
        report.check_cancelled()
        time.sleep(0.01)


def _hang(shed: Shed, chore: Chore, report: ProgressReporter) -> None:
    report.emit(ProgressEvent(kind="take", stage="speaking", done=1, total=2, data={"index": 0}))
    with report.stage("hanging"):
        while True:
            pass


def _flood(shed: Shed, chore: Chore, report: ProgressReporter) -> None:
    for _ in report.track(range(20_000), "steps"):
        pass


def _fail(shed: Shed, chore: Chore, report: ProgressReporter) -> None:
    raise ValueError("the string broke")


def _import(shed: Shed, chore: Chore, report: ProgressReporter) -> None:
    import_module("a_module_that_is_not_installed")


def _exit(shed: Shed, chore: Chore, report: ProgressReporter) -> None:
    sys.stderr.write("the last words of a library\n")
    sys.exit(3)


DOINGS: Mapping[str, Callable[[Shed, Chore, ProgressReporter], None]] = {
    "count": _count,
    "take": _take,
    "hang": _hang,
    "flood": _flood,
    "fail": _fail,
    "import": _import,
    "exit": _exit,
}
