"""What the diffusion network is trained on: the noise, its variance, and the mel at once.

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

HALF_BIN = 1 / 255  # the last step is judged as if mel were stored in 8 bits
OUTER_BIN_EDGE = 0.999  # values beyond it fall into the first or last bin
MIN_PROBABILITY = 1e-12


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
class DropoutOptions:
    """What training hides from the network, so that it learns to do without."""

    unconditioned: float = 0.1  # share of items that lose their embedding, for guidance
    layers: float = 0.0  # chance of each inner layer to be skipped

    def __post_init__(self) -> None:
        for name in ("unconditioned", "layers"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a share from 0 to 1; got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWeighting:
    """Which steps of the schedule are taught, and how much each of them counts.

    clean_cap: weigh each item's noise error as if it were the error of the clean mel that follows
    from it, up to so many times; None weighs all steps alike, as published.
    quietest: the first step that is drawn; 0 draws from all, as published.
    """

    max_inverse_snr: float | None = None
    min_timestep: int = 0


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
class DiffusionNoise:
    """What is random about one training step, so that parts of a batch can be judged alone.

    t: (b,) indices into the schedule;  noise: (b, c, f);  forgotten: (b,) items that lose their
    embedding;  skipped: layers left out.
    """

    t: Tensor
    noise: Tensor
    unconditioned_mask: Tensor
    skipped_layers: frozenset[int]

    def select(self, items: list[int]) -> DiffusionNoise:
        """The draws of some items of the batch."""
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
    drops: DropoutOptions,
    generator: torch.Generator,
    weighing: LossWeighting | None = None,
) -> DiffusionLosses:
    """Noise the batch to random steps and measure how well the network sees through it.

    weighing: None as published.
    The generator lives on the CPU and draws steps, noise, forgotten items and skipped layers.
    """
    weighing = weighing or LossWeighting()
    draws = sample_diffusion_noise(
        decoder, schedule, tuple(batch.mel.shape), drops, generator, weighing
    )
    return compute_losses_for_noise(decoder, schedule, batch, draws, weighing)


def sample_diffusion_noise(
    decoder: DiffusionDecoder,
    schedule: NoiseSchedule,
    shape: tuple[int, ...],
    drops: DropoutOptions,
    generator: torch.Generator,
    weighing: LossWeighting,
) -> DiffusionNoise:
    """Draw all that is random about one training step, on the CPU.

    shape: (b, c, f) of the mels.
    """
    items = shape[0]
    t = torch.randint(weighing.min_timestep, len(schedule), (items,), generator=generator)
    return DiffusionNoise(
        t=t,
        noise=torch.randn(shape, generator=generator),
        unconditioned_mask=torch.rand(items, generator=generator) < drops.unconditioned,
        skipped_layers=decoder.sample_skipped_layers(drops.layers, generator),
    )


def compute_losses_for_noise(
    decoder: DiffusionDecoder,
    schedule: NoiseSchedule,
    batch: DiffusionBatch,
    draws: DiffusionNoise,
    weighing: LossWeighting,
) -> DiffusionLosses:
    """Measure how well the network sees through noise that is drawn already."""
    device = batch.mel.device
    t, noise, forgotten = (x.to(device) for x in (draws.t, draws.noise, draws.unconditioned_mask))
    conditioning = decoder.get_conditioning(batch.voices)[batch.speakers]
    embedding = decoder.embed_latents(batch.latents, conditioning)
    embedding = decoder.interpolate_to_frames(
        decoder.drop_conditioning(embedding, forgotten), batch.mel.shape[-1]
    )
    guess = decoder.predict_mel(embedding).float() * ~forgotten[:, None, None]

    noisy = schedule.add_noise(batch.mel, t, noise)
    timesteps = schedule.timesteps.to(device)[t]
    output = decoder(noisy, timesteps, embedding, draws.skipped_layers)
    terms = compute_elementwise_losses(output, schedule, clean=batch.mel, noise=noise, t=t)
    weights = compute_timestep_weights(schedule, t, weighing.max_inverse_snr)
    return DiffusionLosses(
        noise=(weights * terms.noise.mean((1, 2))).mean(),
        bound=terms.bound.mean(),
        mel=functional.mse_loss(guess, batch.mel),
    )


def compute_timestep_weights(schedule: NoiseSchedule, t: Tensor, clean_cap: float | None) -> Tensor:
    """How much each item's noise error counts: (b,) for t (b,).

    An error e of the noise is one of e / SNR of the clean mel (arXiv:2303.09556, section 3), so
    without weights nearly clean steps, which hardly matter, take most of the gradient.
    """
    if clean_cap is None:
        return torch.ones(t.shape, device=t.device)
    snr = torch.exp(2 * schedule.log_snr).to(t.device)[t]
    return (1 / snr).clamp(max=clean_cap).float()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ElementwiseLosses:
    """The loss of every mel value: (b, c, f) each."""

    noise: Tensor
    bound: Tensor


def compute_elementwise_losses(
    output: Tensor, schedule: NoiseSchedule, *, clean: Tensor, noise: Tensor, t: Tensor
) -> ElementwiseLosses:
    """Judge what the network said of one step.

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
    """Bits by which the step's Gaussian misses the true one (Eq. 4 to 6); (b, c, f) all.

    The named noise must be detached: only the variance learns from the bound.
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
    """Solve the forward process for the clean signal: (b, c, f)."""
    scale = gather_per_item(schedule.sqrt_recip_alphas_cumprod, t, noisy)
    return scale * noisy - gather_per_item(schedule.sqrt_recipm1_alphas_cumprod, t, noisy) * named


def gaussian_divergence(mean: Tensor, log_var: Tensor, mean2: Tensor, log_var2: Tensor) -> Tensor:
    """Kullback-Leibler divergence of two Gaussians, in nats."""
    ratio = log_var - log_var2
    return 0.5 * (ratio.exp() - 1 - ratio + (mean - mean2).square() * (-log_var2).exp())


def discrete_log_likelihood(value: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Log probability of the 8-bit bin in [-1, 1] around each value; the outer bins are open."""
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
    """The tanh approximation of the normal distribution, as in the published training."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def get_muon_modules(model: DiffusionDecoder) -> nn.Module:
    """What lies between the first and the last layers, whose kernels mix widths alike."""
    trunk = [model.layers, model.conditioning_timestep_integrator]
    return nn.ModuleList([*trunk, model.latent_conditioner, model.contextual_embedder])


def crop_mel(mel: Tensor, start: int, codes: int) -> Tensor:
    """The normalised frames of some codes: (f, c) log-mel to (c, f').

    The last code of a clip reaches beyond its sound; the last frame stands in for what is lacking.
    """
    first = codes_to_frames(start) if start else 0
    frames = codes_to_frames(codes)
    cut = normalize_mel(mel[first : first + frames]).T
    return functional.pad(cut, (0, frames - cut.shape[1]), mode="replicate")
