"""The queue: one worker, one job after another, and everything about them in the journal."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Condition, Thread
from typing import Any, TypeVar

from jobs.eta import LOAD_STAGE, EtaEstimator, WorkEstimate, collect_timings, estimate_stage_seconds
from jobs.models import FINAL_STATES, Job, JobError, JobFailure, JobProgress, JobState
from jobs.store import JobStore
from jobs.task import Task, estimate_work
from jobs.worker import WorkerMessage
from jobs.worker_process import WorkerHandle

PART_STAGES = ("speaking", "seconds")  # the stages that count the parts of the whole


@dataclass(slots=True)
class ActiveJob:
    """The job in the worker's hands.

    attempts: how often it was begun since its last take;  is_warm: whether the worker has loaded
    what the job needs;  stop_at: when its process is ended;
    last_words: exit code and log of the process, should it have died.
    """

    job: Job
    work_estimate: WorkEstimate
    eta_estimator: EtaEstimator
    progress: JobProgress
    attempts: int
    is_warm: bool
    stop_at: float | None = None
    exit_info: tuple[int | None, str] = (None, "")

    def get_progress(self) -> JobProgress:
        """Return how far the job is at this moment."""
        fraction, eta_s = self.eta_estimator.estimate()
        stopping = self.stop_at is not None
        return replace(self.progress, fraction=fraction, eta_s=None if stopping else eta_s)

    def handle_event(self, event: Mapping[str, Any]) -> None:
        """Heed what the work says about how far it is."""
        stage, done, total = event["stage"], event["done"], event["total"]
        if event["kind"] == "take" or stage in PART_STAGES:
            self.eta_estimator.finish_part(done, total)
        elif event["kind"] == "progress":
            self.eta_estimator.update_stage(stage, done, total)
        else:
            if self.stop_at is None:
                self.progress = replace(self.progress, message=event["message"])
            return
        self.progress = replace(self.progress, stage=stage, done=done, total=total)

    def get_final_progress(self) -> JobProgress:
        """Return the progress of work that is done."""
        return replace(self.progress, message="", fraction=1.0, eta_s=0.0)


STOP_TIMEOUT_S = (
    1.0  # for a job to stop by itself; then its process is ended, which takes time as well
)
MAX_ATTEMPTS = 3  # in a row without a new take
POLL_INTERVAL_S = 0.1  # how often the queue looks up while a job runs
DRAIN_TIMEOUT_S = 0.3  # for what a worker had said before it was ended
RETRY_INTERVAL_S = 1.0  # until what the disk refused is tried again

T = TypeVar("T")


class JobQueue:
    """Runs the jobs of a journal in the order in which they came.

    hire: starts a worker;  tidy: is given each job that is over.  Every method may be called from
    any thread.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        journal: JobStore,
        hire: Callable[[], WorkerHandle],
        tidy: Callable[[Job], None] = lambda job: None,
    ) -> None:
        self._tasks = tasks
        self._store = journal
        self._start_worker = hire
        self._on_job_ended = tidy
        self._worker: WorkerHandle | None = None
        self._loaded_work = ""  # the work whose weights the worker holds
        self._changed = Condition()
        self._running: ActiveJob | None = None
        self._is_closing = False
        self._must_replace_worker = (
            False  # whether the worker is to be replaced before the next job
        )
        self._thread = Thread(target=self._run_loop, name="jobs", daemon=True)

    def start(self) -> None:
        """Take up what an earlier studio left, and serve the queue from now on."""
        for job in self._store.list_jobs_in_state("running"):
            self._handle_interrupted_job(job, self._store.attempts(job.id))
        self._thread.start()

    def submit(self, task: str, request: Mapping[str, Any], title: str) -> Job:
        """Put a job at the end of the queue; it is on disk when this returns."""
        job = Job(
            id=secrets.token_hex(8),
            task=task,
            request=request,
            title=title,
            state="waiting",
            created=time.time(),
        )
        with self._changed:
            added = self._store.add(job)
            self._changed.notify_all()
        return added

    def job(self, id: str) -> Job:
        """Return a job as it is now; raises JobError for an unknown id."""
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
            elif self._running is not None and self._running.job.id == id:
                self._request_stop(self._running)
            self._changed.notify_all()
            return self._with_current_progress(self._store.job(id))

    def resume(self, id: str) -> Job:
        """Let a stopped or failed job go on after its last take, at the end of the queue."""
        with self._changed:
            job = self._store.job(id)
            if job.state not in ("stopped", "failed"):
                raise JobError(f"This job is {job.state}; only a stopped or failed one can go on.")
            task = self._tasks.get(job.task)
            if task is None or not task.resumable:
                raise JobError("This kind of job cannot go on where it stopped. Start it anew.")
            self._store.requeue(id, at_end=True, attempts=0)
            self._changed.notify_all()
            return self._store.job(id)

    def wait(self, id: str, timeout_s: float | None = None) -> Job:
        """Return the job once it is over, or as it is when the time is up."""
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
        """Say how many seconds each stage of a request will take; None where nothing is known."""
        with self._changed:
            gauge = estimate_work(task, self._tasks.get(task), request)
            runs = self._store.get_timings(gauge.work)
            return (
                estimate_stage_seconds(gauge, runs, is_warm=self._loaded_work == gauge.work) or None
            )

    def stop_worker(self) -> bool:
        """End the worker, which frees all its memory; the next job gets another.

        False where it works: it is ended when the job is over.
        """
        with self._changed:
            self._must_replace_worker = self._running is not None
            if not self._must_replace_worker:
                self._kill_worker()
            return not self._must_replace_worker

    def close(self) -> None:
        """Stop the worker. What was running or waiting goes on when the studio is opened again."""
        with self._changed:
            self._is_closing = True
            if self._running is not None:
                self._request_stop(self._running)
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._kill_worker()

    def _with_current_progress(self, job: Job) -> Job:
        held = self._running
        return replace(job, progress=held.get_progress()) if held and held.job.id == job.id else job

    def _request_stop(self, held: ActiveJob) -> None:
        if held.stop_at is None:
            held.stop_at = time.monotonic() + STOP_TIMEOUT_S
            held.progress = replace(held.progress, message="Stopping …")
            if self._worker is not None:
                self._worker.send({"do": "stop"})

    def _run_loop(self) -> None:
        with suppress(OSError):  # the first job will meet it again, and tell
            self._ensure_worker()
        while (held := self._retry_until_closed(self._wait_for_next_job)) is not None:
            message = self._run_job(held)
            self._retry_until_closed(partial(self._finish_job, held, message))
            if not self._is_closing:
                with suppress(OSError):
                    self._ensure_worker()

    def _retry_until_closed(self, act: Callable[[], T]) -> T | None:
        """Do what the disk may refuse for a while; give up when the studio closes."""
        while True:
            with self._changed, suppress(JobError):
                return act()
            if self._is_closing:
                return None
            time.sleep(RETRY_INTERVAL_S)

    def _wait_for_next_job(self) -> ActiveJob | None:
        """Wait for the next job and mark it as running; None when the studio closes."""
        while not self._is_closing:
            job = self._store.next_waiting()
            if job is not None:
                self._running = self._create_active_job(job, self._store.mark_running(job.id))
                self._changed.notify_all()
                return self._running
            self._changed.wait()
        return None

    def _create_active_job(self, job: Job, attempts: int) -> ActiveJob:
        gauge = estimate_work(job.task, self._tasks.get(job.task), job.request)
        runs = self._store.get_timings(gauge.work)
        is_warm = self._loaded_work == gauge.work
        expected = estimate_stage_seconds(gauge, runs, is_warm=is_warm)
        message = "Going on where it stopped." if job.takes or attempts > 1 else ""
        return ActiveJob(
            job=job,
            work_estimate=gauge,
            eta_estimator=EtaEstimator(gauge, expected, runs, before=len(job.takes)),
            progress=JobProgress(stage="starting", message=message),
            attempts=attempts,
            is_warm=is_warm,
        )

    def _run_job(self, held: ActiveJob) -> WorkerMessage | None:
        """Let the worker do a job; return what it said at the end, None where it died."""
        job = held.job
        try:
            hand = self._ensure_worker()
        except OSError as cause:
            why = f"The worker cannot be started: {cause.strerror or cause}."
            return {"say": "failed", "failure": {"cause": "worker_died", "message": why}}
        hand.send({"do": "run", "task": job.task, "request": job.request, "kept": job.takes})
        if held.stop_at is not None:  # the wish came before the job did
            hand.send({"do": "stop"})
        message = self._wait_for_outcome(held, hand, lambda: held.stop_at)
        if message != {}:
            return message
        hand.kill()
        self._detach_worker()
        deaf_at = time.monotonic() + DRAIN_TIMEOUT_S
        return self._wait_for_outcome(held, hand, lambda: deaf_at) or {"say": "stopped"}

    def _wait_for_outcome(
        self, held: ActiveJob, hand: WorkerHandle, until: Callable[[], float | None]
    ) -> WorkerMessage | None:
        """Hear what the worker says to the end of the job; {} where that is not in time."""
        while (message := hand.receive(POLL_INTERVAL_S)) is not None:
            if message.get("say") == "event":
                self._handle_event(held, message["event"])
            elif message:
                return message
            limit = until()
            if limit is not None and time.monotonic() > limit:
                return {}
        return None

    def _handle_event(self, held: ActiveJob, event: Mapping[str, Any]) -> None:
        id, kind = held.job.id, event["kind"]
        with self._changed, suppress(JobError):  # a disk that is full for a moment stops no work
            if kind != "warning":
                held.handle_event(event)
            if kind == "take" and self._store.add_take(id, event["data"]):
                held.attempts = 1
            elif kind == "warning":
                self._store.add_warning(id, event["message"])

    def _finish_job(self, held: ActiveJob, message: WorkerMessage | None) -> None:
        """Write down how the job ended, and let whoever waits for it know."""
        said = message["say"] if message is not None else "gone"
        if message is not None and said == "done":
            self._store.mark_ended(
                held.job.id, "done", result=message["result"], progress=held.get_final_progress()
            )
            self._record_timings(held, message)
        elif message is not None and said == "failed":
            self._mark_job_ended(held, "failed", JobFailure(**message["failure"]))
        elif held.stop_at is None:
            self._handle_worker_death(held)
        elif self._is_closing:
            self._handle_interrupted_job(held.job, attempts=0)
        else:
            self._mark_job_ended(held, "stopped")
        self._running = None
        self._on_job_ended(self._store.job(held.job.id))
        self._changed.notify_all()

    def _record_timings(self, held: ActiveJob, message: WorkerMessage) -> None:
        """Remember how long a whole run took."""
        self._loaded_work = held.work_estimate.work
        if held.job.takes:  # it only did the rest
            return
        gauge, known = held.work_estimate, list(self._store.get_timings(held.work_estimate.work))
        timings = {
            k: s for k, s in message["timings"].items() if not (held.is_warm and k == LOAD_STAGE)
        }
        stages = collect_timings(
            gauge, timings, message["spent"], known, held.eta_estimator.counted_fractions
        )
        self._store.add_timings(gauge.work, stages)

    def _handle_worker_death(self, held: ActiveJob) -> None:
        """Answer a worker that died: work that can goes on, unless it keeps dying."""
        if self._worker is not None:
            held.exit_info = self._worker.get_exit_info()
            self._kill_worker()
        code, words = held.exit_info
        how, task = describe_worker_exit(code), self._tasks.get(held.job.task)
        if task is not None and task.resumable and held.attempts < MAX_ATTEMPTS:
            told = f"The worker {how}; the work went on where it had stopped."
            self._store.add_warning(held.job.id, told)
            self._store.requeue(held.job.id, at_end=False, attempts=held.attempts)
            return
        tries = f" {held.attempts} times at the same place" if held.attempts > 1 else ""
        message = (
            f"The worker {how}{tries}. Most often the memory was full: close other programs, or "
            "ask for less at once."
        )
        self._mark_job_ended(
            held, "failed", JobFailure(cause="worker_died", message=message, details=words)
        )

    def _mark_job_ended(
        self, held: ActiveJob, state: JobState, failure: JobFailure | None = None
    ) -> None:
        assert state in FINAL_STATES
        self._store.mark_ended(held.job.id, state, failure=failure, progress=held.progress)

    def _handle_interrupted_job(self, job: Job, attempts: int) -> None:
        """Let a job that was cut off with the studio wait again; one that cannot go on failed."""
        task = self._tasks.get(job.task)
        if task is not None and task.resumable and attempts < MAX_ATTEMPTS:
            self._store.requeue(job.id, at_end=False, attempts=attempts)
            return
        message = "The studio was closed while this ran. Start it anew."
        if attempts >= MAX_ATTEMPTS:
            message = f"The studio ended {attempts} times while this ran. Ask for less at once."
        self._store.mark_ended(
            job.id, "failed", failure=JobFailure(cause="interrupted", message=message)
        )

    def _ensure_worker(self) -> WorkerHandle:
        with self._changed:
            if self._worker is not None and (
                self._must_replace_worker or not self._worker.is_alive()
            ):
                self._kill_worker()
            self._must_replace_worker = False
            if self._worker is None:
                self._worker = self._start_worker()
            return self._worker

    def _kill_worker(self) -> None:
        hand = self._detach_worker()
        if hand is not None:
            hand.kill_and_wait()

    def _detach_worker(self) -> WorkerHandle | None:
        with self._changed:
            hand, self._worker, self._loaded_work = self._worker, None, ""
            return hand


def describe_worker_exit(code: int | None) -> str:
    """Say in words how a process ended."""
    if code is None:
        return "fell silent"
    if code < 0:
        names = {item.value: item.name for item in signal.Signals}
        return f"was ended by the system ({names.get(-code, f'signal {-code}')})"
    return f"ended by itself (exit code {code})"
