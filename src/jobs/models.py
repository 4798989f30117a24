"""A piece of long work as everybody sees it: what was asked, how far it is, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

JobState = Literal["waiting", "running", "done", "failed", "stopped"]
FINAL_STATES: frozenset[JobState] = frozenset({"done", "failed", "stopped"})

# Any throughout: requests, takes and results are plain values of the tasks' own choosing.


class JobError(Exception):
    """What cannot be done with a job, in a sentence for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """How far a job is.

    done of total steps of the stage;  fraction: of the whole job, 0 to 1;  eta_s: seconds left;
    both from what was learnt of earlier runs, None where nothing is known.
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

    cause: a key of the catalogue of causes;  message: for people;  details: the traceback and the
    like, for a report that can be copied.
    """

    cause: str
    message: str
    details: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job at one moment.

    request: plain, as the task's request class reads it;  takes: the data of its "take" events;
    result: plain, once done;  place: 1 for the next in the queue, 0 when not waiting;
    times are seconds since 1970.
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

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it by itself."""
        return self.state in FINAL_STATES
