"""Time estimates from finished runs on this machine, updated while the work runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

LOAD_STAGE = "load"  # the stage that a warm worker skips
OTHER_STAGE = "other"  # what a run spent outside its stages
SIMILAR_SIZE_RATIO = 4.0  # runs up to so much smaller or larger are compared
MIN_SIMILAR_RUNS = 2  # with fewer similar runs, all are taken
MAX_CLOCK_FRACTION = 0.9  # of a stage before its end is reported
MAX_FRACTION = 0.99
PRIOR_WEIGHT = 0.15  # of the work: how much earlier runs count against the speed of this one


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTiming:
    """Duration and amount of work of one stage of a run."""

    seconds: float
    units: float = 1.0


TimingHistory = Mapping[str, Sequence[StageTiming]]  # stage -> earlier runs


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkEstimate:
    """The amount of work.

    work: runs of the same work are comparable; units: stage -> amount, for stages that take longer
    for more; all others take their time once; parts: how often the measured stages come round,
    about.
    """

    work: str
    units: Mapping[str, float] = field(default_factory=dict)
    parts: int = 1


def estimate_stage_seconds(
    estimate: WorkEstimate, runs: TimingHistory, *, is_warm: bool
) -> Mapping[str, float]:
    """Return the median seconds of each stage, scaled to the work; {} where nothing is known.

    is_warm: what the work loads is loaded already.
    """
    seconds: dict[str, float] = {}
    for stage, known in runs.items():
        if is_warm and stage == LOAD_STAGE:
            continue
        units = estimate.units.get(stage, 1.0)
        low, high = units / SIMILAR_SIZE_RATIO, units * SIMILAR_SIZE_RATIO
        similar = [run for run in known if low <= run.units <= high]
        chosen = similar if len(similar) >= MIN_SIMILAR_RUNS else known
        seconds[stage] = units * median(run.seconds / max(run.units, 1e-9) for run in chosen)
    return seconds


def collect_timings(
    estimate: WorkEstimate, timings: Mapping[str, float], spent: float, known: Sequence[str]
) -> Mapping[str, StageTiming]:
    """Return the timing of each stage of a finished run.

    spent: total seconds; known: stages of earlier runs. A known stage that was skipped took no
    time, except for loading, which is left out.
    """
    absent = {stage: 0.0 for stage in known if stage != LOAD_STAGE}
    seen = {**timings, OTHER_STAGE: max(0.0, spent - sum(timings.values()))}
    return {
        stage: StageTiming(seconds=seconds, units=estimate.units.get(stage, 1.0))
        for stage, seconds in {**absent, **seen}.items()
    }


class EtaEstimator:
    """Estimates which part of a running job is done, and when the rest will be.

    expected: seconds of each stage, in the order in which they come (what comes once is taken to
    come before what comes with each part);  before: parts that an earlier run of the job has done.
    """

    def __init__(
        self,
        estimate: WorkEstimate,
        expected: Mapping[str, float],
        before: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._seconds_once = {k: s for k, s in expected.items() if k not in estimate.units}
        self._seconds_per_part = {k: s for k, s in expected.items() if k in estimate.units}
        self._order = [*self._seconds_once, *self._seconds_per_part]
        self._parts = max(estimate.parts, before + 1)
        self._before = self._done = before
        self._stage, self._step = "", 0.0
        self._started = self._entered = clock()
        self._fraction = 0.0

    def update_stage(self, stage: str, done: int, total: int | None) -> None:
        """Note that `done` of `total` steps of a stage are done."""
        if stage != self._stage:
            self._stage, self._entered = stage, self._clock()
        self._step = done / total if total else 0.0

    def finish_part(self, done: int, total: int | None) -> None:
        """Note how many parts of the whole are done."""
        self._done = max(self._done, done)
        self._parts = max(total or self._parts, self._done, 1)
        self._stage, self._step = "", 0.0

    def estimate(self) -> tuple[float | None, float | None]:
        """Return the fraction that is done, which never falls, and the seconds left."""
        now = self._clock()
        whole = sum(self._seconds_once.values()) + sum(self._seconds_per_part.values())
        is_counted_only = self._done > self._before and not self._seconds_per_part
        if whole <= 0 or is_counted_only:  # no stage of the parts was timed
            return self._estimate_by_parts(now)
        earlier = sum(self._seconds_per_part.values()) * self._before / self._parts
        gained = self._get_completed_seconds(now)
        prior = PRIOR_WEIGHT * whole
        slowness = (now - self._started + prior) / (gained + prior)
        self._fraction = max(self._fraction, min(MAX_FRACTION, (gained + earlier) / whole))
        return self._fraction, max(0.0, whole - earlier - gained) * slowness

    def _get_completed_seconds(self, now: float) -> float:
        """Return how much of the expected seconds is over, the earlier run's parts left out."""
        place = self._order.index(self._stage) if self._stage in self._order else 0
        passed = set(self._order[:place])
        within = sum(s for stage, s in self._seconds_per_part.items() if stage in passed)
        within += self._seconds_per_part.get(self._stage, 0.0) * self._get_stage_fraction(now)
        if self._done > self._before or within:
            once = sum(s for stage, s in self._seconds_once.items() if stage != OTHER_STAGE)
        else:
            once = sum(s for stage, s in self._seconds_once.items() if stage in passed)
            once += self._seconds_once.get(self._stage, 0.0) * self._get_stage_fraction(now)
        parts = sum(self._seconds_per_part.values()) * (self._done - self._before)
        rest = within if self._done < self._parts else 0.0
        return once + (parts + rest) / self._parts

    def _get_stage_fraction(self, now: float) -> float:
        """Return the finished share of the stage: the larger one of elapsed time and counted steps.

        Many stages end before all steps, such as sampling at the stop token.
        """
        seconds = self._seconds_once.get(self._stage, 0.0)
        seconds += self._seconds_per_part.get(self._stage, 0.0) / self._parts
        elapsed = (now - self._entered) / seconds if seconds > 0 else 0.0
        return min(1.0, max(self._step, min(MAX_CLOCK_FRACTION, elapsed)))

    def _estimate_by_parts(self, now: float) -> tuple[float | None, float | None]:
        """Estimate by whole parts only, where earlier runs say nothing about them."""
        finished = self._done - self._before
        if finished < 1 or self._parts < 2:
            return None, None
        each = (now - self._started) / finished
        self._fraction = max(self._fraction, min(MAX_FRACTION, self._done / self._parts))
        return self._fraction, each * (self._parts - self._done)
