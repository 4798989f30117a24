"""Recordings for tests: known voices, and what can go wrong with them, made on purpose."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from audio.clip import Clip
from audio.io import read_clip

ROOT = Path(__file__).resolve().parents[2]
VOICES = ROOT / "tests" / "assets" / "voices"  # of a synthesizer, whose traits are known
SHIPPED_VOICES = ROOT / "voices"
SHARED = ROOT.parent / "shared"


@lru_cache
def shipped(voice: str = "clara", number: int = 1) -> Clip:
    """One clip of a voice whose traits are known."""
    return read_clip(VOICES / voice / f"{number}.flac")


def noise(samples: int, seed: int = 0) -> Tensor:
    """White noise of mean square one: (n,)."""
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def with_noise(clip: Clip, below_db: float, seed: int = 0) -> Clip:
    """The clip over white noise that lies so far below its speech."""
    level = spoken_power(clip).mean() * 10 ** (-below_db / 10)
    return replace(clip, wave=clip.wave + noise(clip.wave.shape[0], seed) * level.sqrt())


def spoken_frames(clip: Clip) -> Tensor:
    """Which frames of 1024 samples lie within 25 dB of the loudest: (f,) bool."""
    power = frame_power(clip)
    return power >= power.quantile(0.95) * 10**-2.5


def frame_power(clip: Clip) -> Tensor:
    """Mean square of each frame of 1024 samples: (f,)."""
    return clip.wave.unfold(0, 1024, 256).square().mean(-1)


def spoken_power(clip: Clip) -> Tensor:
    """Mean square of the frames that are spoken: (s,)."""
    return frame_power(clip)[spoken_frames(clip)]


def in_a_room(clip: Clip, seconds: float = 0.7) -> Clip:
    """The clip as a far microphone hears it in a room whose echo takes so long to die away."""
    length = round(seconds * clip.sample_rate)
    tail = noise(length, seed=1) * torch.exp(-6.908 * torch.arange(length) / length)
    tail = tail / tail.square().sum().sqrt()
    tail[0] = 1.0
    samples = clip.wave.shape[0] + length
    heard = torch.fft.irfft(torch.fft.rfft(clip.wave, samples) * torch.fft.rfft(tail, samples))
    return replace(clip, wave=heard[: clip.wave.shape[0]] / heard.abs().max())


def joined(*clips: Clip) -> Clip:
    """The clips one after the other."""
    return replace(clips[0], wave=torch.cat([clip.wave for clip in clips]))
