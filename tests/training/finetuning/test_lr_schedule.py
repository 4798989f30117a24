"""The learning rate over a run: shares of it, whatever its length."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.finetuning.config.lr_schedule import compute_cosine_lr, compute_lr, compute_lr_curve
from training.finetuning.config.schema import ScheduleConfig

SCHEDULES = st.builds(
    ScheduleConfig,
    shape=st.sampled_from(["constant", "multistep", "cosine"]),
    warm_up=st.floats(0.0, 0.29),
    milestones=st.lists(st.floats(0.3, 0.95), min_size=1, max_size=4, unique=True).map(
        lambda marks: tuple(sorted(marks))
    ),
    gamma=st.floats(0.01, 1.0),
    floor=st.floats(0.0, 1.0),
)
LENGTHS = st.integers(1, 400)


@given(SCHEDULES, LENGTHS)
def test_a_rate_is_never_nothing_and_never_above_the_highest(
    schedule: ScheduleConfig, steps: int
) -> None:
    rates = [compute_lr(schedule, 1e-3, step, steps) for step in range(steps)]
    assert all(0 < rate <= 1e-3 * (1 + 1e-9) for rate in rates)


@given(SCHEDULES, LENGTHS)
def test_it_rises_while_it_warms_up_and_never_after(schedule: ScheduleConfig, steps: int) -> None:
    rates = [compute_lr(schedule, 1.0, step, steps) for step in range(steps)]
    warm_up = round(schedule.warm_up * steps)
    rising, falling = rates[:warm_up], rates[warm_up:]
    assert rising == sorted(rising)
    assert all(later <= sooner + 1e-12 for sooner, later in pairwise(falling))


def test_constant_stays() -> None:
    schedule = ScheduleConfig(shape="constant", warm_up=0.0)
    assert {compute_lr(schedule, 0.1, step, 50) for step in range(50)} == {0.1}


def test_multistep_falls_at_its_shares_of_the_run() -> None:
    schedule = ScheduleConfig(shape="multistep", warm_up=0.0, milestones=(0.5, 0.75), gamma=0.1)
    rates = [compute_lr(schedule, 1.0, step, 8) for step in range(8)]
    assert rates == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_cosine_warms_up_in_a_line_and_nears_its_floor() -> None:
    schedule = ScheduleConfig(shape="cosine", warm_up=0.1, floor=0.2)
    rates = [compute_lr(schedule, 1.0, step, 1000) for step in range(1000)]
    assert rates[49] == pytest.approx(0.5) and rates[99] == 1.0
    assert rates[-1] == pytest.approx(0.2, abs=1e-5)
    assert rates[550] == pytest.approx(0.6, abs=1e-3)  # half way: the mean of both ends


def test_what_the_recipes_use_is_the_same_curve() -> None:
    schedule = ScheduleConfig(shape="cosine", warm_up=0.1, floor=0.05)
    for step in range(100):
        assert compute_lr(schedule, 3e-4, step, 100) == compute_cosine_lr(step, 100, 3e-4, 10)


@given(SCHEDULES, LENGTHS, st.integers(2, 50))
def test_the_picture_shows_rates_of_the_run_from_its_first_step_to_its_last(
    schedule: ScheduleConfig, steps: int, points: int
) -> None:
    curve = compute_lr_curve(schedule, 1e-4, steps, points)
    assert curve[0][0] == 0 and curve[-1][0] == steps - 1 and len(curve) <= points
    assert all(rate == compute_lr(schedule, 1e-4, step, steps) for step, rate in curve)


def test_a_stage_without_steps_has_no_picture() -> None:
    assert compute_lr_curve(ScheduleConfig(), 1e-4, 0) == []
