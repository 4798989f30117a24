"""The time that work takes is learnt from earlier runs, and told without going back."""

from __future__ import annotations

import pytest

from jobs.eta import (
    EtaEstimator,
    StageTiming,
    WorkEstimate,
    collect_timings,
    estimate_stage_seconds,
)

GAUGE = WorkEstimate(work="speak", units={"draft": 100.0, "diffusion": 10.0}, parts=2)
EXPECTED = {"load": 4.0, "draft": 10.0, "diffusion": 6.0}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def pace(before: int = 0, parts: int = 2) -> tuple[EtaEstimator, Clock]:
    clock = Clock()
    gauge = WorkEstimate(work="speak", units=GAUGE.units, parts=parts)
    return EtaEstimator(gauge, EXPECTED, before=before, clock=clock), clock


def test_nothing_is_expected_where_nothing_was_learnt() -> None:
    assert estimate_stage_seconds(GAUGE, {}, is_warm=False) == {}


def test_what_grows_with_the_work_is_scaled_and_the_rest_is_not() -> None:
    runs = {
        "load": [StageTiming(seconds=4.0)] * 3,
        "draft": [StageTiming(seconds=5.0, units=50.0)] * 3,
    }
    assert estimate_stage_seconds(GAUGE, runs, is_warm=False) == {
        "load": 4.0,
        "draft": pytest.approx(10.0),
    }
    assert estimate_stage_seconds(GAUGE, runs, is_warm=True) == {"draft": pytest.approx(10.0)}


def test_one_odd_run_changes_little() -> None:
    usual, odd = StageTiming(seconds=10.0, units=100.0), StageTiming(seconds=900.0, units=100.0)
    runs = {"draft": [usual] * 4 + [odd]}
    assert estimate_stage_seconds(GAUGE, runs, is_warm=True)["draft"] == pytest.approx(10.0)


def test_runs_of_about_the_same_size_say_more_than_others() -> None:
    alike = [StageTiming(seconds=10.0, units=90.0), StageTiming(seconds=10.0, units=110.0)]
    runs = {"draft": [StageTiming(seconds=5.0)] * 9 + alike}
    assert estimate_stage_seconds(GAUGE, runs, is_warm=True)["draft"] == pytest.approx(
        10.1, rel=0.02
    )


def test_a_run_tells_its_stages_its_rest_and_what_did_not_come() -> None:
    known = ["load", "listening", "draft"]
    told = collect_timings(GAUGE, {"draft": 3.0}, 5.0, known)
    assert told == {
        "draft": StageTiming(seconds=3.0, units=100.0),
        "other": StageTiming(seconds=2.0),
        "listening": StageTiming(seconds=0.0),
    }


def test_a_stage_whose_steps_are_seldom_all_taken_is_measured_by_the_clock() -> None:
    gauge = WorkEstimate(work="speak", units={"draft": 100.0})
    clock = Clock()
    follow = EtaEstimator(gauge, {"draft": 10.0}, clock=clock)
    follow.update_stage("draft", 100, 1000)
    clock.now += 5
    fraction, left = follow.estimate()
    assert fraction == pytest.approx(0.5) and left == pytest.approx(5.0)


def test_the_fraction_never_falls_and_the_time_left_ends_near_nothing() -> None:
    follow, clock = pace()
    seen = [follow.estimate()]
    for part in (1, 2):
        if part == 1:
            follow.update_stage("load", 0, None)
            clock.now += 4
            seen.append(follow.estimate())
        for stage, seconds in (("draft", 5), ("diffusion", 3)):
            for step in range(10):
                follow.update_stage(stage, step, 10)
                clock.now += seconds / 10
                seen.append(follow.estimate())
        follow.finish_part(part, 2)
        seen.append(follow.estimate())
    fractions = [fraction for fraction, _ in seen if fraction is not None]
    assert len(fractions) == len(seen) and fractions == sorted(fractions)
    assert fractions[0] == 0 and fractions[-1] > 0.95
    halves = [fraction for fraction in fractions if 0.45 < fraction < 0.65]
    assert halves, "it moves on within parts"
    assert seen[0][1] == pytest.approx(20.0) and seen[-1][1] is not None and seen[-1][1] < 2


def test_a_slower_machine_is_noticed_while_the_work_runs() -> None:
    follow, clock = pace()
    follow.update_stage("load", 0, None)
    clock.now += 4
    for step in range(11):
        follow.update_stage("draft", step, 10)
        clock.now += 1.5  # three times the expected 0.5
        _, left = follow.estimate()
    assert left is not None and left > 14.0, "more than the 11 s that earlier runs promise"


def test_work_that_goes_on_begins_where_it_stopped() -> None:
    follow, _ = pace(before=1)
    fraction, left = follow.estimate()
    assert fraction == pytest.approx(8 / 20) and left == pytest.approx(12.0)


def test_a_total_that_was_guessed_is_corrected() -> None:
    follow, clock = pace(parts=1)
    follow.update_stage("draft", 5, 10)
    follow.finish_part(0, 8)
    follow.update_stage("draft", 0, 10)
    clock.now += 1
    fraction, _ = follow.estimate()
    assert fraction is not None and fraction < 0.4


def test_without_earlier_runs_whole_parts_are_counted() -> None:
    clock = Clock()
    follow = EtaEstimator(WorkEstimate(work="new", parts=4), {}, clock=clock)
    assert follow.estimate() == (None, None)
    clock.now += 3
    follow.finish_part(1, 4)
    assert follow.estimate() == (0.25, pytest.approx(9.0))


def test_work_in_a_single_part_without_earlier_runs_promises_nothing() -> None:
    follow = EtaEstimator(WorkEstimate(work="new"), {})
    follow.update_stage("merging", 3, 10)
    assert follow.estimate() == (None, None)


def test_parts_that_are_counted_without_timed_stages_move_the_fraction() -> None:
    clock = Clock()
    expected = {"loading": 4.0, "comparing": 1.0, "other": 300.0}
    follow = EtaEstimator(WorkEstimate(work="prepare"), expected, clock=clock)
    follow.update_stage("loading", 0, None)
    clock.now += 4
    fractions = [follow.estimate()[0]]
    for done in (0, 81, 162):
        follow.finish_part(done, 455)
        clock.now += 50 if done else 0
        fraction, left = follow.estimate()
        fractions.append(fraction)
    assert fractions == sorted(fractions, key=lambda share: share or 0.0)
    assert fraction == pytest.approx(162 / 455) and left == pytest.approx(104 / 162 * 293)
