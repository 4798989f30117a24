"""Generate a wave with WaveRNN, in chunks side by side (batched) or in one go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sv2tts.mel import MAX_ABS, deemphasize
from sv2tts.modules.mol import COMPONENTS, draw_uniform, sample_mixture
from sv2tts.modules.wavernn import WaveRNN
from sv2tts.waveform_labels import decode_mu_law, fold, label_to_float, unfold

FADE_OUT_FRAMES = 20

Sampler = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRNNOptions:
    """How a wave is generated. target, overlap: samples of a chunk and of its cross-fades."""

    batched: bool = True
    target: int = 8_000
    overlap: int = 800
    mu_law: bool = True


def categorical_sampler(bits: int, generator: torch.Generator) -> Sampler:
    """Return a sampler of RAW logits (b, k); the noise is drawn on the CPU."""

    def sample(logits: Tensor) -> Tensor:
        noise = draw_uniform(tuple(logits.shape), generator).to(logits)
        label = (logits - torch.log(-torch.log(noise))).argmax(-1)  # Gumbel-max
        return label_to_float(label.to(logits), bits)

    return sample


def mixture_sampler(generator: torch.Generator) -> Sampler:
    """Return a sampler of MOL parameters (b, 30); the noise is drawn on the CPU."""

    def sample(prediction: Tensor) -> Tensor:
        batch = len(prediction)
        mixture = draw_uniform((batch, COMPONENTS), generator).to(prediction)
        return sample_mixture(prediction, mixture, draw_uniform((batch,), generator).to(mixture))

    return sample


def make_sampler(network: WaveRNN, generator: torch.Generator) -> Sampler:
    """Return the sampler of the network's output mode."""
    if network.config.mode == "MOL":
        return mixture_sampler(generator)
    return categorical_sampler(network.config.bits, generator)


@torch.inference_mode()
def generate_wave(
    network: WaveRNN,
    mel: Tensor,
    options: WaveRNNOptions,
    sample: Sampler,
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Generate the wave of one mel.

    mel: (m, f) in [-4, 4]; on_step: called with the samples made and their number. Returns
    ((f - 1) * hop,) at the network's sample rate.
    """
    config = network.config
    padded = F.pad(mel.unsqueeze(0) / MAX_ABS, (config.pad, config.pad))
    conditioning = network.upsample(padded)
    length = conditioning[0].shape[1]
    batched = options.batched and length > options.target
    if batched:
        mels, aux = (fold(part, options.target, options.overlap) for part in conditioning)
        conditioning = mels, aux
    total = conditioning[0].shape[1]
    step = partial(_report, on_step, total) if on_step else None
    made = network.generate_samples(conditioning, sample, step).double().cpu().numpy()
    wave = torch.from_numpy(unfold(made, options.overlap) if batched else np.array(made[0]))
    if config.mode == "RAW" and options.mu_law:
        wave = decode_mu_law(wave, 2**config.bits)
    wave = deemphasize(wave)[: (mel.shape[-1] - 1) * config.hop]
    fade = min(FADE_OUT_FRAMES * config.hop, len(wave))
    wave[len(wave) - fade :] *= torch.linspace(1.0, 0.0, fade, dtype=wave.dtype)
    return wave


def _report(on_step: Callable[[int, int], None], total: int, step: int) -> None:
    on_step(step, total)
