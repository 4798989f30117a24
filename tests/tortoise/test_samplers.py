"""Samplers against the reference, and on a distribution whose answer is known."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from core.progress import Cancelled, ProgressReporter
from support.diffusion_helpers import decoder_of
from support.golden_cases import Call, Case, golden
from tortoise.generation.diffusion import (
    Guidance,
    GuidedDenoiser,
    apply_classifier_free_guidance,
    make_noise_source,
)
from tortoise.generation.samplers import (
    AncestralSampler,
    DdimSampler,
    Denoiser,
    DenoiserPrediction,
    DpmSolverSampler,
    NoiseSource,
    Sampler,
    get_table_entry,
    sample_loop,
)
from tortoise.modules.noise_schedule import (
    NoiseSchedule,
    make_linear_schedule,
    respace,
    respace_by_log_snr,
)


def given_noise(draws: Tensor) -> NoiseSource:
    """Hand out the reference's draws in order.  draws: (n, b, c, f)."""
    waiting: Iterator[Tensor] = iter(draws)
    return lambda like: next(waiting)


class ToyNetwork:
    """The closed-form network that the notes of the case describe."""

    def __init__(self, case: Case, guidance: Guidance) -> None:
        self.toy = {k.removeprefix("in/toy."): v for k, v in case.tensors.items() if "/toy." in k}
        self.guidance = guidance
        self.asked: list[int] = []

    def __call__(self, x: Tensor, timestep: int, progress: float) -> Tensor:
        self.asked.append(timestep)
        voiced = self.answer(x, timestep, unconditioned=0.0)
        return apply_classifier_free_guidance(
            voiced,
            self.answer(x, timestep, unconditioned=0.25),
            self.guidance.strength(progress),
        )

    def answer(self, x: Tensor, timestep: int, unconditioned: float) -> Tensor:
        toy, phase = self.toy, math.cos(timestep / 1000)
        abar = make_linear_schedule().alphas_cumprod[timestep].float()
        clean = 0.55 * torch.tanh(toy["W"] @ x + toy["b"][:, None] * phase)
        clean = clean + unconditioned * torch.tanh(toy["W2"] @ x + toy["b2"][:, None] * phase)
        variance = torch.tanh(toy["V"] @ x + toy["d"][:, None] * phase)
        return torch.cat([(x - abar.sqrt() * clean) / (1 - abar).sqrt(), variance], dim=1)


def guidance_of(call: Call) -> Guidance:
    args = call.args
    return Guidance(k=args["cond_free_k"] if args["cond_free"] else 0.0, ramp=args["ramp"])


def check_step(case: Case, schedule: NoiseSchedule, call: Call) -> None:
    x, position = call.args["x"], call.args["t_spaced"]
    network = ToyNetwork(case, guidance_of(call))
    output = network(x, int(schedule.timesteps[position]), 1 - position / len(schedule))
    prediction = DenoiserPrediction.from_model_output(output, x, schedule, position, limit=1.0)
    noise = given_noise(call.args["noise"].expand(9, *x.shape))
    ancestral = AncestralSampler(schedule=schedule, noise=noise)
    call.check(
        p_sample=ancestral.step(x, prediction, position),
        pred_xstart=prediction.clean,
        mean=ancestral.mean(x, prediction, position),
        log_variance=prediction.log_variance,
        model_timestep=torch.tensor(network.asked),
        ddim_sample=DdimSampler(schedule=schedule, noise=noise).step(x, prediction, position),
    )
    if "ddim_eta_0.7" in call.outputs:
        noisy = DdimSampler(schedule=schedule, noise=noise, eta=0.7)
        call.check(**{"ddim_eta_0.7": noisy.step(x, prediction, position)})
    if "mean_no_clip" in call.outputs:
        free = DenoiserPrediction.from_model_output(output, x, schedule, position, limit=math.inf)
        call.check(mean_no_clip=ancestral.mean(x, free, position))


def check_loop(case: Case, call: Call) -> None:
    schedule = respace(make_linear_schedule(), 10)
    noise = given_noise(call.args["step_noise"])
    network = ToyNetwork(case, guidance_of(call))
    for name, sampler in {
        "p": AncestralSampler(schedule=schedule, noise=noise),
        "ddim": DdimSampler(schedule=schedule, noise=noise),
    }.items():
        mel = sample_loop(network, call.args["x_T"], sampler, ProgressReporter())
        call.check(**{name: mel})


@golden("diffusion_steps")
def test_steps_and_loops_agree_with_the_reference(case: Case) -> None:
    schedule = respace(make_linear_schedule(), case.constructor["num_steps"])
    for call in case.calls:
        if call.method == "one step":
            check_step(case, schedule, call)
        elif call.method.startswith("full loop"):
            check_loop(case, call)


@golden("diffusion_tts")
@torch.no_grad()
def test_the_network_is_walked_as_in_the_reference(case: Case) -> None:
    net = decoder_of(case)
    calls = [call for call in case.calls if "sample_loop" in call.method]
    for call in calls:
        args = call.args
        schedule = respace(make_linear_schedule(), args["num_steps"])
        noise = given_noise(args["step_noise"])
        sampler: Sampler = DdimSampler(schedule=schedule, noise=noise)
        if call.method.startswith("p_sample"):
            sampler = AncestralSampler(schedule=schedule, noise=noise)
        guided = GuidedDenoiser(net, args["precomputed_aligned_embeddings"], guidance_of(call))
        call.check(mel_norm=sample_loop(guided, args["noise"], sampler, ProgressReporter()))
    assert calls


MEAN, DEVIATION = 0.3, 0.1


def gaussian_denoiser(schedule: NoiseSchedule) -> Denoiser:
    """The exact answer for data drawn from a normal distribution."""

    def answer(x: Tensor, timestep: int, progress: float) -> Tensor:
        abar = get_table_entry(schedule.alphas_cumprod, timestep)
        variance = abar * DEVIATION**2 + 1 - abar
        named = math.sqrt(1 - abar) * (x - math.sqrt(abar) * MEAN) / variance
        return torch.cat([named, torch.zeros_like(x)], dim=1)

    return answer


def sampler_of(name: str, schedule: NoiseSchedule, seed: int) -> Sampler:
    noise = make_noise_source(torch.Generator().manual_seed(seed))
    if name == "p":
        return AncestralSampler(schedule=schedule, noise=noise)
    if name == "dpm":
        return DpmSolverSampler(schedule=schedule)
    return DdimSampler(schedule=schedule, noise=noise, eta=0.5 if name == "noisy ddim" else 0.0)


def gaussian_samples(name: str, steps: int, seed: int = 0) -> Tensor:
    base = make_linear_schedule()
    schedule = (respace_by_log_snr if name == "dpm" else respace)(base, steps)
    start = torch.randn(1, 4, 5000, generator=torch.Generator().manual_seed(seed))
    sampler = sampler_of(name, schedule, seed + 1)
    return sample_loop(gaussian_denoiser(base), start, sampler, ProgressReporter())


@pytest.mark.parametrize("name", ["p", "ddim", "noisy ddim", "dpm"])
def test_every_sampler_recovers_a_known_distribution(name: str) -> None:
    samples = gaussian_samples(name, 500)
    assert samples.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert samples.std().item() == pytest.approx(DEVIATION, rel=0.05)


def test_dpm_solver_needs_fewer_steps_than_ddim() -> None:
    def miss(name: str) -> float:
        """Distance to where the exact flow takes each start."""
        start = torch.randn(1, 4, 5000, generator=torch.Generator().manual_seed(0))
        return (gaussian_samples(name, 20) - (MEAN + DEVIATION * start)).abs().mean().item()

    assert miss("dpm") < 0.1 * miss("ddim")


@pytest.mark.parametrize("name", ["p", "ddim", "dpm"])
def test_a_walk_repeats_with_its_seed_and_keeps_its_start(name: str) -> None:
    first, again, other = (gaussian_samples(name, 10, seed) for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_an_answer_that_is_not_a_number_is_refused() -> None:
    schedule = respace(make_linear_schedule(), 4)

    def broken(x: Tensor, timestep: int, progress: float) -> Tensor:
        return torch.full((1, 4, 3), math.nan if progress > 0.4 else 0.0)

    with pytest.raises(FloatingPointError, match="step 2 of 4"):
        sample_loop(
            broken, torch.zeros(1, 2, 3), DpmSolverSampler(schedule=schedule), ProgressReporter()
        )


def test_a_walk_stops_between_two_steps() -> None:
    schedule = respace(make_linear_schedule(), 8)
    asked: list[int] = []

    def denoiser(x: Tensor, timestep: int, progress: float) -> Tensor:
        asked.append(timestep)
        return torch.zeros(1, 4, 3)

    report = ProgressReporter(stopped=lambda: len(asked) == 3)
    with pytest.raises(Cancelled):
        sample_loop(denoiser, torch.zeros(1, 2, 3), DpmSolverSampler(schedule=schedule), report)
    assert len(asked) == 3
