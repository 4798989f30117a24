"""What can be run: every task is two addresses, so that knowing it costs no import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from jobs.eta import WorkEstimate
from jobs.models import JobError


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One kind of work.

    request: "module:Class" of a frozen dataclass of plain values; light.
    run: "module:function" of `run(workshop, request, report) -> result`; imported by the worker.
    goes_on: whether the work can be taken up where it was cut off, given its earlier takes in
    `report.kept`; such work goes on by itself after a crash.
    gauge: "module:function" of `gauge(plain request) -> Gauge` (jobs/pace.py), light: how much
    there is to do; "" where runs of the task take about the same time.
    """

    request: str
    run: str
    resumable: bool = False
    work_estimator: str = ""


def import_from_string(address: str) -> Any:  # Any: whatever the address names
    """Import what "module:name" names."""
    module, name = address.split(":")
    return getattr(import_module(module), name)


def estimate_work(name: str, task: Task | None, request: Mapping[str, Any]) -> WorkEstimate:
    """Say how much a plain request asks for."""
    if task is None or not task.work_estimator:
        return WorkEstimate(work=name)
    gauge: WorkEstimate = import_from_string(task.work_estimator)(request)
    return gauge


def get_task_name(tasks: Mapping[str, Task], request: object) -> str:
    """Return the name of the task for a request, by its class."""
    wanted = f"{type(request).__module__}:{type(request).__qualname__}"
    for name, task in tasks.items():
        if task.request == wanted:
            return name
    raise JobError(f"No task takes a {type(request).__name__}.")
