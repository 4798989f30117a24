"""The noise schedule of the diffusion network, and shorter schedules cut from it.

Tables are float64 and hold one entry per step; `alphas_cumprod` is written as a bar over alpha in
Ho et al. (arXiv:2006.11239), whose equation numbers are cited here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

NUM_TRAIN_TIMESTEPS = 4000


@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseSchedule:
    """The noise variance of each step, and its step in the training schedule.

    betas: (n,) float64 variance added by each step; timesteps: (n,) int64, the input of the
    network.
    """

    betas: Tensor
    timesteps: Tensor

    def __len__(self) -> int:
        return len(self.betas)

    @cached_property
    def alphas_cumprod(self) -> Tensor:
        """(n,) share of the clean signal's power that is left after each step."""
        return torch.cumprod(1.0 - self.betas, 0)

    @cached_property
    def alphas_cumprod_prev(self) -> Tensor:
        """(n,) the same one step earlier; 1 before the first."""
        return torch.cat([self.alphas_cumprod.new_ones(1), self.alphas_cumprod[:-1]])

    @cached_property
    def sqrt_recip_alphas_cumprod(self) -> Tensor:
        """(n,) factor of x_t in the clean signal (Eq. 15 solved for x_0)."""
        return self.alphas_cumprod.rsqrt()

    @cached_property
    def sqrt_recipm1_alphas_cumprod(self) -> Tensor:
        """(n,) factor of the noise in the clean signal."""
        return (1.0 / self.alphas_cumprod - 1.0).sqrt()

    @cached_property
    def posterior_variance(self) -> Tensor:
        """(n,) variance of x_{t-1} given x_t and x_0 (Eq. 7)."""
        return self.betas * (1.0 - self.alphas_cumprod_prev) / (1.0 - self.alphas_cumprod)

    @cached_property
    def posterior_log_variance(self) -> Tensor:
        """(n,) its logarithm; the first entry, where the variance is 0, repeats the second."""
        return torch.cat([self.posterior_variance[1:2], self.posterior_variance[1:]]).log()

    @cached_property
    def posterior_mean_coef1(self) -> Tensor:
        """(n,) factor of x_0 in the mean of x_{t-1} (Eq. 7)."""
        return self.betas * self.alphas_cumprod_prev.sqrt() / (1.0 - self.alphas_cumprod)

    @cached_property
    def posterior_mean_coef2(self) -> Tensor:
        """(n,) factor of x_t in the mean of x_{t-1} (Eq. 7)."""
        alphas = 1.0 - self.betas
        return (1.0 - self.alphas_cumprod_prev) * alphas.sqrt() / (1.0 - self.alphas_cumprod)

    @cached_property
    def log_snr(self) -> Tensor:
        """(n,) half the logarithm of signal power over noise power (lambda of DPM-Solver)."""
        return 0.5 * (self.alphas_cumprod.log() - torch.log1p(-self.alphas_cumprod))

    def add_noise(self, clean: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Jump to step t of the forward process (Eq. 4).

        clean, noise: (b, c, f);  t: (b,) indices into this schedule. Returns (b, c, f).
        """
        kept = gather_per_item(self.alphas_cumprod.sqrt(), t, clean)
        added = gather_per_item((1.0 - self.alphas_cumprod).sqrt(), t, clean)
        return kept * clean + added * noise


def gather_per_item(table: Tensor, t: Tensor, like: Tensor) -> Tensor:
    """Look t up for each item of a batch: (n,) and (b,) to (b, 1, 1) of the type of `like`."""
    return table.to(like.device)[t].to(like.dtype)[:, None, None]


def make_linear_schedule(steps: int = NUM_TRAIN_TIMESTEPS) -> NoiseSchedule:
    """Create the training schedule: linear betas, scaled so that any length ends in noise."""
    if steps < 2:
        raise ValueError(f"a schedule has at least 2 steps; got {steps}")
    scale = 1000 / steps
    betas = torch.linspace(scale * 1e-4, scale * 0.02, steps, dtype=torch.float64)
    return NoiseSchedule(betas=betas, timesteps=torch.arange(steps))


def respace(schedule: NoiseSchedule, steps: int) -> NoiseSchedule:
    """Keep `steps` evenly spaced steps; each adds the noise of the steps that it replaces."""
    check_steps(schedule, steps)
    return select_steps(schedule, space_timesteps(len(schedule), [steps]))


def respace_by_log_snr(schedule: NoiseSchedule, steps: int) -> NoiseSchedule:
    """Keep `steps` steps, evenly spaced in log signal-to-noise ratio.

    Solvers of higher order need it (arXiv:2206.00927). On a mixture of two Gaussians, 20 such steps
    of DPM-Solver++(2M) land 20 times nearer than 20 steps even in time.
    """
    check_steps(schedule, steps)
    snr = schedule.log_snr.flip(0)  # rising
    target = torch.linspace(float(snr[-1]), float(snr[0]), steps, dtype=snr.dtype)
    nearest = len(schedule) - 1 - torch.searchsorted((snr[1:] + snr[:-1]) / 2, target)
    order = torch.arange(steps)
    apart = (nearest - order).cummax(0).values + order  # no step twice
    return select_steps(schedule, apart.minimum(len(schedule) - steps + order).tolist())


def check_steps(schedule: NoiseSchedule, steps: int) -> None:
    """Raise ValueError for an invalid number of steps."""
    if not 2 <= steps <= len(schedule):
        raise ValueError(
            f"diffusion takes from 2 to {len(schedule)} steps; got {steps}. "
            "One step would cover only the almost noise-free end of the schedule."
        )


def select_steps(schedule: NoiseSchedule, kept: Sequence[int]) -> NoiseSchedule:
    """Cut a schedule down to the kept steps, in rising order."""
    abar = schedule.alphas_cumprod[list(kept)]
    before = torch.cat([abar.new_ones(1), abar[:-1]])
    return NoiseSchedule(betas=1.0 - abar / before, timesteps=schedule.timesteps[list(kept)])


def space_timesteps(total: int, counts: Sequence[int]) -> list[int]:
    """Choose counts[i] evenly spread steps from the i-th of len(counts) equal sections."""
    kept: list[int] = []
    start = 0
    for section, count in enumerate(counts):
        size = total // len(counts) + (1 if section < total % len(counts) else 0)
        if not 1 <= count <= size:
            raise ValueError(f"cannot choose {count} steps from a section of {size}")
        kept += [start + offset for offset in integer_linspace(size, count)]
        start += size
    return kept


def integer_linspace(size: int, count: int) -> list[int]:
    """Spread `count` whole numbers from 0 to size - 1, both included.

    The stride is added up rather than multiplied and halves round to even, because the published
    weights are used that way and a few step counts fall on a half.
    """
    stride = (size - 1) / (count - 1) if count > 1 else 1.0
    offsets, position = [], 0.0
    for _ in range(count):
        offsets.append(round(position))
        position += stride
    return offsets
