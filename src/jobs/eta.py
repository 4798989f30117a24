"""How long work will take: learnt from finished runs on this machine, told while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

LOAD_STAGE = "load"  # the stage that a warm worker skips
OTHER_STAGE = "other"  # what a run spent outside its stages
SIMILAR_SIZE_RATIO = 4.0  # runs up to so much smaller or larger tell about each other
MIN_SIMILAR_RUNS = 2  # runs that are alike; with fewer, all are asked
MAX_CLOCK_FRACTION = 0.9  # of a stage whose end is not counted
MAX_FRACTION = 0.99
FULL_TRUST_FRACTION = 0.15  # of the work, after which its own speed says more than earlier runs
MAX_SLOWNESS, MIN_SLOWNESS = 8.0, 0.125  # against earlier runs
ETA_SMOOTHING = 0.3  # of a new estimate in what is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTiming:
    """What one run says about one stage.

    reached: the part of its counted steps that were taken; drafts are counted to their longest.
    """

    seconds: float
    units: float = 1.0
    reached: float = 1.0


TimingHistory = Mapping[str, Sequence[StageTiming]]  # stage -> what earlier runs say about it


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkEstimate:
    """How much there is to do.

    work: runs of the same work are comparable;  units: stage -> amount, for stages that take
    longer for more; all others take their time once;  parts: how often the measured stages come
    round, about.
    """

    work: str
    units: Mapping[str, float] = field(default_factory=dict)
    parts: int = 1


def estimate_stage_seconds(
    gauge: WorkEstimate, runs: TimingHistory, *, is_warm: bool
) -> Mapping[str, float]:
    """Say how many seconds each stage will take; nothing where nothing was learnt.

    is_warm: what the work loads is loaded already.
    """
    told: dict[str, float] = {}
    for stage, known in runs.items():
        units = gauge.units.get(stage, 1.0)
        alike = [
            run
            for run in known
            if units / SIMILAR_SIZE_RATIO <= run.units <= units * SIMILAR_SIZE_RATIO
        ]
        chosen = alike if len(alike) >= MIN_SIMILAR_RUNS else known
        if not (is_warm and stage == LOAD_STAGE):
            told[stage] = units * median(run.seconds / max(run.units, 1e-9) for run in chosen)
    return told


def collect_timings(
    gauge: WorkEstimate,
    timings: Mapping[str, float],
    spent: float,
    known: Sequence[str],
    reached: Mapping[str, float],
) -> Mapping[str, StageTiming]:
    """Return what one finished run tells of each stage.

    spent: seconds in all;  known: stages of earlier runs. One that did not come this time took no
    time, except for loading, which says nothing when it was not needed.
    """
    seen = {**timings, OTHER_STAGE: max(0.0, spent - sum(timings.values()))}
    absent = {stage: 0.0 for stage in known if stage not in seen and stage != LOAD_STAGE}
    return {
        stage: StageTiming(
            seconds=seconds, units=gauge.units.get(stage, 1.0), reached=reached.get(stage, 1.0)
        )
        for stage, seconds in {**seen, **absent}.items()
    }


class EtaEstimator:
    """Follows one running job and says which part of it is done, and when the rest will be.

    expected: seconds of each stage, in the order in which they come (what comes once is taken to
    come before what comes with each part);  runs: how far earlier ones counted;  before: parts
    that an earlier run of this very job has done.
    """

    def __init__(
        self,
        gauge: WorkEstimate,
        expected: Mapping[str, float],
        runs: TimingHistory,
        before: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._reach = {name: median(run.reached for run in known) for name, known in runs.items()}
        self._reached: dict[str, list[float]] = {}
        self._seconds_once = {stage: s for stage, s in expected.items() if stage not in gauge.units}
        self._seconds_per_part = {stage: s for stage, s in expected.items() if stage in gauge.units}
        self._order = [*self._seconds_once, *self._seconds_per_part]
        self._parts = max(gauge.parts, before + 1)
        self._before = self._done = before
        self._stage, self._step = "", 0.0
        self._started = self._entered = self._estimated_at = clock()
        self._fraction = 0.0
        self._eta: float | None = None

    def update_stage(self, stage: str, done: int, total: int | None) -> None:
        """Hear that `done` of `total` steps of a stage are over."""
        if stage != self._stage:
            self._leave_stage()
            self._stage, self._entered = stage, self._clock()
        self._step = done / total if total else 0.0

    def finish_part(self, done: int, total: int | None) -> None:
        """Hear how many parts of the whole are over."""
        self._done = max(self._done, done)
        self._parts = max(total or self._parts, self._done, 1)
        self._leave_stage()
        self._stage = ""

    @property
    def counted_fractions(self) -> Mapping[str, float]:
        """How far each stage was counted when it ended."""
        self._leave_stage()
        return {stage: median(steps) for stage, steps in self._reached.items()}

    def _leave_stage(self) -> None:
        if self._step:
            self._reached.setdefault(self._stage, []).append(self._step)
            self._step = 0.0

    def estimate(self) -> tuple[float | None, float | None]:
        """Return the fraction that is done, which never falls, and the seconds left."""
        now = self._clock()
        whole, gained = self._get_total_seconds(), self._get_completed_seconds(now)
        earlier = sum(self._seconds_per_part.values()) * self._before / self._parts
        if whole <= 0:
            return self._estimate_by_parts(now)
        self._fraction = max(self._fraction, min(MAX_FRACTION, (gained + earlier) / whole))
        left = max(0.0, whole - earlier - gained) * self._slowness(now, gained, whole)
        if self._eta is not None:
            left = ETA_SMOOTHING * left + (1 - ETA_SMOOTHING) * max(
                0.0, self._eta - (now - self._estimated_at)
            )
        self._eta, self._estimated_at = left, now
        return self._fraction, left

    def _get_total_seconds(self) -> float:
        return sum(self._seconds_once.values()) + sum(self._seconds_per_part.values())

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
        """Return how much of the stage is over: as counted, else by the clock."""
        if self._step:
            return min(1.0, self._step / max(self._reach.get(self._stage, 1.0), self._step))
        seconds = self._seconds_once.get(self._stage, 0.0)
        seconds += self._seconds_per_part.get(self._stage, 0.0) / self._parts
        return min(MAX_CLOCK_FRACTION, (now - self._entered) / seconds) if seconds > 0 else 0.0

    def _slowness(self, now: float, gained: float, whole: float) -> float:
        """Compare this run with earlier ones; at its beginning, hardly."""
        if gained <= 0:
            return 1.0
        trust = min(1.0, gained / (FULL_TRUST_FRACTION * whole))
        measured = min(MAX_SLOWNESS, max(MIN_SLOWNESS, (now - self._started) / gained))
        return 1.0 + trust * (measured - 1.0)

    def _estimate_by_parts(self, now: float) -> tuple[float | None, float | None]:
        """Tell by whole parts only, where no earlier run is known."""
        spoken = self._done - self._before
        if spoken < 1 or self._parts < 2:
            return None, None
        each = (now - self._started) / spoken
        return min(MAX_FRACTION, self._done / self._parts), each * (self._parts - self._done)
