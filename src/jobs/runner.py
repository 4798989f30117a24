"""The queue: one worker, one job after another, and everything about them in the journal."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Condition, Thread
from typing import Any

from jobs.job import ENDED, Failure, Job, JobError, JobState, Progress
from jobs.journal import Journal
from jobs.pace import Gauge, Pace, expect, learnt
from jobs.process import Hand
from jobs.task import Task, gauge_of
from jobs.worker import Message

GRACE_S = 1.5  # for a job to stop by itself; then its process is ended
MOST_ATTEMPTS = 3  # in a row without a new take
PARTS = "speaking"  # the stage that counts the parts of the whole
LOOK_S = 0.1  # how often the queue looks up while a job runs


@dataclass(slots=True)
class _Running:
    """The job in the worker's hands.

    attempts: how often it was begun since its last take;  stop_at: when its process is ended.
    """

    job: Job
    gauge: Gauge
    pace: Pace
    progress: Progress
    attempts: int
    stop_at: float | None = None

    def now(self) -> Progress:
        """Return how far the job is at this moment."""
        fraction, eta_s = self.pace.told()
        stopping = self.stop_at is not None
        return replace(self.progress, fraction=fraction, eta_s=None if stopping else eta_s)

    def hear(self, event: Mapping[str, Any]) -> None:
        """Heed what the work says about how far it is."""
        stage, done, total = event["stage"], event["done"], event["total"]
        if event["kind"] == "take" or stage == PARTS:
            self.pace.finish_part(done, total)
        elif event["kind"] == "progress":
            self.pace.enter(stage, done, total)
        else:
            if self.stop_at is None:
                self.progress = replace(self.progress, message=event["message"])
            return
        self.progress = replace(self.progress, stage=stage, done=done, total=total)


class Runner:
    """Runs the jobs of a journal in the order in which they came.

    hire: starts a worker.  Every method may be called from any thread.
    """

    def __init__(
        self, tasks: Mapping[str, Task], journal: Journal, hire: Callable[[], Hand]
    ) -> None:
        self._tasks = tasks
        self._journal = journal
        self._hire = hire
        self._hand: Hand | None = None
        self._warm_for = ""  # the work whose weights the worker holds
        self._changed = Condition()
        self._running: _Running | None = None
        self._is_closing = False
        self._thread = Thread(target=self._serve, name="jobs", daemon=True)

    def start(self) -> None:
        """Take up what an earlier studio left, and serve the queue from now on."""
        for job in self._journal.in_state("running"):
            self._interrupted(job, forgive=False)
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
            added = self._journal.add(job)
            self._changed.notify_all()
        return added

    def job(self, id: str) -> Job:
        """Return a job as it is now; raises JobError for an unknown id."""
        with self._changed:
            return self._now(self._journal.job(id))

    def jobs(self, limit: int) -> list[Job]:
        """Return the newest jobs, newest first."""
        with self._changed:
            return [self._now(job) for job in self._journal.jobs(limit)]

    def cancel(self, id: str) -> Job:
        """Drop a waiting job, or stop the running one within two seconds; takes are kept."""
        with self._changed:
            job = self._journal.job(id)
            if job.state == "waiting":
                self._journal.end(id, "stopped")
            elif self._running is not None and self._running.job.id == id:
                self._stop(self._running)
            self._changed.notify_all()
            return self._now(self._journal.job(id))

    def resume(self, id: str) -> Job:
        """Let a stopped or failed job go on after its last take, at the end of the queue."""
        with self._changed:
            job = self._journal.job(id)
            if job.state not in ("stopped", "failed"):
                raise JobError(f"This job is {job.state}; only a stopped or failed one can go on.")
            task = self._tasks.get(job.task)
            if task is None or not task.goes_on:
                raise JobError("This kind of job cannot go on where it stopped. Start it anew.")
            self._journal.queue(id, at_end=True, forgive=True)
            self._changed.notify_all()
            return self._journal.job(id)

    def wait(self, id: str, timeout_s: float | None = None) -> Job:
        """Return the job once it is over, or as it is when the time is up."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while True:
                job = self._now(self._journal.job(id))
                left = None if until is None else until - time.monotonic()
                if job.is_over or (left is not None and left <= 0):
                    return job
                self._changed.wait(left)

    def expected_s(self, task: str, request: Mapping[str, Any]) -> Mapping[str, float] | None:
        """Say how many seconds each stage of a request will take; None where nothing is known."""
        with self._changed:
            gauge = gauge_of(task, self._tasks.get(task), request)
            runs = self._journal.runs(gauge.work)
            return expect(gauge, runs, is_warm=self._warm_for == gauge.work) or None

    def dismiss(self) -> bool:
        """End the worker if it is idle, which frees all its memory; the next job gets another."""
        with self._changed:
            if self._running is not None:
                return False
            self._end_hand()
            return True

    def close(self) -> None:
        """Stop the worker. What was running or waiting goes on when the studio is opened again."""
        with self._changed:
            self._is_closing = True
            if self._running is not None:
                self._stop(self._running)
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._end_hand()

    def _now(self, job: Job) -> Job:
        held = self._running
        return replace(job, progress=held.now()) if held and held.job.id == job.id else job

    def _stop(self, held: _Running) -> None:
        if held.stop_at is None:
            held.stop_at = time.monotonic() + GRACE_S
            held.progress = replace(held.progress, message="Stopping …")
            if self._hand is not None:
                self._hand.send({"do": "stop"})

    def _serve(self) -> None:
        self._hired()
        while (held := self._next()) is not None:
            self._serve_one(held)

    def _next(self) -> _Running | None:
        """Wait for the next job and mark it as running; None when the studio closes."""
        with self._changed:
            while not self._is_closing:
                job = self._journal.next_waiting()
                if job is not None:
                    attempts = self._journal.begin(job.id)
                    self._running = self._begun(job, attempts)
                    self._changed.notify_all()
                    return self._running
                self._changed.wait()
            return None

    def _begun(self, job: Job, attempts: int) -> _Running:
        gauge = gauge_of(job.task, self._tasks.get(job.task), job.request)
        expected = expect(
            gauge, self._journal.runs(gauge.work), is_warm=self._warm_for == gauge.work
        )
        message = "Going on where it stopped." if job.takes or attempts > 1 else ""
        return _Running(
            job=job,
            gauge=gauge,
            pace=Pace(gauge, expected, before=len(job.takes)),
            progress=Progress(stage="starting", message=message),
            attempts=attempts,
        )

    def _serve_one(self, held: _Running) -> None:
        hand = self._hired()
        job = held.job
        hand.send({"do": "run", "task": job.task, "request": job.request, "kept": job.takes})
        while (message := hand.hear(LOOK_S)) is not None:
            if message.get("say") == "event":
                self._heard(held, message["event"])
            elif message:
                break
            if held.stop_at is not None and time.monotonic() > held.stop_at:
                self._end_hand()
                message = {"say": "stopped"}
                break
        self._settle(held, message)

    def _heard(self, held: _Running, event: Mapping[str, Any]) -> None:
        id, kind = held.job.id, event["kind"]
        with self._changed:
            if kind == "take":
                self._journal.add_take(id, event["data"])
                held.attempts = 1
            elif kind == "warning":
                self._journal.add_warning(id, event["message"])
            if kind != "warning":
                held.hear(event)

    def _settle(self, held: _Running, message: Message | None) -> None:
        """Write down how the job ended, and let whoever waits for it know."""
        with self._changed:
            id = held.job.id
            said = message["say"] if message is not None else "gone"
            if said == "done":
                assert message is not None
                self._journal.end(id, "done", result=message["result"])
                self._learn(held, message)
            elif said == "failed":
                assert message is not None
                self._end(held, "failed", Failure(**message["failure"]))
            elif held.stop_at is None:
                self._lost(held)
            elif self._is_closing:
                self._interrupted(held.job, forgive=True)
            else:
                self._end(held, "stopped")
            self._running = None
            self._changed.notify_all()
        if self._hand is None and not self._is_closing:
            self._hired()

    def _learn(self, held: _Running, message: Message) -> None:
        """Remember how long a whole run took."""
        self._warm_for = held.gauge.work
        if held.job.takes:  # it only did the rest
            return
        known = list(self._journal.runs(held.gauge.work))
        self._journal.add_run(
            held.gauge.work, learnt(held.gauge, message["timings"], message["spent"], known)
        )

    def _lost(self, held: _Running) -> None:
        """Answer a worker that died: work that can goes on, unless it keeps dying."""
        code, words = self._hand.last_words() if self._hand is not None else (None, "")
        self._end_hand()
        how = told_exit(code)
        task = self._tasks[held.job.task]
        if task.goes_on and held.attempts < MOST_ATTEMPTS:
            self._journal.add_warning(
                held.job.id, f"The worker {how}; the work went on where it had stopped."
            )
            self._journal.queue(held.job.id, at_end=False, forgive=False)
            return
        tries = f" {held.attempts} times at the same place" if held.attempts > 1 else ""
        message = (
            f"The worker {how}{tries}. Most often the memory was full: close other programs, or "
            "ask for less at once."
        )
        self._end(held, "failed", Failure(cause="worker_died", message=message, details=words))

    def _end(self, held: _Running, state: JobState, failure: Failure | None = None) -> None:
        assert state in ENDED
        self._journal.end(held.job.id, state, failure=failure, progress=held.progress)

    def _interrupted(self, job: Job, *, forgive: bool) -> None:
        """Let a job that was cut off wait again, if it can go on; else it failed."""
        task = self._tasks.get(job.task)
        if task is not None and task.goes_on:
            self._journal.queue(job.id, at_end=False, forgive=forgive)
            return
        message = "The studio was closed while this ran. Start it anew."
        self._journal.end(job.id, "failed", failure=Failure(cause="interrupted", message=message))

    def _hired(self) -> Hand:
        if self._hand is None:
            self._hand = self._hire()
        return self._hand

    def _end_hand(self) -> None:
        if self._hand is not None:
            self._hand.end()
            self._hand = None
            self._warm_for = ""


def told_exit(code: int | None) -> str:
    """Say in words how a process ended."""
    if code is None:
        return "fell silent"
    if code < 0:
        names = {item.value: item.name for item in signal.Signals}
        return f"was ended by the system ({names.get(-code, f'signal {-code}')})"
    return f"ended by itself (exit code {code})"
