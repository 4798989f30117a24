"""A job: its request, state, progress and result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from core.errors import AppError
from core.progress import ProgressEvent
from jobs.eta import EtaEstimator, WorkEstimate

JobState = Literal["waiting", "running", "done", "failed", "stopped"]
FINAL_STATES: frozenset[JobState] = frozenset({"done", "failed", "stopped"})
PART_STAGES = ("speaking", "seconds")  # the stages that count the parts of the whole

# Any: requests, takes and results are plain values of the tasks' choosing.


class JobError(AppError):
    """Something cannot be done with a job; the message is for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """Progress of a job.

    done of total steps of the stage; fraction: of the whole job, 0 to 1; eta_s: seconds left; both
    estimated from earlier runs, None where nothing is known.
    """

    stage: str = ""
    done: int = 0
    total: int | None = None
    message: str = ""
    fraction: float | None = None
    eta_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailure:
    """Why a job failed.

    cause: a key of core/error_catalog.yaml;  message: for the user;  details: the traceback or the
    end of the log, for a bug report.
    """

    cause: str
    message: str
    details: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Snapshot of a job.

    request: plain, as the task's request class reads it;  takes: the data of its "take" events;
    result: plain, once done;  place: 1 for the next in the queue, 0 when not waiting;  origin: what
    submitted it, such as a tab of the page, "" where unknown;  times are seconds since 1970.
    """

    id: str
    task: str
    request: Mapping[str, Any]
    title: str
    state: JobState
    created: float
    started: float | None = None
    ended: float | None = None
    progress: JobProgress = JobProgress()
    takes: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    result: Mapping[str, Any] | None = None
    failure: JobFailure | None = None
    place: int = 0
    origin: str = ""

    @property
    def is_over(self) -> bool:
        """Return whether it has ended."""
        return self.state in FINAL_STATES


@dataclass(slots=True)
class ActiveJob:
    """The job that the worker runs.

    attempts: how often it was started since its last take;  is_warm: whether the worker has loaded
    what the job needs;  has_begun: whether the worker has reported anything of it;  stop_at: when
    its process is killed;  stops_after_take: whether it is stopped when its next take is there.
    """

    job: Job
    attempts: int
    progress: JobProgress
    work_estimate: WorkEstimate = field(init=False)
    eta_estimator: EtaEstimator = field(init=False)
    is_warm: bool = False
    has_begun: bool = False
    stop_at: float | None = None
    stops_after_take: bool = False

    def __post_init__(self) -> None:
        self.work_estimate = WorkEstimate(work=self.job.task)
        self.eta_estimator = EtaEstimator(self.work_estimate, {})

    def get_progress(self) -> JobProgress:
        """Return how far the job is at this moment."""
        fraction, eta_s = self.eta_estimator.estimate()
        stopping = self.stop_at is not None
        return replace(self.progress, fraction=fraction, eta_s=None if stopping else eta_s)

    def handle_event(self, event: ProgressEvent) -> None:
        """Update the progress from an event of the task."""
        if event.kind == "take" or event.stage in PART_STAGES:
            self.eta_estimator.finish_part(event.done, event.total)
        elif event.kind == "progress":
            self.eta_estimator.update_stage(event.stage, event.done, event.total)
        else:
            if self.stop_at is None:
                self.progress = replace(self.progress, message=event.message)
            return
        self.progress = replace(
            self.progress, stage=event.stage, done=event.done, total=event.total
        )
