"""The job queue: one worker runs one job after another; the store keeps what comes of them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Condition, Thread
from typing import Any, TypeAlias

from core.progress import ProgressEvent
from jobs.eta import LOAD_STAGE, EtaEstimator, collect_timings, estimate_stage_seconds
from jobs.models import ActiveJob, Job, JobError, JobFailure, JobProgress
from jobs.store import JobStore
from jobs.task import Task, estimate_work
from jobs.worker import (
    DoneMessage,
    EventMessage,
    FailedMessage,
    RunCommand,
    StoppedMessage,
    capture_failure,
)
from jobs.worker_process import WorkerProcess, describe_worker_exit

STOP_TIMEOUT_S = 1.0  # for a job to stop by itself; then its process is killed
MAX_ATTEMPTS = 3  # in a row without a new take
POLL_INTERVAL_S = 0.1
DRAIN_TIMEOUT_S = 0.3  # for messages that a worker sent before it was killed
RETRY_INTERVAL_S = 1.0  # until what the disk refused is tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class RequeuedOutcome:
    """The worker died, and the job waits again at its old place."""

    warning: str


JobOutcome: TypeAlias = DoneMessage | FailedMessage | StoppedMessage | RequeuedOutcome


class JobQueue:
    """Runs the jobs of a store in the order in which they came.

    start_worker: starts a worker;  on_job_ended: is called with each job that is over.  Every
    method may be called from any thread; none waits for a worker to die.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        store: JobStore,
        start_worker: Callable[[], WorkerProcess],
        on_job_ended: Callable[[Job], None] = lambda job: None,
    ) -> None:
        self._tasks = tasks
        self._store = store
        self._start_worker = start_worker
        self._on_job_ended = on_job_ended
        self._worker: WorkerProcess | None = None
        self._loaded_work = ""  # the work whose weights the worker holds
        self._changed = Condition()
        self._active: ActiveJob | None = None
        self._is_closing = False
        self.is_paused = False
        self._must_replace_worker = False  # before the next job
        self._thread = Thread(target=self._run_loop, name="jobs", daemon=True)
        store.on_job_set_aside = self._report_ended

    def start(self) -> None:
        """Requeue what an earlier process left running, and run jobs from now on."""
        for job in self._store.list_jobs_in_state("running"):
            if not job.is_over:  # over: it could not be read, and was set aside
                attempts = self._store.attempts(job.id)
                if self._store.has_begun(job.id):
                    self._handle_interrupted_job(job, attempts)
                else:  # the job is not what ended the program
                    self._store.requeue(job.id, at_end=False, attempts=max(0, attempts - 1))
        self._thread.start()

    def submit(self, task: str, request: Mapping[str, Any], title: str, origin: str = "") -> Job:
        """Append a job to the queue, and store it on disk."""
        job = Job(
            id=secrets.token_hex(8),
            task=task,
            request=request,
            title=title,
            state="waiting",
            created=time.time(),
            origin=origin,
        )
        with self._changed:
            added = self._store.add(job)
            self._changed.notify_all()
        return added

    def notify(self) -> None:
        """Look for waiting jobs, after the store was changed."""
        with self._changed:
            self._changed.notify_all()

    def job(self, id: str) -> Job:
        """Return the current state of a job; raises JobError for an unknown id."""
        with self._changed:
            return self._with_current_progress(self._store.job(id))

    def jobs(self, limit: int) -> list[Job]:
        """Return the newest jobs, newest first."""
        with self._changed:
            return [self._with_current_progress(job) for job in self._store.jobs(limit)]

    def cancel(self, id: str) -> Job:
        """Drop a waiting job, or stop the running one within two seconds; takes are kept."""
        with self._changed:
            job = self._store.job(id)
            if job.state == "waiting":
                self._store.mark_ended(id, "stopped")
                self._on_job_ended(self._store.job(id))
            elif self._active is not None and self._active.job.id == id:
                self._request_stop(self._active)
            self._changed.notify_all()
            return self._with_current_progress(self._store.job(id))

    def cancel_after_take(self, id: str) -> Job:
        """Stop a running job once its current take is finished; drop a waiting one."""
        with self._changed:
            if self._active is None or self._active.job.id != id:
                return self.cancel(id)
            self._active.stops_after_take = True
            return self.job(id)

    def set_paused(self, paused: bool) -> None:
        """Start no further job while paused; a running one goes on."""
        with self._changed:
            self.is_paused = paused
            self._changed.notify_all()

    def resume(self, id: str) -> Job:
        """Append a stopped or failed job to the queue, to resume after its last take."""
        with self._changed:
            job = self._store.job(id)
            if job.state not in ("stopped", "failed"):
                raise JobError(
                    f"This job is {job.state}; only a stopped or failed job can be resumed."
                )
            if not self._is_resumable(job):
                raise JobError("This kind of job cannot be resumed. Start it again.")
            self._store.requeue(id, at_end=True, attempts=0)
            self._changed.notify_all()
            return self._store.job(id)

    def wait(self, id: str, timeout_s: float | None = None) -> Job:
        """Wait for the end of a job, at most `timeout`, and return the job."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while True:
                job = self._with_current_progress(self._store.job(id))
                left = None if until is None else until - time.monotonic()
                if job.is_over or (left is not None and left <= 0):
                    return job
                self._changed.wait(left)

    def estimate_stage_seconds(
        self, task: str, request: Mapping[str, Any]
    ) -> Mapping[str, float] | None:
        """Return how many seconds each stage of a request will take; None if nothing is known."""
        with self._changed:
            estimate = estimate_work(task, self._tasks.get(task), request)
            runs = self._store.get_timings(estimate.work)
            is_warm = self._loaded_work == estimate.work
            return estimate_stage_seconds(estimate, runs, is_warm=is_warm) or None

    def stop_worker(self) -> bool:
        """Kill the worker, which frees all its memory; the next job gets another.

        False where it runs a job: it is replaced when the job is over.
        """
        with self._changed:
            self._must_replace_worker = self._active is not None
            if self._must_replace_worker:
                return False
            worker = self._detach_worker()
        if worker is not None:
            worker.kill_and_wait()
        return True

    def close(self) -> None:
        """Stop the worker. What was running or waiting goes on when the store is opened again."""
        with self._changed:
            self._is_closing = True
            if self._active is not None:
                self._request_stop(self._active)
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        if (worker := self._detach_worker()) is not None:
            worker.kill_and_wait()

    def _with_current_progress(self, job: Job) -> Job:
        active = self._active
        if active is None or active.job.id != job.id:
            return job
        return replace(job, progress=active.get_progress())

    def _is_resumable(self, job: Job) -> bool:
        task = self._tasks.get(job.task)
        return task is not None and task.resumable

    def _request_stop(self, active: ActiveJob) -> None:
        if active.stop_at is None:
            active.stop_at = time.monotonic() + STOP_TIMEOUT_S
            active.progress = replace(active.progress, message="Stopping …")
            if self._worker is not None:
                self._worker.stop()

    def _run_loop(self) -> None:
        capture_failure(self._ensure_worker)  # the first job meets a failure again, and reports it
        while (active := self._wait_for_next_job()) is not None:
            outcome = capture_failure(partial(self._run_job, active))
            self._save_outcome(active, outcome)
            if not self._is_closing:
                capture_failure(self._ensure_worker)

    def _wait_for_next_job(self) -> ActiveJob | None:
        """Wait for the next job and mark it as running; None when the queue closes."""
        with self._changed:
            while not self._is_closing:
                try:
                    active, timeout_s = self._take_next_job(), None
                except JobError:  # the disk may refuse for a while
                    active, timeout_s = None, RETRY_INTERVAL_S
                if active is not None:
                    return active
                self._changed.wait(timeout_s)
        return None

    def _take_next_job(self) -> ActiveJob | None:
        job = None if self.is_paused else self._store.next_waiting()
        if job is None:
            return None
        attempts = self._store.mark_running(job.id)
        message = "Resuming." if job.takes or attempts > 1 else ""
        progress = JobProgress(stage="starting", message=message)
        self._active = ActiveJob(job=job, attempts=attempts, progress=progress)
        self._changed.notify_all()
        return self._active

    def _run_job(self, active: ActiveJob) -> JobOutcome:
        """Run a job in the worker, and return its outcome."""
        job = active.job
        self._prepare_estimate(active)
        try:
            worker = self._ensure_worker()
        except OSError as error:
            why = f"The worker cannot be started: {error.strerror or error}."
            return FailedMessage(failure=JobFailure(cause="worker_died", message=why))
        worker.run(RunCommand(task=job.task, request=job.request, previous_takes=job.takes))
        if active.stop_at is not None:  # stop requested before the worker had the job
            worker.stop()
        killed_at: float | None = None
        for message in worker.messages(POLL_INTERVAL_S):
            match message:
                case EventMessage(event=event):
                    self._handle_event(active, event)
                case DoneMessage() | FailedMessage() | StoppedMessage():
                    return message
            now = time.monotonic()
            if killed_at is not None and now > killed_at + DRAIN_TIMEOUT_S:
                break
            if killed_at is None and active.stop_at is not None and now > active.stop_at:
                killed_at = now
                self._detach_worker()
                worker.kill()
        return StoppedMessage() if active.stop_at else self._handle_worker_death(active, worker)

    def _prepare_estimate(self, active: ActiveJob) -> None:
        job = active.job
        with self._changed:
            estimate = estimate_work(job.task, self._tasks.get(job.task), job.request)
            runs = self._store.get_timings(estimate.work)
            active.work_estimate = estimate
            active.is_warm = self._loaded_work == estimate.work
            expected = estimate_stage_seconds(estimate, runs, is_warm=active.is_warm)
            active.eta_estimator = EtaEstimator(estimate, expected, before=len(job.takes))

    def _handle_event(self, active: ActiveJob, event: ProgressEvent) -> None:
        id = active.job.id
        with self._changed, suppress(JobError):  # a disk that is full for a moment stops no work
            if not active.has_begun:
                self._store.mark_begun(id)
                active.has_begun = True
            if event.kind == "warning":
                self._store.add_warning(id, event.message)
                return
            active.handle_event(event)
            if event.kind == "take" and self._store.add_take(id, event.data):
                active.attempts = 1
            if event.kind == "take" and active.stops_after_take:
                self._request_stop(active)

    def _handle_worker_death(self, active: ActiveJob, worker: WorkerProcess) -> JobOutcome:
        """Requeue a job whose worker died if it can go on, unless its workers keep dying."""
        self._detach_worker()
        code, log = worker.get_exit_info()  # waits for the process; the lock is free
        worker.kill_and_wait()
        how = describe_worker_exit(code)
        if self._is_resumable(active.job) and active.attempts < MAX_ATTEMPTS:
            return RequeuedOutcome(warning=f"The worker {how}; the job was resumed.")
        tries = f" {active.attempts} times at the same step" if active.attempts > 1 else ""
        message = (
            f"The worker {how}{tries}. The usual reason is full memory: close other programs, "
            "or request less at once."
        )
        return FailedMessage(failure=JobFailure(cause="worker_died", message=message, details=log))

    def _save_outcome(self, active: ActiveJob, outcome: JobOutcome) -> None:
        """Write down how a job ended, trying again while the disk refuses, and notify waiters."""
        with self._changed:
            while True:
                with suppress(JobError):
                    self._write_outcome(active, outcome)
                    ended = self._store.job(active.job.id)
                    break
                if self._is_closing:
                    return
                self._changed.wait(RETRY_INTERVAL_S)
            self._active = None
            self._report_ended(ended)

    def _report_ended(self, job: Job) -> None:
        with self._changed:
            capture_failure(partial(self._on_job_ended, job))
            self._changed.notify_all()

    def _write_outcome(self, active: ActiveJob, outcome: JobOutcome) -> None:
        id, progress = active.job.id, active.progress
        match outcome:
            case DoneMessage(result=result):
                progress = replace(progress, message="", fraction=1.0, eta_s=0.0)
                self._store.mark_ended(id, "done", result=result, progress=progress)
                self._record_timings(active, outcome)
            case FailedMessage(failure=failure):
                self._store.mark_ended(id, "failed", failure=failure, progress=progress)
            case RequeuedOutcome(warning=warning):
                self._store.add_warning(id, warning)
                self._store.requeue(id, at_end=False, attempts=active.attempts)
            case StoppedMessage() if self._is_closing:
                self._handle_interrupted_job(active.job, attempts=0)
            case StoppedMessage():
                self._store.mark_ended(id, "stopped", progress=progress)

    def _record_timings(self, active: ActiveJob, done: DoneMessage) -> None:
        """Remember how long a whole run took."""
        work = active.work_estimate.work
        self._loaded_work = work
        if active.job.takes:  # it only did the rest
            return
        known = list(self._store.get_timings(work))
        timings = dict(done.timings)
        if active.is_warm:
            timings.pop(LOAD_STAGE, None)
        stages = collect_timings(active.work_estimate, timings, done.spent, known)
        self._store.add_timings(work, stages)

    def _handle_interrupted_job(self, job: Job, attempts: int) -> None:
        """Requeue a job that was cut off with the program; one that cannot go on has failed."""
        if self._is_resumable(job) and attempts < MAX_ATTEMPTS:
            self._store.requeue(job.id, at_end=False, attempts=attempts)
            return
        message = "The studio was closed while this ran. Start it again."
        if attempts >= MAX_ATTEMPTS:
            message = f"The studio ended {attempts} times while this ran. Request less at once."
        failure = JobFailure(cause="interrupted", message=message)
        self._store.mark_ended(job.id, "failed", failure=failure)

    def _ensure_worker(self) -> WorkerProcess:
        """Return a worker that can be given work; only the thread of the queue calls this."""
        with self._changed:
            worker, outdated = self._worker, None
            if worker is not None and (self._must_replace_worker or not worker.is_alive()):
                worker, outdated = None, self._detach_worker()
            self._must_replace_worker = False
        if outdated is not None:
            outdated.kill_and_wait()
        if worker is None:
            worker = self._start_worker()
            with self._changed:
                self._worker = worker
        return worker

    def _detach_worker(self) -> WorkerProcess | None:
        with self._changed:
            worker, self._worker, self._loaded_work = self._worker, None, ""
            return worker
