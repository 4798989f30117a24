"""A table synthesized by the workers of a Ray cluster: one row is one task, with retries.

Every machine has the project at the same path, with its models, voices and the folder of the
clips on storage that all of them share. A lost worker is replaced, and its row is tried again.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from core.errors import AppError, UnrecoverableError
from core.progress import ProgressReporter
from studio.synthesis.batch import (
    BatchJob,
    BatchResult,
    RowOutcome,
    collect_outcomes,
    synthesize_row,
)
from studio.synthesis.batch_csv import BatchRow, InvalidBatchRow

LOCAL = "local"
MAX_ATTEMPTS = 3  # of a row whose worker was lost
POLL_S = 1.0  # between looks for a stop request
SYNTHESIZER = "studio.workers.synthesis.synthesizer:Synthesizer"
SOURCE_FOLDER = Path(__file__).resolve().parents[2]
Row = BatchRow | InvalidBatchRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where a table is synthesized.

    address: of the head of a running cluster, as `ray start` prints it, or "local" for one on this
    machine; workers: 0 for one on each machine, or on each GPU; synthesizer: import path of a class
    that is called with the paths of the project.
    """

    address: str = LOCAL
    workers: int = 0
    synthesizer: str = SYNTHESIZER


def synthesize_on_cluster(rows: Sequence[Row], job: BatchJob, cluster: Cluster) -> BatchResult:
    """Synthesize a table as `synthesize_batch` does, by several workers at once.

    Raises AppError without the package ray, and where there is no cluster at the address.
    """
    with _connect(cluster.address) as ray:
        return collect_outcomes(_synthesize_rows(rows, job, cluster, ray), len(rows), job)


class RowWorker:
    """Runs in a process of the cluster and keeps the models loaded."""

    def __init__(self, job: BatchJob, synthesizer: str) -> None:
        module, _, name = synthesizer.partition(":")
        made = getattr(import_module(module), name)(job.layout)
        self.job = replace(job, synthesizer=made, report=ProgressReporter())

    def synthesize(self, row: Row) -> RowOutcome | str:
        """Return what became of a row, or the message of an error that every row would meet."""
        try:
            return synthesize_row(row, self.job)
        except UnrecoverableError as error:
            return str(error)


def _synthesize_rows(
    rows: Sequence[Row],
    job: BatchJob,
    cluster: Cluster,
    ray: Any,  # Any: an optional package
) -> Iterator[RowOutcome]:
    """Give each idle worker the next row, and yield rows as they are done."""
    waiting = deque((row, 1) for row in rows)
    count, start = _plan_workers(job, cluster, ray)
    idle = [start() for _ in range(min(count, len(waiting)))]
    running: dict[Any, tuple[Any, Row, int]] = {}
    while waiting or running:
        while waiting and idle:
            worker, (row, attempt) = idle.pop(), waiting.popleft()
            running[worker.synthesize.remote(row)] = (worker, row, attempt)
        job.report.check_cancelled()
        done, _ = ray.wait(list(running), num_returns=1, timeout=POLL_S)
        for result in done:
            worker, row, attempt = running.pop(result)
            outcome = _read_outcome(result, ray)
            idle.append(start() if outcome is None else worker)
            if outcome is not None:
                yield outcome
            elif attempt < MAX_ATTEMPTS:
                waiting.appendleft((row, attempt + 1))
            else:
                reason = f"Its worker was lost {attempt} times."
                yield RowOutcome(number=row.number, reason=reason)


def _read_outcome(result: Any, ray: Any) -> RowOutcome | None:
    """What became of a row; None if its worker was lost."""
    try:
        outcome: RowOutcome | str = ray.get(result)
    except ray.exceptions.RayActorError:
        return None
    if isinstance(outcome, str):
        raise UnrecoverableError(outcome)
    return outcome


def _plan_workers(job: BatchJob, cluster: Cluster, ray: Any) -> tuple[int, Any]:
    """How many workers the cluster gets, and the function that starts one."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = int(ray.cluster_resources().get("GPU", 0))
    count = cluster.workers or gpus or len(nodes)
    # Ray limits the threads of a worker to its processors
    share = min(int(node.get("CPU", 1)) for node in nodes) * len(nodes) // max(count, 1)
    needs = {"num_cpus": max(1, share), "num_gpus": 1 if gpus else 0}
    described = ray.put(replace(job, synthesizer=_NoSynthesizer(), report=ProgressReporter()))
    remote = ray.remote(RowWorker).options(scheduling_strategy="SPREAD", **needs)
    return count, lambda: remote.remote(described, cluster.synthesizer)


class _NoSynthesizer:
    """Stands where the worker puts its own."""

    def speak(self, request: Any, report: ProgressReporter) -> Any:
        raise NotImplementedError

    def weights_id(self, request: Any, report: ProgressReporter) -> str:
        raise NotImplementedError


@contextmanager
def _connect(address: str) -> Iterator[Any]:
    """Connect to a cluster, or start one on this machine that only this machine can reach."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        ray = import_module("ray")
    except ImportError as cause:
        raise AppError(
            "A cluster needs the package ray, which is not installed.",
            cli_hint="`pip install -r requirements-extra.txt` installs it.",
        ) from cause
    paths = os.pathsep.join([str(SOURCE_FOLDER), os.environ.get("PYTHONPATH", "")])
    place: dict[str, Any] = (
        {"_node_ip_address": "127.0.0.1", "include_dashboard": False}
        if address == LOCAL
        else {"address": address}
    )
    try:
        ray.init(
            runtime_env={"env_vars": {"PYTHONPATH": paths}},
            logging_level="ERROR",
            log_to_driver=False,
            **place,
        )
    except (ConnectionError, ValueError, RuntimeError) as cause:
        raise AppError(
            f"There is no Ray cluster at {address!r} ({cause}). Give the address of its head, or "
            f"{LOCAL}.",
            cli_hint="`ray start --head` prints the address.",
        ) from cause
    try:
        yield ray
    finally:
        ray.shutdown()
