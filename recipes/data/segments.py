"""Sample training segments of audio: the same step always gives the same batch.

Shapes: b batch, n samples, f mel frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audio.io import read_clip
from audio.mel import VOCODER_MEL, vocoder_mel

Samples = npt.NDArray[np.int16]
SAMPLE_RATE, HOP_LENGTH = VOCODER_MEL.sample_rate, VOCODER_MEL.hop
CONTEXT_FRAMES = 4  # on both sides of a segment, so that its mel equals that of the clip
AUDIO_SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".opus"}


@dataclass(frozen=True, kw_only=True)
class WavePool:
    """Waves of one source (int16, 24 kHz) and their share of every batch."""

    waves: Sequence[Samples]
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentConfig:
    """Options of segment sampling."""

    samples: int = 8192
    batch: int = 8
    quietest_db: float = -12.0  # lowest random gain
    seed: int = 1

    def __post_init__(self) -> None:
        if self.samples % HOP_LENGTH:
            raise ValueError(
                f"segments of {self.samples} samples; make them a multiple of {HOP_LENGTH}"
            )


@dataclass(frozen=True, kw_only=True)
class VocoderBatch:
    """Mel (b, 100, f) and the wave (b, 256 * f) it was taken from, in [-1, 1]."""

    mel: Tensor
    wave: Tensor


def draw_batch(pools: Sequence[WavePool], config: SegmentConfig, step: int) -> VocoderBatch:
    """Return the batch of one step, which follows from the arguments alone."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    shares = torch.tensor([pool.share for pool in pools])
    cuts = []
    for origin in torch.multinomial(shares, config.batch, True, generator=generator).tolist():
        waves = pools[origin].waves
        wave = waves[int(torch.randint(len(waves), (), generator=generator))]
        gain = 10 ** (config.quietest_db / 20 * float(torch.rand((), generator=generator)))
        cuts.append(
            gain * _random_crop(wave, config.samples + 2 * CONTEXT_FRAMES * HOP_LENGTH, generator)
        )
    wide = torch.stack(cuts)
    mel = vocoder_mel(wide)[..., CONTEXT_FRAMES : CONTEXT_FRAMES + config.samples // HOP_LENGTH]
    return VocoderBatch(
        mel=mel,
        wave=wide[:, CONTEXT_FRAMES * HOP_LENGTH : CONTEXT_FRAMES * HOP_LENGTH + config.samples],
    )


def _random_crop(wave: Samples, length: int, generator: torch.Generator) -> Tensor:
    """Cut a random window (length,) of the wave, padded with silence."""
    room = max(len(wave) - length, 0)
    start = int(torch.randint(room + 1, (), generator=generator))
    piece = torch.from_numpy(np.array(wave[start : start + length], dtype=np.float32)) / 32768
    return torch.nn.functional.pad(piece, (0, length - len(piece)))


def read_audio_folder(folder: Path) -> list[Samples]:
    """Read every audio file below a folder as int16 samples at 24 kHz, ordered by name."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    if not files:
        raise FileNotFoundError(f"{folder} holds no audio; give a folder of wav or flac files")
    clips = (read_clip(path).resample(SAMPLE_RATE) for path in files)
    return [(clip.wave.clamp(-1, 1) * 32767).to(torch.int16).numpy() for clip in clips]
