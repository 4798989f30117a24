"""From what the GPT meant to a mel picture: noise, denoised step by step and guided by the voice.

Shapes: b batch, c mel bands, d model width, f mel frames, l latent width, m codes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from audio.mel import GPT_MEL, VOCODER_MEL, denormalize_mel
from core.progress import ProgressReporter
from tortoise.generation.samplers import (
    AncestralSampler,
    DdimSampler,
    DpmSolverSampler,
    NoiseSource,
    Sampler,
    sample_loop,
)
from tortoise.modules.diffusion_decoder import DiffusionDecoder
from tortoise.modules.noise_schedule import (
    NUM_TRAIN_TIMESTEPS,
    make_linear_schedule,
    respace,
    respace_by_log_snr,
)

GPT_FRAMES_PER_CODE = 4

SamplerName = Literal["p", "ddim", "dpm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """Classifier-free guidance of the diffusion network.

    k 0 skips the unconditioned pass and takes half the time. With the ramp, guidance grows with the
    progress, from almost none at high noise.
    """

    k: float = 2.0
    ramp: bool = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.k) and self.k >= 0):
            raise ValueError(f"guidance k is 0 (off) or more; got {self.k}")

    def strength(self, progress: float) -> float:
        """The k of one step;  progress from 0 up to 1 at the end."""
        return self.k * progress if self.ramp else self.k


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionSamplingOptions:
    """Options of the diffusion sampling."""

    steps: int = 30
    sampler: SamplerName = "ddim"
    guidance: Guidance = field(default_factory=Guidance)
    temperature: float = 1.0  # scales the noise that the walk starts from, not that of its steps

    def __post_init__(self) -> None:
        if not 2 <= self.steps <= NUM_TRAIN_TIMESTEPS:
            raise ValueError(
                f"diffusion takes from 2 to {NUM_TRAIN_TIMESTEPS} steps; got {self.steps}"
            )
        if self.sampler not in get_args(SamplerName):
            raise ValueError(
                f"diffusion sampler is one of {', '.join(get_args(SamplerName))}; "
                f"got {self.sampler!r}"
            )
        if not 0.0 <= self.temperature <= 1.0:
            raise ValueError(f"diffusion temperature must be from 0 to 1; got {self.temperature}")


@torch.inference_mode()
def denoise(
    decoder: DiffusionDecoder,
    latents: Tensor,
    conditioning: Tensor,
    options: DiffusionSamplingOptions,
    generator: torch.Generator,
    report: ProgressReporter,
) -> Tensor:
    """Draw the mel of one or several takes of equal length.

    latents: (b, m, l) of the GPT;  conditioning: (b, 2 d) of `decoder.get_conditioning`;
    generator: on the CPU, whatever the device of the network.
    Returns (b, c, f) log-mel in natural-log units, as the vocoder takes it.
    """
    for name, tensor in (("latents", latents), ("conditioning", conditioning)):
        if not torch.isfinite(tensor).all():
            raise FloatingPointError(
                f"the {name} for the diffusion network contain NaN or infinite values"
            )
    embedding = decoder.interpolate_to_frames(
        decoder.embed_latents(latents, conditioning), codes_to_frames(latents.shape[1])
    )
    noise = make_noise_source(generator)
    sampler = make_sampler(options, noise)
    shape = (latents.shape[0], decoder.config.mel_bands, embedding.shape[-1])
    start = noise(torch.empty(shape, device=latents.device)) * options.temperature
    guided = GuidedDenoiser(decoder, embedding, options.guidance)
    return denormalize_mel(sample_loop(guided, start, sampler, report))


def make_sampler(options: DiffusionSamplingOptions, noise: NoiseSource) -> Sampler:
    """Choose the sampler and give it the schedule that suits it."""
    base, steps = make_linear_schedule(), options.steps
    if options.sampler == "p":
        return AncestralSampler(schedule=respace(base, steps), noise=noise)
    if options.sampler == "ddim":
        return DdimSampler(schedule=respace(base, steps), noise=noise)
    return DpmSolverSampler(schedule=respace_by_log_snr(base, steps))


def codes_to_frames(codes: int) -> int:
    """Return the number of vocoder mel frames for a number of codes."""
    frames = codes * GPT_FRAMES_PER_CODE * VOCODER_MEL.sample_rate // GPT_MEL.sample_rate
    if frames < 1:
        raise ValueError(f"diffusion needs at least one code; got {codes}")
    return frames


def make_noise_source(generator: torch.Generator) -> NoiseSource:
    """Draw on the CPU and move, so that a seed gives the same clip on every device."""

    def draw(like: Tensor) -> Tensor:
        noise = torch.randn(like.shape, generator=generator, device=generator.device)
        return noise.to(like.device)

    return draw


@dataclass(frozen=True, slots=True)
class GuidedDenoiser:
    """Runs the network with and without its embedding in one batch.

    embedding: (b, d, f).
    """

    decoder: DiffusionDecoder
    embedding: Tensor
    guidance: Guidance

    def __call__(self, x: Tensor, timestep: int, progress: float) -> Tensor:
        strength = self.guidance.strength(progress)
        t = torch.full((x.shape[0],), timestep, device=x.device)
        if strength == 0:
            return self.decoder(x, t, self.embedding)
        unconditioned = self.decoder.expand_unconditioned_embedding(self.embedding)
        both = self.decoder(
            torch.cat([x, x]), torch.cat([t, t]), torch.cat([self.embedding, unconditioned])
        )
        with_voice, without = both.chunk(2)
        return apply_classifier_free_guidance(with_voice, without, strength)


def apply_classifier_free_guidance(with_voice: Tensor, without: Tensor, strength: float) -> Tensor:
    """Move the named noise away from the unconditioned; the variance stays as it was.

    with_voice, without: (b, 2 c, f).  Returns (b, 2 c, f).
    """
    named, spread = with_voice.chunk(2, dim=1)
    away = without.chunk(2, dim=1)[0]
    return torch.cat([(1 + strength) * named - strength * away, spread], dim=1)
