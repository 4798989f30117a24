"""How long work will take: learnt from finished runs on this machine, told while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

LOAD = "load"  # the stage that a warm worker skips
OTHER = "other"  # what a run spent outside its stages
LIKE = 4.0  # runs up to so much smaller or larger tell about each other
FEWEST = 2  # runs that are alike; with fewer, all are asked
ALMOST = 0.9  # of a stage whose end is not counted
NEARLY_DONE = 0.99
TRUSTED = 0.15  # of the work, after which its own speed says more than earlier runs
SLOWEST, FASTEST = 8.0, 0.125  # against earlier runs
NEW_PART = 0.3  # of a new estimate in what is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run says about one stage.

    reached: the part of its counted steps that were taken; drafts are counted to their longest.
    """

    seconds: float
    units: float = 1.0
    reached: float = 1.0


Runs = Mapping[str, Sequence[Run]]  # stage -> what earlier runs say about it


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """How much there is to do.

    work: runs of the same work are comparable;  units: stage -> amount, for stages that take
    longer for more; all others take their time once;  parts: how often the measured stages come
    round, about.
    """

    work: str
    units: Mapping[str, float] = field(default_factory=dict)
    parts: int = 1


def expect(gauge: Gauge, runs: Runs, *, is_warm: bool) -> Mapping[str, float]:
    """Say how many seconds each stage will take; nothing where nothing was learnt.

    is_warm: what the work loads is loaded already.
    """
    told: dict[str, float] = {}
    for stage, known in runs.items():
        units = gauge.units.get(stage, 1.0)
        alike = [run for run in known if units / LIKE <= run.units <= units * LIKE]
        chosen = alike if len(alike) >= FEWEST else known
        if not (is_warm and stage == LOAD):
            told[stage] = units * median(run.seconds / max(run.units, 1e-9) for run in chosen)
    return told


def learnt(
    gauge: Gauge,
    timings: Mapping[str, float],
    spent: float,
    known: Sequence[str],
    reached: Mapping[str, float],
) -> Mapping[str, Run]:
    """Return what one finished run tells of each stage.

    spent: seconds in all;  known: stages of earlier runs. One that did not come this time took no
    time, except for loading, which says nothing when it was not needed.
    """
    seen = {**timings, OTHER: max(0.0, spent - sum(timings.values()))}
    absent = {stage: 0.0 for stage in known if stage not in seen and stage != LOAD}
    return {
        stage: Run(
            seconds=seconds, units=gauge.units.get(stage, 1.0), reached=reached.get(stage, 1.0)
        )
        for stage, seconds in {**seen, **absent}.items()
    }


class Pace:
    """Follows one running job and says which part of it is done, and when the rest will be.

    expected: seconds of each stage, in the order in which they come (what comes once is taken to
    come before what comes with each part);  runs: how far earlier ones counted;  before: parts
    that an earlier run of this very job has done.
    """

    def __init__(
        self,
        gauge: Gauge,
        expected: Mapping[str, float],
        runs: Runs,
        before: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._reach = {name: median(run.reached for run in known) for name, known in runs.items()}
        self._reached: dict[str, list[float]] = {}
        self._once = {stage: s for stage, s in expected.items() if stage not in gauge.units}
        self._each = {stage: s for stage, s in expected.items() if stage in gauge.units}
        self._order = [*self._once, *self._each]
        self._parts = max(gauge.parts, before + 1)
        self._before = self._done = before
        self._stage, self._step = "", 0.0
        self._started = self._entered = self._told_at = clock()
        self._fraction = 0.0
        self._eta: float | None = None

    def enter(self, stage: str, done: int, total: int | None) -> None:
        """Hear that `done` of `total` steps of a stage are over."""
        if stage != self._stage:
            self._leave()
            self._stage, self._entered = stage, self._clock()
        self._step = done / total if total else 0.0

    def finish_part(self, done: int, total: int | None) -> None:
        """Hear how many parts of the whole are over."""
        self._done = max(self._done, done)
        self._parts = max(total or self._parts, self._done, 1)
        self._leave()
        self._stage = ""

    @property
    def reached(self) -> Mapping[str, float]:
        """How far each stage was counted when it ended."""
        self._leave()
        return {stage: median(steps) for stage, steps in self._reached.items()}

    def _leave(self) -> None:
        if self._step:
            self._reached.setdefault(self._stage, []).append(self._step)
            self._step = 0.0

    def told(self) -> tuple[float | None, float | None]:
        """Return the fraction that is done, which never falls, and the seconds left."""
        now = self._clock()
        whole, gained = self._whole(), self._gained(now)
        earlier = sum(self._each.values()) * self._before / self._parts
        if whole <= 0:
            return self._by_parts(now)
        self._fraction = max(self._fraction, min(NEARLY_DONE, (gained + earlier) / whole))
        left = max(0.0, whole - earlier - gained) * self._slowness(now, gained, whole)
        if self._eta is not None:
            left = NEW_PART * left + (1 - NEW_PART) * max(0.0, self._eta - (now - self._told_at))
        self._eta, self._told_at = left, now
        return self._fraction, left

    def _whole(self) -> float:
        return sum(self._once.values()) + sum(self._each.values())

    def _gained(self, now: float) -> float:
        """Return how much of the expected seconds is over, the earlier run's parts left out."""
        place = self._order.index(self._stage) if self._stage in self._order else 0
        passed = set(self._order[:place])
        within = sum(s for stage, s in self._each.items() if stage in passed)
        within += self._each.get(self._stage, 0.0) * self._portion(now)
        if self._done > self._before or within:
            once = sum(s for stage, s in self._once.items() if stage != OTHER)
        else:
            once = sum(s for stage, s in self._once.items() if stage in passed)
            once += self._once.get(self._stage, 0.0) * self._portion(now)
        parts = sum(self._each.values()) * (self._done - self._before)
        rest = within if self._done < self._parts else 0.0
        return once + (parts + rest) / self._parts

    def _portion(self, now: float) -> float:
        """Return how much of the stage is over: as counted, else by the clock."""
        if self._step:
            return min(1.0, self._step / max(self._reach.get(self._stage, 1.0), self._step))
        seconds = self._once.get(self._stage, 0.0)
        seconds += self._each.get(self._stage, 0.0) / self._parts
        return min(ALMOST, (now - self._entered) / seconds) if seconds > 0 else 0.0

    def _slowness(self, now: float, gained: float, whole: float) -> float:
        """Compare this run with earlier ones; at its beginning, hardly."""
        if gained <= 0:
            return 1.0
        trust = min(1.0, gained / (TRUSTED * whole))
        measured = min(SLOWEST, max(FASTEST, (now - self._started) / gained))
        return 1.0 + trust * (measured - 1.0)

    def _by_parts(self, now: float) -> tuple[float | None, float | None]:
        """Tell by whole parts only, where no earlier run is known."""
        spoken = self._done - self._before
        if spoken < 1 or self._parts < 2:
            return None, None
        each = (now - self._started) / spoken
        return min(NEARLY_DONE, self._done / self._parts), each * (self._parts - self._done)
