"""The studio's job queue: created on first use, open in one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.errors import AppError
from core.files import delete_stale_parts, make_private_folder
from core.paths import ProjectPaths
from core.serialization import to_dict
from jobs.models import Job, JobError
from jobs.queue import JobQueue
from jobs.store import JobStore
from jobs.task import get_task_name
from jobs.worker import WorkerConfig
from jobs.worker_process import WorkerProcess
from studio.app.task_registry import TASKS
from studio.diagnostics.log import log_ended_job
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechRequest
from studio.synthesis.output_paths import OutputPath, reserve_named_path
from studio.voices.catalog import get_results_folder_name

CONTEXT_FACTORY = "studio.workers.context:create_worker_context"


class JobService:
    """The job queue, its store, and the lock that keeps other processes out."""

    def __init__(
        self,
        layout: ProjectPaths,
        settings: Callable[[], Settings],
        worker_class: type[WorkerProcess] = WorkerProcess,
    ) -> None:
        """Lock the queue of this folder and start it; raise AppError if another process has it."""
        self._layout = layout
        self._lock = _acquire_lock(layout.jobs_db.with_suffix(".lock"), layout.root)
        try:
            self.store = JobStore.open(layout.jobs_db)
        except JobError:
            self._lock.release()
            raise
        for folder in (layout.results, layout.voices, layout.state):
            delete_stale_parts(folder)
        tasks = {name: (task.request, task.run) for name, task in TASKS.items()}

        def start_worker() -> WorkerProcess:
            arguments = {"layout": to_dict(layout), "settings": to_dict(settings())}
            config = WorkerConfig(context=CONTEXT_FACTORY, context_arguments=arguments, tasks=tasks)
            return worker_class(config, layout.state / "worker.log")

        self.queue = JobQueue(TASKS, self.store, start_worker, handle_ended_job)
        self.queue.start()

    def submit(self, request: Any, title: str, origin: str = "") -> Job:
        """Append a request to the queue.  Raises JobError for an unknown type of request."""
        task = get_task_name(TASKS, request)
        if not isinstance(request, SpeechRequest) or request.out is not None:
            return self.queue.submit(task, to_dict(request), title, origin)
        folder = get_results_folder_name(request.voice)
        destination = reserve_named_path(self._layout, folder, request)
        try:
            request = replace(request, out=str(destination.clip_path.absolute()))
            return self.queue.submit(task, to_dict(request), title, origin)
        except JobError:
            destination.release()
            raise

    def estimate_stage_seconds(self, request: Any) -> Mapping[str, float] | None:
        """Return how many seconds each stage of a request will take; None if unknown."""
        return self.queue.estimate_stage_seconds(get_task_name(TASKS, request), to_dict(request))

    def close(self) -> None:
        """End the worker and unlock the queue."""
        self.queue.close()
        self.store.close()
        self._lock.release()


def restore_set_aside_jobs(layout: ProjectPaths) -> int:
    """Take over the jobs of lists that were set aside, without starting any; return how many.

    Raises AppError where another process has the studio open, and where there are none.
    """
    lock = _acquire_lock(layout.jobs_db.with_suffix(".lock"), layout.root)
    try:
        store = JobStore.open(layout.jobs_db)
        try:
            return store.take_over(layout.jobs_db)
        finally:
            store.close()
    finally:
        lock.release()


def handle_ended_job(job: Job) -> None:
    """Free what the job had reserved, and log how it ended."""
    release_output_path(job)
    log_ended_job(job)


def release_output_path(job: Job) -> None:
    """Free the file name that was reserved for a clip, where none was written."""
    if job.is_over and job.request.get("out"):
        OutputPath(clip_path=Path(job.request["out"])).release()


def _acquire_lock(path: Path, root: Path) -> FileLock:
    lock = FileLock(path, thread_local=False)
    try:
        make_private_folder(path.parent)
        lock.acquire(timeout=0)
    except Timeout:
        raise AppError(
            f"The studio in {root} is already open in another process. Use it, close it, or "
            "set TESTUDO_ROOT to another folder.",
            code="busy",
        ) from None
    except OSError as cause:
        raise AppError(
            f"Cannot write {path.parent}: {cause.strerror or cause}. Make the folder writable."
        ) from cause
    return lock
