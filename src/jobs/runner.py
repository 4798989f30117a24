"""The queue: one worker, one job after another, and everything about them in the journal."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Condition, Thread
from typing import Any, TypeVar

from jobs.job import ENDED, Failure, Job, JobError, JobState, Progress
from jobs.journal import Journal
from jobs.pace import LOAD, Pace, expect, learnt
from jobs.process import Hand
from jobs.running import Running
from jobs.task import Task, gauge_of
from jobs.worker import Message

GRACE_S = 1.0  # for a job to stop by itself; then its process is ended, which takes time as well
MOST_ATTEMPTS = 3  # in a row without a new take
LOOK_S = 0.1  # how often the queue looks up while a job runs
LAST_WORDS_S = 0.3  # for what a worker had said before it was ended
AGAIN_S = 1.0  # until what the disk refused is tried again

T = TypeVar("T")


class Runner:
    """Runs the jobs of a journal in the order in which they came.

    hire: starts a worker;  tidy: is given each job that is over.  Every method may be called from
    any thread.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        journal: Journal,
        hire: Callable[[], Hand],
        tidy: Callable[[Job], None] = lambda job: None,
    ) -> None:
        self._tasks = tasks
        self._journal = journal
        self._hire = hire
        self._tidy = tidy
        self._hand: Hand | None = None
        self._warm_for = ""  # the work whose weights the worker holds
        self._changed = Condition()
        self._running: Running | None = None
        self._is_closing = False
        self._is_stale = False  # whether the worker is to be replaced before the next job
        self._thread = Thread(target=self._serve, name="jobs", daemon=True)

    def start(self) -> None:
        """Take up what an earlier studio left, and serve the queue from now on."""
        for job in self._journal.in_state("running"):
            self._interrupted(job, self._journal.attempts(job.id))
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
                self._tidy(self._journal.job(id))
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
            self._journal.queue(id, at_end=True, attempts=0)
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
        """End the worker, which frees all its memory; the next job gets another.

        False where it works: it is ended when the job is over.
        """
        with self._changed:
            self._is_stale = self._running is not None
            if not self._is_stale:
                self._end_hand()
            return not self._is_stale

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

    def _stop(self, held: Running) -> None:
        if held.stop_at is None:
            held.stop_at = time.monotonic() + GRACE_S
            held.progress = replace(held.progress, message="Stopping …")
            if self._hand is not None:
                self._hand.send({"do": "stop"})

    def _serve(self) -> None:
        with suppress(OSError):  # the first job will meet it again, and tell
            self._hired()
        while (held := self._insist(self._next)) is not None:
            message = self._served(held)
            self._insist(partial(self._settle, held, message))
            if not self._is_closing:
                with suppress(OSError):
                    self._hired()

    def _insist(self, act: Callable[[], T]) -> T | None:
        """Do what the disk may refuse for a while; give up when the studio closes."""
        while True:
            with self._changed, suppress(JobError):
                return act()
            if self._is_closing:
                return None
            time.sleep(AGAIN_S)

    def _next(self) -> Running | None:
        """Wait for the next job and mark it as running; None when the studio closes."""
        while not self._is_closing:
            job = self._journal.next_waiting()
            if job is not None:
                self._running = self._begun(job, self._journal.begin(job.id))
                self._changed.notify_all()
                return self._running
            self._changed.wait()
        return None

    def _begun(self, job: Job, attempts: int) -> Running:
        gauge = gauge_of(job.task, self._tasks.get(job.task), job.request)
        runs = self._journal.runs(gauge.work)
        is_warm = self._warm_for == gauge.work
        expected = expect(gauge, runs, is_warm=is_warm)
        message = "Going on where it stopped." if job.takes or attempts > 1 else ""
        return Running(
            job=job,
            gauge=gauge,
            pace=Pace(gauge, expected, runs, before=len(job.takes)),
            progress=Progress(stage="starting", message=message),
            attempts=attempts,
            is_warm=is_warm,
        )

    def _served(self, held: Running) -> Message | None:
        """Let the worker do a job; return what it said at the end, None where it died."""
        job = held.job
        try:
            hand = self._hired()
        except OSError as cause:
            why = f"The worker cannot be started: {cause.strerror or cause}."
            return {"say": "failed", "failure": {"cause": "worker_died", "message": why}}
        hand.send({"do": "run", "task": job.task, "request": job.request, "kept": job.takes})
        if held.stop_at is not None:  # the wish came before the job did
            hand.send({"do": "stop"})
        message = self._answer(held, hand, lambda: held.stop_at)
        if message != {}:
            return message
        hand.kill()
        self._forget_hand()
        deaf_at = time.monotonic() + LAST_WORDS_S
        return self._answer(held, hand, lambda: deaf_at) or {"say": "stopped"}

    def _answer(
        self, held: Running, hand: Hand, until: Callable[[], float | None]
    ) -> Message | None:
        """Hear what the worker says to the end of the job; {} where that is not in time."""
        while (message := hand.hear(LOOK_S)) is not None:
            if message.get("say") == "event":
                self._heard(held, message["event"])
            elif message:
                return message
            limit = until()
            if limit is not None and time.monotonic() > limit:
                return {}
        return None

    def _heard(self, held: Running, event: Mapping[str, Any]) -> None:
        id, kind = held.job.id, event["kind"]
        with self._changed, suppress(JobError):  # a disk that is full for a moment stops no work
            if kind != "warning":
                held.hear(event)
            if kind == "take" and self._journal.add_take(id, event["data"]):
                held.attempts = 1
            elif kind == "warning":
                self._journal.add_warning(id, event["message"])

    def _settle(self, held: Running, message: Message | None) -> None:
        """Write down how the job ended, and let whoever waits for it know."""
        said = message["say"] if message is not None else "gone"
        if message is not None and said == "done":
            self._journal.end(
                held.job.id, "done", result=message["result"], progress=held.finished()
            )
            self._learn(held, message)
        elif message is not None and said == "failed":
            self._end(held, "failed", Failure(**message["failure"]))
        elif held.stop_at is None:
            self._lost(held)
        elif self._is_closing:
            self._interrupted(held.job, attempts=0)
        else:
            self._end(held, "stopped")
        self._running = None
        self._tidy(self._journal.job(held.job.id))
        self._changed.notify_all()

    def _learn(self, held: Running, message: Message) -> None:
        """Remember how long a whole run took."""
        self._warm_for = held.gauge.work
        if held.job.takes:  # it only did the rest
            return
        gauge, known = held.gauge, list(self._journal.runs(held.gauge.work))
        timings = {k: s for k, s in message["timings"].items() if not (held.is_warm and k == LOAD)}
        stages = learnt(gauge, timings, message["spent"], known, held.pace.reached)
        self._journal.add_run(gauge.work, stages)

    def _lost(self, held: Running) -> None:
        """Answer a worker that died: work that can goes on, unless it keeps dying."""
        if self._hand is not None:
            held.last_words = self._hand.last_words()
            self._end_hand()
        code, words = held.last_words
        how, task = told_exit(code), self._tasks.get(held.job.task)
        if task is not None and task.goes_on and held.attempts < MOST_ATTEMPTS:
            told = f"The worker {how}; the work went on where it had stopped."
            self._journal.add_warning(held.job.id, told)
            self._journal.queue(held.job.id, at_end=False, attempts=held.attempts)
            return
        tries = f" {held.attempts} times at the same place" if held.attempts > 1 else ""
        message = (
            f"The worker {how}{tries}. Most often the memory was full: close other programs, or "
            "ask for less at once."
        )
        self._end(held, "failed", Failure(cause="worker_died", message=message, details=words))

    def _end(self, held: Running, state: JobState, failure: Failure | None = None) -> None:
        assert state in ENDED
        self._journal.end(held.job.id, state, failure=failure, progress=held.progress)

    def _interrupted(self, job: Job, attempts: int) -> None:
        """Let a job that was cut off with the studio wait again; one that cannot go on failed."""
        task = self._tasks.get(job.task)
        if task is not None and task.goes_on and attempts < MOST_ATTEMPTS:
            self._journal.queue(job.id, at_end=False, attempts=attempts)
            return
        message = "The studio was closed while this ran. Start it anew."
        if attempts >= MOST_ATTEMPTS:
            message = f"The studio ended {attempts} times while this ran. Ask for less at once."
        self._journal.end(job.id, "failed", failure=Failure(cause="interrupted", message=message))

    def _hired(self) -> Hand:
        with self._changed:
            if self._hand is not None and (self._is_stale or not self._hand.is_there()):
                self._end_hand()
            self._is_stale = False
            if self._hand is None:
                self._hand = self._hire()
            return self._hand

    def _end_hand(self) -> None:
        hand = self._forget_hand()
        if hand is not None:
            hand.end()

    def _forget_hand(self) -> Hand | None:
        with self._changed:
            hand, self._hand, self._warm_for = self._hand, None, ""
            return hand


def told_exit(code: int | None) -> str:
    """Say in words how a process ended."""
    if code is None:
        return "fell silent"
    if code < 0:
        names = {item.value: item.name for item in signal.Signals}
        return f"was ended by the system ({names.get(-code, f'signal {-code}')})"
    return f"ended by itself (exit code {code})"
