"""Tasks as addresses of a request class and a function, so that listing them imports nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from jobs.eta import WorkEstimate
from jobs.models import JobError


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task of the worker.

    request: "module:Class" of a frozen dataclass of plain values; light. run: "module:function" of
    `run(context, request, report) -> result`; imported by the worker. resumable: whether the work
    can go on where it was cut off, given its earlier takes in `report.previous_takes`; such work
    goes on by itself after a crash. work_estimator: "module:function" of `estimate(plain request)
    -> WorkEstimate`, light; "" where runs of the task take about the same time.
    """

    request: str
    run: str
    resumable: bool = False
    work_estimator: str = ""


def import_from_string(address: str) -> Any:  # Any: whatever the address names
    """Import the object at "module:name"."""
    module, name = address.split(":")
    return getattr(import_module(module), name)


def estimate_work(name: str, task: Task | None, request: Mapping[str, Any]) -> WorkEstimate:
    """Return how much work a plain request is."""
    if task is None or not task.work_estimator:
        return WorkEstimate(work=name)
    estimate: WorkEstimate = import_from_string(task.work_estimator)(request)
    return estimate


def get_task_name(tasks: Mapping[str, Task], request: object) -> str:
    """Return the name of the task for a request, by its class."""
    wanted = f"{type(request).__module__}:{type(request).__qualname__}"
    for name, task in tasks.items():
        if task.request == wanted:
            return name
    raise JobError(f"There is no task for a {type(request).__name__}.")
