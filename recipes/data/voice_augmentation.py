"""Augment reference mels, so that the networks generalise to voices outside of the corpus.

A synthetic corpus is clean and has few speakers. So references get the equalisation, noise and
echo of real recordings, and voices another vocal tract length.

Shapes: s speakers, b batch, c mel bands, f mel frames. All mels are natural logs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from audio.mel import GPT_MEL, LOG_MEL_MIN, MelSpec, mel_filterbank
from recipes.data.codes import TokenizedCorpus

NUM_EQ_COSINES = 4  # of an equaliser curve
EQ_STD_NEPERS = 0.8  # nepers, of the slowest cosine
NOISE_LEVEL_RANGE = (3.0, 8.0)  # nepers below the peak
NOISE_TILT_RANGE = (0.0, 2.0)  # nepers from the lowest band to the highest
ECHO_LEVEL_RANGE = (0.7, 2.0)  # nepers below the speech
ECHO_DECAY_RANGE = (0.08, 0.4)  # nepers per frame
WARP_FACTOR_RANGE = (0.84, 1.18)  # of all frequencies
SILENCE_LOG_MEL = LOG_MEL_MIN + 0.1  # nothing below is made louder


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationOptions:
    """Probability of each augmentation of a reference."""

    equalised: float = 0.5
    noisy: float = 0.5
    echoing: float = 0.3


def sample_augmented_references(
    corpus: TokenizedCorpus,
    chosen: Sequence[int],
    frames: int,
    options: AugmentationOptions,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Draw an augmented reference of each speaker in `chosen`.

    Returns log-mels (s, c, frames) and for each chosen clip its row (b,).
    """
    mels, which = corpus.sample_speaker_mels(chosen, frames, generator)
    rows = [apply_channel_augmentation(row, GPT_MEL, options, generator) for row in mels]
    return torch.stack(rows), which


def apply_channel_augmentation(
    mel: Tensor, spec: MelSpec, options: AugmentationOptions, generator: torch.Generator
) -> Tensor:
    """Apply equaliser, echo and noise, each at random.  (c, f) to (c, f)."""
    if _sample_bernoulli(options.equalised, generator):
        mel = apply_eq_curve(mel, sample_eq_curve(spec, generator))
    if _sample_bernoulli(options.echoing, generator):
        mel = add_echo(mel, spec, generator)
    if _sample_bernoulli(options.noisy, generator):
        mel = add_noise(mel, spec, generator)
    return mel


def sample_eq_curve(spec: MelSpec, generator: torch.Generator) -> Tensor:
    """Sample a smooth equaliser curve: (c,) nepers to add."""
    waves = torch.arange(1, NUM_EQ_COSINES + 1)
    amplitudes = torch.randn(NUM_EQ_COSINES, generator=generator) * EQ_STD_NEPERS / waves
    phases = torch.rand(NUM_EQ_COSINES, generator=generator) * 2 * math.pi
    positions = (torch.arange(spec.bands) + 0.5) / spec.bands
    angles = math.pi * waves[:, None] * positions + phases[:, None]
    level = torch.randn(1, generator=generator) * EQ_STD_NEPERS / 2
    return spec.power * ((amplitudes[:, None] * angles.cos()).sum(0) + level)


def apply_eq_curve(mel: Tensor, curve: Tensor) -> Tensor:
    """Add a curve (c,) where the mel is not silent: (c, f) to (c, f)."""
    changed = (mel + curve[:, None]).clamp(min=LOG_MEL_MIN)
    return torch.where(mel > SILENCE_LOG_MEL, changed, mel)


def add_noise(mel: Tensor, spec: MelSpec, generator: torch.Generator) -> Tensor:
    """Add stationary noise: (c, f) to (c, f)."""
    peak = float(mel.mean(0).amax())
    level = peak - spec.power * _sample_uniform(NOISE_LEVEL_RANGE, generator)
    tilt = torch.linspace(0, -1, spec.bands)[:, None] * _sample_uniform(NOISE_TILT_RANGE, generator)
    noise = torch.randn(mel.shape, generator=generator) * 0.3
    return torch.logaddexp(mel, level + spec.power * (tilt + noise)).clamp(min=LOG_MEL_MIN)


def add_echo(mel: Tensor, spec: MelSpec, generator: torch.Generator) -> Tensor:
    """Add an exponential decay: (c, f) to (c, f)."""
    fall = spec.power * _sample_uniform(ECHO_DECAY_RANGE, generator) * torch.arange(mel.shape[1])
    tail = (
        (mel + fall).cummax(1).values
        - fall
        - spec.power * _sample_uniform(ECHO_LEVEL_RANGE, generator)
    )
    return torch.maximum(mel, tail)


def sample_warp_factor(generator: torch.Generator) -> float:
    """Sample a factor for `warp_frequencies`."""
    return _sample_uniform(WARP_FACTOR_RANGE, generator)


def warp_frequencies(mel: Tensor, factor: float, spec: MelSpec) -> Tensor:
    """Scale all frequencies by a factor: (c, f) to (c, f)."""
    centres = compute_band_centers(spec)
    positions = torch.searchsorted(centres, (centres / factor).contiguous()).clamp(
        1, spec.bands - 1
    )
    low, high = centres[positions - 1], centres[positions]
    share = ((centres / factor - low) / (high - low)).clamp(0, 1)[:, None]
    return mel[positions - 1] * (1 - share) + mel[positions] * share


def compute_band_centers(spec: MelSpec) -> Tensor:
    """Return the center of every mel band in Hz: (c,)."""
    bank = mel_filterbank(spec, torch.device("cpu"))
    hz = torch.linspace(0, spec.sample_rate / 2, bank.shape[1])
    return (bank @ hz) / bank.sum(1)


def _sample_bernoulli(share: float, generator: torch.Generator) -> bool:
    return float(torch.rand(1, generator=generator)) < share


def _sample_uniform(ends: tuple[float, float], generator: torch.Generator) -> float:
    return ends[0] + (ends[1] - ends[0]) * float(torch.rand(1, generator=generator))
