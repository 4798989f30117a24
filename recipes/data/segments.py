"""Sample training segments of audio: the same step always gives the same batch.

Shapes: b batch, n samples, f mel frames of a segment, c frames of context on each side.
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
F0 = npt.NDArray[np.float32]
CONTEXT_FRAMES = 4  # on both sides of a segment, for the network
STFT_FRAMES = 2  # further ones, so that the mel equals that of the clip
AUDIO_SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".opus"}


@dataclass(frozen=True, kw_only=True)
class WavePool:
    """Waves of one source (int16, 24 kHz) and their share of every batch.

    f0: of each wave, a value in Hz per mel frame, 0 where unvoiced.
    """

    waves: Sequence[Samples]
    f0: Sequence[F0]
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentConfig:
    """Options of segment sampling."""

    samples: int = 12_288
    batch: int = 6
    gains_db: tuple[float, float] = (-15.0, 2.0)
    seed: int = 1

    def __post_init__(self) -> None:
        if self.samples % HOP_LENGTH:
            raise ValueError(
                f"segments of {self.samples} samples; make them a multiple of {HOP_LENGTH}"
            )


@dataclass(frozen=True, kw_only=True)
class VocoderBatch:
    """Mel (b, 100, f + 2 c) and F0 (b, f + 2 c), and the wave (b, 256 f) of the inner frames."""

    mel: Tensor
    f0: Tensor
    wave: Tensor


def draw_batch(pools: Sequence[WavePool], config: SegmentConfig, step: int) -> VocoderBatch:
    """Return the batch of one step, which follows from the arguments alone."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    shares = torch.tensor([pool.share for pool in pools])
    low, high = config.gains_db
    frames = config.samples // HOP_LENGTH + 2 * CONTEXT_FRAMES
    cuts, pitches = [], []
    for origin in torch.multinomial(shares, config.batch, True, generator=generator).tolist():
        pool = pools[origin]
        index = int(torch.randint(len(pool.waves), (), generator=generator))
        gain = 10 ** ((low + (high - low) * float(torch.rand((), generator=generator))) / 20)
        length = (frames + 2 * STFT_FRAMES) * HOP_LENGTH
        room = max(len(pool.waves[index]) - length, 0)
        start = int(torch.randint(room + 1, (), generator=generator))
        cuts.append((gain * _cut(pool.waves[index], start, length)).clamp(-1.0, 1.0))
        places = start / HOP_LENGTH + STFT_FRAMES + np.arange(frames)
        pitches.append(torch.from_numpy(interpolate_f0(pool.f0[index], places)))
    wide = torch.stack(cuts)
    first = (STFT_FRAMES + CONTEXT_FRAMES) * HOP_LENGTH
    return VocoderBatch(
        mel=vocoder_mel(wide)[..., STFT_FRAMES : STFT_FRAMES + frames],
        f0=torch.stack(pitches),
        wave=wide[:, first : first + config.samples],
    )


def _cut(wave: Samples, start: int, length: int) -> Tensor:
    """Cut a window (length,) of the wave, padded with silence."""
    piece = torch.from_numpy(np.array(wave[start : start + length], dtype=np.float32)) / 32768
    return torch.nn.functional.pad(piece, (0, length - len(piece)))


def interpolate_f0(f0: F0, places: npt.NDArray[np.floating]) -> F0:
    """Read F0 (t,) at fractional frames (f,); voiced and unvoiced frames are not mixed."""
    nearest = np.round(places).astype(int)
    voiced = np.flatnonzero(f0 > 0)
    if not len(voiced):
        return np.zeros(len(places), np.float32)
    inner = np.interp(places, voiced, f0[voiced])
    known = (f0[np.clip(nearest, 0, len(f0) - 1)] > 0) & (nearest < len(f0))
    return np.where(known, inner, 0.0).astype(np.float32)


def read_audio_folder(folder: Path) -> list[Samples]:
    """Read every audio file below a folder as int16 samples at 24 kHz, ordered by name."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    if not files:
        raise FileNotFoundError(f"{folder} holds no audio; give a folder of wav or flac files")
    clips = (read_clip(path).resample(SAMPLE_RATE) for path in files)
    return [(clip.wave.clamp(-1, 1) * 32767).to(torch.int16).numpy() for clip in clips]
