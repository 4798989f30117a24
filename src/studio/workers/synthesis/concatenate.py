"""Pieces of speech become one clip: faded at their edges, joined with silence, levelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from audio.clip import Clip
from studio.schemas.speech import OutputOptions


def concatenate_clips(clips: Sequence[Clip], delivery: OutputOptions) -> Clip:
    """Put the clips one after another with the chosen silence between them.

    All have one sample rate; each is faded in and out where it meets silence, so no join clicks.
    """
    if len(clips) == 1:
        return clips[0]
    rate = clips[0].sample_rate
    silence = torch.zeros(round(delivery.pause_s * rate))  # (n,)
    fade = round(delivery.fade_ms * rate / 1000)
    waves: list[Tensor] = []
    for clip in clips:
        waves += [fade_edges(clip.wave, fade), silence]
    return replace(clips[0], wave=torch.cat(waves[:-1]))


def fade_edges(wave: Tensor, samples: int) -> Tensor:
    """Raise the first and lower the last `samples` of a wave along a straight line.

    wave: (n,). Returns (n,).
    """
    samples = min(samples, wave.shape[0] // 2)
    if samples < 1:
        return wave
    ramp = torch.linspace(0, 1, samples + 1)[:-1]
    head, body, tail = wave[:samples], wave[samples:-samples], wave[-samples:]
    return torch.cat([head * ramp, body, tail * ramp.flip(0)])


def apply_rate_and_volume(clip: Clip, delivery: OutputOptions) -> Clip:
    """Apply the chosen rate and volume; where that would clip, the loudest that does not."""
    rated = clip.resample(delivery.output_rate or clip.sample_rate)
    wave = rated.wave * delivery.volume
    peak = float(wave.abs().max()) if wave.numel() else 0.0
    return replace(rated, wave=wave / peak if peak > 1 else wave)
