"""How noise becomes mel, one step of a schedule after the other: ancestral, DDIM, DPM-Solver++.

A network is asked through a `Denoiser`; what it answers is read by `Prediction`; a sampler moves on
from there. Positions count the steps of the (shortened) schedule, from the noisiest down to 0.
Shapes: b batch, c mel bands, f mel frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from jobs.report import Reporter
from tortoise.diffusion_schedule import Schedule

CLEAN_RANGE = 1.0  # normalised mel lies within this distance of 0

NoiseSource = Callable[[Tensor], Tensor]
"""Draws standard normal noise as large as its argument, on the same device."""


class Denoiser(Protocol):
    """Names the noise in x, guided with a strength that depends on the progress."""

    def __call__(self, x: Tensor, timestep: int, progress: float) -> Tensor:
        """x: (b, c, f);  timestep of the training schedule;  progress from 0 up to 1 at the end.

        Returns (b, 2 c, f): the noise, then where the variance lies (-1 least, 1 most).
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """What the network says of one position: (b, c, f) each."""

    clean: Tensor
    log_variance: Tensor

    @classmethod
    def of(
        cls, output: Tensor, x: Tensor, schedule: Schedule, position: int, limit: float
    ) -> Prediction:
        """Read the answer of a network.  output: (b, 2 c, f);  x: (b, c, f)."""
        named, spread = output.chunk(2, dim=1)
        clean = (
            at(schedule.sqrt_recip_alphas_cumprod, position) * x
            - at(schedule.sqrt_recipm1_alphas_cumprod, position) * named
        )
        least = at(schedule.posterior_log_variance, position)
        most = math.log(at(schedule.betas, position))
        share = (spread + 1) / 2  # Eq. 15, arXiv:2102.09672
        return cls(
            clean=clean.clamp(-limit, limit), log_variance=share * most + (1 - share) * least
        )


class Sampler(Protocol):
    """Moves from one position of its schedule to the next cleaner one."""

    @property
    def schedule(self) -> Schedule: ...

    def step(self, x: Tensor, prediction: Prediction, position: int) -> Tensor:
        """x: (b, c, f) at this position. Returns the same one step later."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestral:
    """The stochastic sampler of Ho et al. (arXiv:2006.11239), with learned variance."""

    schedule: Schedule
    noise: NoiseSource

    def step(self, x: Tensor, prediction: Prediction, position: int) -> Tensor:
        mean = self.mean(x, prediction, position)
        noise = self.noise(x)  # drawn at the last step too: the draws do not depend on the position
        return mean + (prediction.log_variance / 2).exp() * noise if position else mean

    def mean(self, x: Tensor, prediction: Prediction, position: int) -> Tensor:
        """Where the next position lies on average (Eq. 7): (b, c, f)."""
        return (
            at(self.schedule.posterior_mean_coef1, position) * prediction.clean
            + at(self.schedule.posterior_mean_coef2, position) * x
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ddim:
    """Denoising diffusion implicit models (arXiv:2010.02502); eta 0 draws no noise."""

    schedule: Schedule
    noise: NoiseSource
    eta: float = 0.0

    def step(self, x: Tensor, prediction: Prediction, position: int) -> Tensor:
        # rounded to float32 as in the reference, where 1 - abar at the clean end is off by 1e-3
        abar = at(self.schedule.alphas_cumprod.float(), position)
        before = at(self.schedule.alphas_cumprod_prev.float(), position)
        # the noise that fits the clamped clean signal, which is not quite what the network named
        named = (at(self.schedule.sqrt_recip_alphas_cumprod, position) * x - prediction.clean) / at(
            self.schedule.sqrt_recipm1_alphas_cumprod, position
        )
        sigma = self.eta * math.sqrt((1 - before) / (1 - abar) * (1 - abar / before))  # Eq. 16
        mean = math.sqrt(before) * prediction.clean + math.sqrt(1 - before - sigma**2) * named
        return mean + sigma * self.noise(x) if self.eta and position else mean


@dataclass(slots=True, kw_only=True)
class DpmSolver:
    """DPM-Solver++(2M), Algorithm 2 of arXiv:2211.01095: it extrapolates from the last two guesses.

    The first and the last step are of first order; the last one lands on the clean guess. It wants
    a schedule from `respace_evenly_in_snr`: with steps evenly spread in time the last jump is so
    long that the extrapolation overshoots.
    """

    schedule: Schedule
    last: Tensor | None = None  # (b, c, f) clean guess one step before

    def step(self, x: Tensor, prediction: Prediction, position: int) -> Tensor:
        clean, guess = prediction.clean, prediction.clean
        if position == 0:
            return clean
        snr = self.schedule.log_snr
        here, there = at(snr, position), at(snr, position - 1)
        if self.last is not None:
            ratio = (here - at(snr, position + 1)) / (there - here)
            guess = clean + (clean - self.last) / (2 * ratio)
        self.last = clean
        abar = at(self.schedule.alphas_cumprod, position)
        before = at(self.schedule.alphas_cumprod_prev, position)
        keep = math.sqrt((1 - before) / (1 - abar))
        return keep * x - math.sqrt(before) * math.expm1(here - there) * guess


def walk(
    denoiser: Denoiser,
    start: Tensor,
    sampler: Sampler,
    report: Reporter,
    limit: float = CLEAN_RANGE,
) -> Tensor:
    """Follow the sampler's schedule from noise to a clean signal.

    start: (b, c, f) noise;  limit: clean guesses are kept within it. Returns (b, c, f).
    Raises FloatingPointError when the network answers with something that is not a number.
    """
    x, schedule = start, sampler.schedule
    steps = len(schedule)
    for position in report.track(range(steps - 1, -1, -1), "diffusion", total=steps):
        output = denoiser(x, int(schedule.timesteps[position]), 1 - position / steps)
        if not torch.isfinite(output).all():
            raise FloatingPointError(
                f"the diffusion network answered with NaN or infinity at step {steps - position} "
                f"of {steps}. Turn half precision off; if that does not help, verify the weights."
            )
        x = sampler.step(x, Prediction.of(output, x, schedule, position, limit), position)
    return x


def at(table: Tensor, position: int) -> float:
    """One entry of a schedule's table."""
    return float(table[position])
