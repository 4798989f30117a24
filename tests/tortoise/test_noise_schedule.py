"""The noise schedule against the reference, and what shortening it must keep."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from support.golden_cases import Call, Case, golden
from tortoise.modules.noise_schedule import (
    NoiseSchedule,
    make_linear_schedule,
    respace,
    respace_by_log_snr,
    space_timesteps,
)


def check_base(schedule: NoiseSchedule, call: Call) -> None:
    call.check(betas=schedule.betas, alphas_cumprod=schedule.alphas_cumprod)


def check_respaced(schedule: NoiseSchedule, call: Call) -> None:
    short = respace(schedule, call.args["desired_steps"])
    ours = {
        "timestep_map": short.timesteps,
        "posterior_log_variance_clipped": short.posterior_log_variance,
    }
    for name in call.outputs:
        call.check(**{name: ours[name] if name in ours else getattr(short, name)})


def check_spacing(schedule: NoiseSchedule, call: Call) -> None:
    total, counts = call.args["num_timesteps"], call.args["section_counts"]
    if counts.startswith("ddim"):  # whole strides, which no sampler of ours asks for
        return
    call.check(steps=torch.tensor(space_timesteps(total, [int(n) for n in counts.split(",")])))


CHECKS = {"base": check_base, "respace": check_respaced, "space_timesteps": check_spacing}


@golden("diffusion_schedule")
def test_schedules_agree_with_the_reference(case: Case) -> None:
    schedule = make_linear_schedule(case.constructor["trained_steps"])
    for call in case.calls:
        CHECKS[call.method](schedule, call)


@given(st.integers(2, 600))
def test_a_shortened_schedule_keeps_both_ends_and_the_noise_levels(steps: int) -> None:
    base = make_linear_schedule()
    short = respace(base, steps)
    assert len(short) == steps
    assert short.timesteps[0] == 0 and short.timesteps[-1] == len(base) - 1
    assert (short.timesteps.diff() > 0).all()
    torch.testing.assert_close(short.alphas_cumprod, base.alphas_cumprod[short.timesteps])


@given(st.integers(2, 4000))
def test_steps_even_in_snr_keep_both_ends_and_come_once_each(steps: int) -> None:
    kept = respace_by_log_snr(make_linear_schedule(), steps).timesteps
    assert len(kept) == steps and kept[0] == 0 and kept[-1] == 3999
    assert (kept.diff() > 0).all()


def test_few_steps_even_in_snr_are_even() -> None:
    gaps = respace_by_log_snr(make_linear_schedule(), 12).log_snr.diff()
    assert gaps.max() / gaps.min() < 1.3


def test_shortening_to_all_steps_changes_nothing() -> None:
    base = make_linear_schedule(40)
    torch.testing.assert_close(respace(base, 40).betas, base.betas)


def test_noise_takes_the_place_of_the_signal() -> None:
    """At both ends one of them is all but gone, and unit variance stays unit variance."""
    schedule = make_linear_schedule()
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 3, 1, 20_000, generator=generator)
    mixed = schedule.add_noise(clean, torch.tensor([0, 1500, 3999]), noise)
    torch.testing.assert_close(mixed[0], clean[0], atol=0.03, rtol=0)
    torch.testing.assert_close(mixed[2], noise[2], atol=0.05, rtol=0)
    assert mixed.std(-1).sub(1).abs().max() < 0.02


@pytest.mark.parametrize("steps", [-1, 0, 1, 4001])
def test_step_counts_that_cannot_be_walked_are_refused(steps: int) -> None:
    with pytest.raises(ValueError, match=f"from 2 to 4000 steps; got {steps}"):
        respace(make_linear_schedule(), steps)
