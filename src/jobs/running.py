"""The job that is in the worker's hands, and how far it is at this moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobs.job import Job, Progress
from jobs.pace import Gauge, Pace

PARTS = ("speaking", "seconds")  # the stages that count the parts of the whole


@dataclass(slots=True)
class Running:
    """The job in the worker's hands.

    attempts: how often it was begun since its last take;  is_warm: whether the worker has loaded
    what the job needs;  stop_at: when its process is ended;
    last_words: exit code and log of the process, should it have died.
    """

    job: Job
    gauge: Gauge
    pace: Pace
    progress: Progress
    attempts: int
    is_warm: bool
    stop_at: float | None = None
    last_words: tuple[int | None, str] = (None, "")

    def now(self) -> Progress:
        """Return how far the job is at this moment."""
        fraction, eta_s = self.pace.told()
        stopping = self.stop_at is not None
        return replace(self.progress, fraction=fraction, eta_s=None if stopping else eta_s)

    def hear(self, event: Mapping[str, Any]) -> None:
        """Heed what the work says about how far it is."""
        stage, done, total = event["stage"], event["done"], event["total"]
        if event["kind"] == "take" or stage in PARTS:
            self.pace.finish_part(done, total)
        elif event["kind"] == "progress":
            self.pace.enter(stage, done, total)
        else:
            if self.stop_at is None:
                self.progress = replace(self.progress, message=event["message"])
            return
        self.progress = replace(self.progress, stage=stage, done=done, total=total)

    def finished(self) -> Progress:
        """Return the progress of work that is done."""
        return replace(self.progress, message="", fraction=1.0, eta_s=0.0)
