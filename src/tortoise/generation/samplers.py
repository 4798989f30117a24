"""Diffusion samplers: ancestral, DDIM and DPM-Solver++.

A `Denoiser` runs the network, `DenoiserPrediction` holds its output, and a sampler computes the
next step. Positions count the steps of the (shortened) schedule, from the noisiest down to 0.
Shapes: b batch, c mel bands, f mel frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from core.progress import ProgressReporter
from tortoise.modules.noise_schedule import NoiseSchedule

CLIP_SAMPLE_RANGE = 1.0  # normalized mel is within this distance of 0

NoiseSource = Callable[[Tensor], Tensor]
"""Draws standard normal noise of the shape and device of its argument."""


class Denoiser(Protocol):
    """Names the noise in x, guided with a strength that depends on the progress."""

    def __call__(self, x: Tensor, timestep: int, progress: float) -> Tensor:
        """x: (b, c, f); timestep of the training schedule; progress from 0 up to 1 at the end.

        Returns (b, 2 c, f): the noise, then the interpolated log variance (-1 minimum, 1 maximum).
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenoiserPrediction:
    """The output of the network at one position: (b, c, f) each."""

    clean: Tensor
    log_variance: Tensor

    @classmethod
    def from_model_output(
        cls, output: Tensor, x: Tensor, schedule: NoiseSchedule, position: int, limit: float
    ) -> DenoiserPrediction:
        """Read the answer of a network.  output: (b, 2 c, f);  x: (b, c, f)."""
        named, spread = output.chunk(2, dim=1)
        clean = (
            get_table_entry(schedule.sqrt_recip_alphas_cumprod, position) * x
            - get_table_entry(schedule.sqrt_recipm1_alphas_cumprod, position) * named
        )
        least = get_table_entry(schedule.posterior_log_variance, position)
        most = math.log(get_table_entry(schedule.betas, position))
        share = (spread + 1) / 2  # Eq. 15, arXiv:2102.09672
        return cls(
            clean=clean.clamp(-limit, limit), log_variance=share * most + (1 - share) * least
        )


class Sampler(Protocol):
    """Moves from one position of its schedule to the next cleaner one."""

    @property
    def schedule(self) -> NoiseSchedule: ...

    def step(self, x: Tensor, prediction: DenoiserPrediction, position: int) -> Tensor:
        """x: (b, c, f) at this position. Returns the same one step later."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AncestralSampler:
    """The stochastic sampler of Ho et al. (arXiv:2006.11239), with learned variance."""

    schedule: NoiseSchedule
    noise: NoiseSource

    def step(self, x: Tensor, prediction: DenoiserPrediction, position: int) -> Tensor:
        mean = self.mean(x, prediction, position)
        noise = self.noise(x)  # drawn at the last step too: the draws do not depend on the position
        return mean + (prediction.log_variance / 2).exp() * noise if position else mean

    def mean(self, x: Tensor, prediction: DenoiserPrediction, position: int) -> Tensor:
        """Return the mean of the next position (Eq. 7): (b, c, f)."""
        return (
            get_table_entry(self.schedule.posterior_mean_coef1, position) * prediction.clean
            + get_table_entry(self.schedule.posterior_mean_coef2, position) * x
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DdimSampler:
    """Denoising diffusion implicit models (arXiv:2010.02502); eta 0 draws no noise."""

    schedule: NoiseSchedule
    noise: NoiseSource
    eta: float = 0.0

    def step(self, x: Tensor, prediction: DenoiserPrediction, position: int) -> Tensor:
        # rounded to float32 as in the reference, where 1 - abar at the clean end is off by 1e-3
        abar = get_table_entry(self.schedule.alphas_cumprod.float(), position)
        before = get_table_entry(self.schedule.alphas_cumprod_prev.float(), position)
        # the noise that fits the clamped clean signal, which is not quite what the network named
        named = (
            get_table_entry(self.schedule.sqrt_recip_alphas_cumprod, position) * x
            - prediction.clean
        ) / get_table_entry(self.schedule.sqrt_recipm1_alphas_cumprod, position)
        sigma = self.eta * math.sqrt((1 - before) / (1 - abar) * (1 - abar / before))  # Eq. 16
        mean = math.sqrt(before) * prediction.clean + math.sqrt(1 - before - sigma**2) * named
        return mean + sigma * self.noise(x) if self.eta and position else mean


@dataclass(slots=True, kw_only=True)
class DpmSolverSampler:
    """DPM-Solver++(2M), Algorithm 2 of arXiv:2211.01095: it extrapolates from the last two
    predictions.

    The first and the last step are of first order; the last one returns the clean prediction. It
    needs a schedule from `respace_evenly_in_snr`: with steps evenly spread in time the last jump is
    so long that the extrapolation overshoots.
    """

    schedule: NoiseSchedule
    last: Tensor | None = None  # (b, c, f) clean guess one step before

    def step(self, x: Tensor, prediction: DenoiserPrediction, position: int) -> Tensor:
        clean, guess = prediction.clean, prediction.clean
        if position == 0:
            return clean
        snr = self.schedule.log_snr
        here, there = get_table_entry(snr, position), get_table_entry(snr, position - 1)
        if self.last is not None:
            ratio = (here - get_table_entry(snr, position + 1)) / (there - here)
            guess = clean + (clean - self.last) / (2 * ratio)
        self.last = clean
        abar = get_table_entry(self.schedule.alphas_cumprod, position)
        before = get_table_entry(self.schedule.alphas_cumprod_prev, position)
        keep = math.sqrt((1 - before) / (1 - abar))
        return keep * x - math.sqrt(before) * math.expm1(here - there) * guess


def sample_loop(
    denoiser: Denoiser,
    start: Tensor,
    sampler: Sampler,
    report: ProgressReporter,
    limit: float = CLIP_SAMPLE_RANGE,
) -> Tensor:
    """Run the sampling loop from noise to a clean signal.

    start: (b, c, f) noise; limit: range of clean predictions. Returns (b, c, f). Raises
    FloatingPointError when the network returns NaN or infinite values.
    """
    x, schedule = start, sampler.schedule
    steps = len(schedule)
    for position in report.track(range(steps - 1, -1, -1), "diffusion", total=steps):
        output = denoiser(x, int(schedule.timesteps[position]), 1 - position / steps)
        if not torch.isfinite(output).all():
            raise FloatingPointError(
                f"the diffusion network produced NaN or infinite values at step {steps - position} "
                f"of {steps}. Turn half precision off; if that does not help, verify the weights."
            )
        x = sampler.step(
            x, DenoiserPrediction.from_model_output(output, x, schedule, position, limit), position
        )
    return x


def get_table_entry(table: Tensor, position: int) -> float:
    """One entry of a schedule's table."""
    return float(table[position])
