"""Losses of the diffusion network: the noise, its variance, and the mel.

Equation numbers are those of Nichol and Dhariwal (arXiv:2102.09672).
Shapes: b batch, c mel bands, d model width, f mel frames, l latent width, m codes, k clips,
s speakers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio.mel import normalize_mel
from tortoise.generation.diffusion import codes_to_frames
from tortoise.modules.diffusion_decoder import DiffusionDecoder
from tortoise.modules.noise_schedule import NoiseSchedule, gather_per_item

HALF_BIN = 1 / 255  # the likelihood of the last step assumes mel of 8 bits
OUTER_BIN_EDGE = 0.999  # values beyond it fall into the first or last bin
MIN_PROBABILITY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiffusionBatch:
    """A batch of training examples.

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
class DropoutOptions:
    """Dropout of the conditioning and of layers."""

    unconditioned: float = 0.1  # share of items without conditioning, for classifier-free guidance
    layers: float = 0.0  # probability of each inner layer to be skipped

    def __post_init__(self) -> None:
        for name in ("unconditioned", "layers"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a share from 0 to 1; got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWeighting:
    """Timestep sampling and loss weighting; the defaults are the published ones.

    max_inverse_snr: weight the noise error by 1 / SNR up to this value, so that it measures the
    error of the clean mel; None weights all timesteps equally.
    min_timestep: the first timestep that is sampled.
    """

    max_inverse_snr: float | None = None
    min_timestep: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiffusionLosses:
    """The parts of the loss, means over the batch: ()."""

    noise: Tensor  # squared error
    bound: Tensor  # variational bound on the variance, in bits
    mel: Tensor  # squared error

    def total(self) -> Tensor:
        """Return the sum of all parts, as published: ()."""
        return self.noise + self.bound + self.mel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiffusionNoise:
    """The random numbers of one step, drawn before the batch is cut into micro-batches.

    t: (b,) indices into the schedule;  noise: (b, c, f);  unconditioned_mask: (b,).
    """

    t: Tensor
    noise: Tensor
    unconditioned_mask: Tensor
    skipped_layers: frozenset[int]

    def select(self, items: list[int]) -> DiffusionNoise:
        """Return those of some items of the batch."""
        return DiffusionNoise(
            t=self.t[items],
            noise=self.noise[items],
            unconditioned_mask=self.unconditioned_mask[items],
            skipped_layers=self.skipped_layers,
        )


def compute_diffusion_losses(
    decoder: DiffusionDecoder,
    schedule: NoiseSchedule,
    batch: DiffusionBatch,
    dropout: DropoutOptions,
    generator: torch.Generator,
    weighting: LossWeighting | None = None,
) -> DiffusionLosses:
    """Sample noise and compute the losses.  generator: of the CPU;  weighting: None: published."""
    weighting = weighting or LossWeighting()
    draws = sample_diffusion_noise(
        decoder, schedule, tuple(batch.mel.shape), dropout, generator, weighting
    )
    return compute_losses_for_noise(decoder, schedule, batch, draws, weighting)


def sample_diffusion_noise(
    decoder: DiffusionDecoder,
    schedule: NoiseSchedule,
    shape: tuple[int, ...],
    dropout: DropoutOptions,
    generator: torch.Generator,
    weighting: LossWeighting,
) -> DiffusionNoise:
    """Sample the random numbers of one step on the CPU.  shape: (b, c, f) of the mels."""
    items = shape[0]
    t = torch.randint(weighting.min_timestep, len(schedule), (items,), generator=generator)
    return DiffusionNoise(
        t=t,
        noise=torch.randn(shape, generator=generator),
        unconditioned_mask=torch.rand(items, generator=generator) < dropout.unconditioned,
        skipped_layers=decoder.sample_skipped_layers(dropout.layers, generator),
    )


def compute_losses_for_noise(
    decoder: DiffusionDecoder,
    schedule: NoiseSchedule,
    batch: DiffusionBatch,
    draws: DiffusionNoise,
    weighting: LossWeighting,
) -> DiffusionLosses:
    """Compute the losses with given noise."""
    device = batch.mel.device
    t, noise, unconditioned = (
        x.to(device) for x in (draws.t, draws.noise, draws.unconditioned_mask)
    )
    conditioning = decoder.get_conditioning(batch.voices)[batch.speakers]
    embedding = decoder.embed_latents(batch.latents, conditioning)
    embedding = decoder.interpolate_to_frames(
        decoder.drop_conditioning(embedding, unconditioned), batch.mel.shape[-1]
    )
    guess = decoder.predict_mel(embedding).float() * ~unconditioned[:, None, None]

    noisy = schedule.add_noise(batch.mel, t, noise)
    timesteps = schedule.timesteps.to(device)[t]
    output = decoder(noisy, timesteps, embedding, draws.skipped_layers)
    terms = compute_elementwise_losses(output, schedule, clean=batch.mel, noise=noise, t=t)
    weights = compute_timestep_weights(schedule, t, weighting.max_inverse_snr)
    return DiffusionLosses(
        noise=(weights * terms.noise.mean((1, 2))).mean(),
        bound=terms.bound.mean(),
        mel=functional.mse_loss(guess, batch.mel),
    )


def compute_timestep_weights(schedule: NoiseSchedule, t: Tensor, clean_cap: float | None) -> Tensor:
    """Return the weight of each item's noise error: (b,) for t (b,).

    An error e of the noise is an error e / SNR of the clean mel (arXiv:2303.09556, section 3).
    """
    if clean_cap is None:
        return torch.ones(t.shape, device=t.device)
    snr = torch.exp(2 * schedule.log_snr).to(t.device)[t]
    return (1 / snr).clamp(max=clean_cap).float()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ElementwiseLosses:
    """The losses of each mel value: (b, c, f)."""

    noise: Tensor
    bound: Tensor


def compute_elementwise_losses(
    output: Tensor, schedule: NoiseSchedule, *, clean: Tensor, noise: Tensor, t: Tensor
) -> ElementwiseLosses:
    """Compute the losses of one output of the network.

    output: (b, 2 c, f);  clean, noise: (b, c, f);  t: (b,) indices into the schedule.
    """
    named, spread = output.chunk(2, dim=1)
    noisy = schedule.add_noise(clean, t, noise)
    return ElementwiseLosses(
        noise=(named - noise).square(),
        bound=variational_bound(named.detach(), spread, schedule, clean=clean, noisy=noisy, t=t),
    )


def variational_bound(
    named: Tensor,
    spread: Tensor,
    schedule: NoiseSchedule,
    *,
    clean: Tensor,
    noisy: Tensor,
    t: Tensor,
) -> Tensor:
    """Return the variational bound in bits (Eq. 4 to 6): (b, c, f), as all arguments but t.

    named must be detached: only the variance is trained by the bound.
    """

    def mean(x0: Tensor) -> Tensor:
        factor = gather_per_item(schedule.posterior_mean_coef1, t, x0)
        return factor * x0 + gather_per_item(schedule.posterior_mean_coef2, t, x0) * noisy

    guessed = mean(predict_clean(named, noisy, schedule, t))
    least = gather_per_item(schedule.posterior_log_variance, t, clean)
    most = gather_per_item(schedule.betas.log(), t, clean)
    log_variance = least + (spread + 1) / 2 * (most - least)  # Eq. 15
    divergence = gaussian_divergence(mean(clean), least, guessed, log_variance)
    first = -discrete_log_likelihood(clean, guessed, log_variance / 2)
    return torch.where((t == 0)[:, None, None], first, divergence) / math.log(2)


def predict_clean(named: Tensor, noisy: Tensor, schedule: NoiseSchedule, t: Tensor) -> Tensor:
    """Return the clean signal for a predicted noise: (b, c, f)."""
    scale = gather_per_item(schedule.sqrt_recip_alphas_cumprod, t, noisy)
    return scale * noisy - gather_per_item(schedule.sqrt_recipm1_alphas_cumprod, t, noisy) * named


def gaussian_divergence(mean: Tensor, log_var: Tensor, mean2: Tensor, log_var2: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of two Gaussians in nats."""
    ratio = log_var - log_var2
    return 0.5 * (ratio.exp() - 1 - ratio + (mean - mean2).square() * (-log_var2).exp())


def discrete_log_likelihood(value: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Return the log probability of the 8-bit bin around each value; the outer bins are open."""
    precision = (-log_scale).exp()
    below_upper = normal_cdf(precision * (value - mean + HALF_BIN))
    below_lower = normal_cdf(precision * (value - mean - HALF_BIN))
    inside = torch.where(value < -OUTER_BIN_EDGE, below_upper, below_upper - below_lower)
    return (
        torch.where(value > OUTER_BIN_EDGE, 1 - below_lower, inside)
        .clamp(min=MIN_PROBABILITY)
        .log()
    )


def normal_cdf(x: Tensor) -> Tensor:
    """Return the tanh approximation of the normal CDF, as in the published training."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def get_muon_modules(model: DiffusionDecoder) -> nn.Module:
    """Return the modules between the first and the last layers, which Muon trains."""
    trunk = [model.layers, model.conditioning_timestep_integrator]
    return nn.ModuleList([*trunk, model.latent_conditioner, model.contextual_embedder])


def crop_mel(mel: Tensor, start: int, codes: int) -> Tensor:
    """Cut the frames of some codes and normalise them: (f, c) log-mel to (c, f').

    The last code of a clip reaches beyond its audio; there the last frame is repeated.
    """
    first = codes_to_frames(start) if start else 0
    frames = codes_to_frames(codes)
    cut = normalize_mel(mel[first : first + frames]).T
    return functional.pad(cut, (0, frames - cut.shape[1]), mode="replicate")
