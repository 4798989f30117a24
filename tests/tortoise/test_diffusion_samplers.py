"""Samplers against the reference, and on a distribution whose answer is known."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from diffusion_cases import decoder_of
from golden_cases import Call, Case, golden
from jobs.report import Cancelled, Reporter
from tortoise.diffusion import Guidance, GuidedDecoder, noise_source, steer
from tortoise.diffusion_samplers import (
    Ancestral,
    Ddim,
    Denoiser,
    DpmSolver,
    NoiseSource,
    Prediction,
    Sampler,
    at,
    walk,
)
from tortoise.diffusion_schedule import Schedule, linear_schedule, respace, respace_evenly_in_snr


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
        return steer(
            voiced,
            self.answer(x, timestep, unconditioned=0.25),
            self.guidance.strength(progress),
        )

    def answer(self, x: Tensor, timestep: int, unconditioned: float) -> Tensor:
        toy, phase = self.toy, math.cos(timestep / 1000)
        abar = linear_schedule().alphas_cumprod[timestep].float()
        clean = 0.55 * torch.tanh(toy["W"] @ x + toy["b"][:, None] * phase)
        clean = clean + unconditioned * torch.tanh(toy["W2"] @ x + toy["b2"][:, None] * phase)
        variance = torch.tanh(toy["V"] @ x + toy["d"][:, None] * phase)
        return torch.cat([(x - abar.sqrt() * clean) / (1 - abar).sqrt(), variance], dim=1)


def guidance_of(call: Call) -> Guidance:
    args = call.args
    return Guidance(k=args["cond_free_k"] if args["cond_free"] else 0.0, ramp=args["ramp"])


def check_step(case: Case, schedule: Schedule, call: Call) -> None:
    x, position = call.args["x"], call.args["t_spaced"]
    network = ToyNetwork(case, guidance_of(call))
    output = network(x, int(schedule.timesteps[position]), 1 - position / len(schedule))
    prediction = Prediction.of(output, x, schedule, position, limit=1.0)
    noise = given_noise(call.args["noise"].expand(9, *x.shape))
    ancestral = Ancestral(schedule=schedule, noise=noise)
    call.check(
        p_sample=ancestral.step(x, prediction, position),
        pred_xstart=prediction.clean,
        mean=ancestral.mean(x, prediction, position),
        log_variance=prediction.log_variance,
        model_timestep=torch.tensor(network.asked),
        ddim_sample=Ddim(schedule=schedule, noise=noise).step(x, prediction, position),
    )
    if "ddim_eta_0.7" in call.outputs:
        noisy = Ddim(schedule=schedule, noise=noise, eta=0.7)
        call.check(**{"ddim_eta_0.7": noisy.step(x, prediction, position)})
    if "mean_no_clip" in call.outputs:
        free = Prediction.of(output, x, schedule, position, limit=math.inf)
        call.check(mean_no_clip=ancestral.mean(x, free, position))


def check_loop(case: Case, call: Call) -> None:
    schedule = respace(linear_schedule(), 10)
    noise = given_noise(call.args["step_noise"])
    network = ToyNetwork(case, guidance_of(call))
    for name, sampler in {
        "p": Ancestral(schedule=schedule, noise=noise),
        "ddim": Ddim(schedule=schedule, noise=noise),
    }.items():
        mel = walk(network, call.args["x_T"], sampler, Reporter())
        call.check(**{name: mel})


@golden("diffusion_steps")
def test_steps_and_loops_agree_with_the_reference(case: Case) -> None:
    schedule = respace(linear_schedule(), case.constructor["num_steps"])
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
        schedule = respace(linear_schedule(), args["num_steps"])
        noise = given_noise(args["step_noise"])
        sampler: Sampler = Ddim(schedule=schedule, noise=noise)
        if call.method.startswith("p_sample"):
            sampler = Ancestral(schedule=schedule, noise=noise)
        guided = GuidedDecoder(net, args["precomputed_aligned_embeddings"], guidance_of(call))
        call.check(mel_norm=walk(guided, args["noise"], sampler, Reporter()))
    assert calls


MEAN, DEVIATION = 0.3, 0.1


def gaussian_denoiser(schedule: Schedule) -> Denoiser:
    """The exact answer for data drawn from a normal distribution."""

    def answer(x: Tensor, timestep: int, progress: float) -> Tensor:
        abar = at(schedule.alphas_cumprod, timestep)
        variance = abar * DEVIATION**2 + 1 - abar
        named = math.sqrt(1 - abar) * (x - math.sqrt(abar) * MEAN) / variance
        return torch.cat([named, torch.zeros_like(x)], dim=1)

    return answer


def sampler_of(name: str, schedule: Schedule, seed: int) -> Sampler:
    noise = noise_source(torch.Generator().manual_seed(seed))
    if name == "p":
        return Ancestral(schedule=schedule, noise=noise)
    if name == "dpm":
        return DpmSolver(schedule=schedule)
    return Ddim(schedule=schedule, noise=noise, eta=0.5 if name == "noisy ddim" else 0.0)


def gaussian_samples(name: str, steps: int, seed: int = 0) -> Tensor:
    base = linear_schedule()
    schedule = (respace_evenly_in_snr if name == "dpm" else respace)(base, steps)
    start = torch.randn(1, 4, 5000, generator=torch.Generator().manual_seed(seed))
    sampler = sampler_of(name, schedule, seed + 1)
    return walk(gaussian_denoiser(base), start, sampler, Reporter())


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
    schedule = respace(linear_schedule(), 4)

    def broken(x: Tensor, timestep: int, progress: float) -> Tensor:
        return torch.full((1, 4, 3), math.nan if progress > 0.4 else 0.0)

    with pytest.raises(FloatingPointError, match="step 2 of 4"):
        walk(broken, torch.zeros(1, 2, 3), DpmSolver(schedule=schedule), Reporter())


def test_a_walk_stops_between_two_steps() -> None:
    schedule = respace(linear_schedule(), 8)
    asked: list[int] = []

    def denoiser(x: Tensor, timestep: int, progress: float) -> Tensor:
        asked.append(timestep)
        return torch.zeros(1, 4, 3)

    report = Reporter(stopped=lambda: len(asked) == 3)
    with pytest.raises(Cancelled):
        walk(denoiser, torch.zeros(1, 2, 3), DpmSolver(schedule=schedule), report)
    assert len(asked) == 3
