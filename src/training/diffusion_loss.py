"""What the diffusion network is trained on: the noise, its variance, and the mel at once.

Equation numbers are those of Nichol and Dhariwal (arXiv:2102.09672).
Shapes: b batch, c mel bands, d model width, f mel frames, l latent width, m codes, k clips,
s speakers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tortoise.diffusion_decoder import DiffusionDecoder
from tortoise.diffusion_schedule import Schedule, per_item

HALF_BIN = 1 / 255  # the last step is judged as if mel were stored in 8 bits
EDGE = 0.999  # values beyond it fall into the first or last bin
LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiffusionBatch:
    """What one training step looks at.

    mel: (b, c, f) target, normalised to [-1, 1];
    latents: (b, m, l) of the GPT, covering the target;
    voices: (s, k, c, f') log-mel of each speaker, not normalised;
    speakers: (b,) whose voice each target has, a row of `voices`.
    """

    mel: Tensor
    latents: Tensor
    voices: Tensor
    speakers: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class DropOptions:
    """What training hides from the network, so that it learns to do without."""

    unconditioned: float = 0.1  # share of items that lose their embedding, for guidance
    layers: float = 0.0  # chance of each inner layer to be skipped

    def __post_init__(self) -> None:
        for name in ("unconditioned", "layers"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a share from 0 to 1; got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """Which steps of the schedule are taught, and how much each of them counts.

    clean_cap: weigh each item's noise error as if it were the error of the clean mel that follows
    from it, up to so many times; None weighs all steps alike, as published.
    quietest: the first step that is drawn; 0 draws from all, as published.
    """

    clean_cap: float | None = None
    quietest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiffusionLosses:
    """The three parts of the loss, each a mean over the batch: ()."""

    noise: Tensor  # squared error
    bound: Tensor  # variational bound on the variance, in bits
    mel: Tensor  # squared error

    def total(self) -> Tensor:
        """All parts with the weights of the published training: ()."""
        return self.noise + self.bound + self.mel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiffusionDraws:
    """What is random about one training step, so that parts of a batch can be judged alone.

    t: (b,) indices into the schedule;  noise: (b, c, f);  forgotten: (b,) items that lose their
    embedding;  skipped: layers left out.
    """

    t: Tensor
    noise: Tensor
    forgotten: Tensor
    skipped: frozenset[int]

    def of(self, items: list[int]) -> DiffusionDraws:
        """The draws of some items of the batch."""
        return DiffusionDraws(
            t=self.t[items],
            noise=self.noise[items],
            forgotten=self.forgotten[items],
            skipped=self.skipped,
        )


def diffusion_losses(
    decoder: DiffusionDecoder,
    schedule: Schedule,
    batch: DiffusionBatch,
    drops: DropOptions,
    generator: torch.Generator,
    weighing: Weighing | None = None,
) -> DiffusionLosses:
    """Noise the batch to random steps and measure how well the network sees through it.

    weighing: None as published.
    The generator lives on the CPU and draws steps, noise, forgotten items and skipped layers.
    """
    weighing = weighing or Weighing()
    draws = draw_noise(decoder, schedule, tuple(batch.mel.shape), drops, generator, weighing)
    return drawn_losses(decoder, schedule, batch, draws, weighing)


def draw_noise(
    decoder: DiffusionDecoder,
    schedule: Schedule,
    shape: tuple[int, ...],
    drops: DropOptions,
    generator: torch.Generator,
    weighing: Weighing,
) -> DiffusionDraws:
    """Draw all that is random about one training step, on the CPU.

    shape: (b, c, f) of the mels.
    """
    items = shape[0]
    t = torch.randint(weighing.quietest, len(schedule), (items,), generator=generator)
    return DiffusionDraws(
        t=t,
        noise=torch.randn(shape, generator=generator),
        forgotten=torch.rand(items, generator=generator) < drops.unconditioned,
        skipped=decoder.draw_skipped_layers(drops.layers, generator),
    )


def drawn_losses(
    decoder: DiffusionDecoder,
    schedule: Schedule,
    batch: DiffusionBatch,
    draws: DiffusionDraws,
    weighing: Weighing,
) -> DiffusionLosses:
    """Measure how well the network sees through noise that is drawn already."""
    device = batch.mel.device
    t, noise, forgotten = (x.to(device) for x in (draws.t, draws.noise, draws.forgotten))
    conditioning = decoder.get_conditioning(batch.voices)[batch.speakers]
    embedding = decoder.embed_latents(batch.latents, conditioning)
    embedding = decoder.stretch(decoder.forget(embedding, forgotten), batch.mel.shape[-1])
    guess = decoder.predict_mel(embedding).float() * ~forgotten[:, None, None]

    noisy = schedule.add_noise(batch.mel, t, noise)
    timesteps = schedule.timesteps.to(device)[t]
    output = decoder(noisy, timesteps, embedding, draws.skipped)
    terms = step_losses(output, schedule, clean=batch.mel, noise=noise, t=t)
    weights = step_weights(schedule, t, weighing.clean_cap)
    return DiffusionLosses(
        noise=(weights * terms.noise.mean((1, 2))).mean(),
        bound=terms.bound.mean(),
        mel=functional.mse_loss(guess, batch.mel),
    )


def step_weights(schedule: Schedule, t: Tensor, clean_cap: float | None) -> Tensor:
    """How much each item's noise error counts: (b,) for t (b,).

    An error e of the noise is one of e / SNR of the clean mel (arXiv:2303.09556, section 3), so
    without weights nearly clean steps, which hardly matter, take most of the gradient.
    """
    if clean_cap is None:
        return torch.ones(t.shape, device=t.device)
    snr = torch.exp(2 * schedule.log_snr).to(t.device)[t]
    return (1 / snr).clamp(max=clean_cap).float()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepLosses:
    """The loss of every mel value: (b, c, f) each."""

    noise: Tensor
    bound: Tensor


def step_losses(
    output: Tensor, schedule: Schedule, *, clean: Tensor, noise: Tensor, t: Tensor
) -> StepLosses:
    """Judge what the network said of one step.

    output: (b, 2 c, f);  clean, noise: (b, c, f);  t: (b,) indices into the schedule.
    """
    named, spread = output.chunk(2, dim=1)
    noisy = schedule.add_noise(clean, t, noise)
    return StepLosses(
        noise=(named - noise).square(),
        bound=variational_bound(named.detach(), spread, schedule, clean=clean, noisy=noisy, t=t),
    )


def variational_bound(
    named: Tensor, spread: Tensor, schedule: Schedule, *, clean: Tensor, noisy: Tensor, t: Tensor
) -> Tensor:
    """Bits by which the step's Gaussian misses the true one (Eq. 4 to 6); (b, c, f) all.

    The named noise must be detached: only the variance learns from the bound.
    """

    def mean(x0: Tensor) -> Tensor:
        factor = per_item(schedule.posterior_mean_coef1, t, x0)
        return factor * x0 + per_item(schedule.posterior_mean_coef2, t, x0) * noisy

    guessed = mean(predict_clean(named, noisy, schedule, t))
    least = per_item(schedule.posterior_log_variance, t, clean)
    most = per_item(schedule.betas.log(), t, clean)
    log_variance = least + (spread + 1) / 2 * (most - least)  # Eq. 15
    divergence = gaussian_divergence(mean(clean), least, guessed, log_variance)
    first = -discrete_log_likelihood(clean, guessed, log_variance / 2)
    return torch.where((t == 0)[:, None, None], first, divergence) / math.log(2)


def predict_clean(named: Tensor, noisy: Tensor, schedule: Schedule, t: Tensor) -> Tensor:
    """Solve the forward process for the clean signal: (b, c, f)."""
    scale = per_item(schedule.sqrt_recip_alphas_cumprod, t, noisy)
    return scale * noisy - per_item(schedule.sqrt_recipm1_alphas_cumprod, t, noisy) * named


def gaussian_divergence(mean: Tensor, log_var: Tensor, mean2: Tensor, log_var2: Tensor) -> Tensor:
    """Kullback-Leibler divergence of two Gaussians, in nats."""
    ratio = log_var - log_var2
    return 0.5 * (ratio.exp() - 1 - ratio + (mean - mean2).square() * (-log_var2).exp())


def discrete_log_likelihood(value: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Log probability of the 8-bit bin in [-1, 1] around each value; the outer bins are open."""
    precision = (-log_scale).exp()
    below_upper = normal_cdf(precision * (value - mean + HALF_BIN))
    below_lower = normal_cdf(precision * (value - mean - HALF_BIN))
    inside = torch.where(value < -EDGE, below_upper, below_upper - below_lower)
    return torch.where(value > EDGE, 1 - below_lower, inside).clamp(min=LEAST_PROBABILITY).log()


def normal_cdf(x: Tensor) -> Tensor:
    """The tanh approximation of the normal distribution, as in the published training."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
