"""Conditioning latents of a voice: its clips are split into chunks and their latents averaged.

Shapes: n samples, d width of the GPT, c width of the diffusion network, e width of CVVP's space,
s speaker dimensions, k windows of 1.6 s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from audio.clip import Clip
from audio.mel import gpt_mel, resample, vocoder_mel
from core.progress import ProgressReporter
from speakers.embedding import Encoder, load_encoder
from tortoise.checkpoints.config import ModelConventions
from tortoise.modules.cvvp import Cvvp
from tortoise.modules.diffusion_decoder import DiffusionDecoder
from tortoise.modules.gpt import Gpt

SPEECH_RMS = 10 ** (-22 / 20)  # that of recordings; the encoder is sensitive to the level

CropMode = Literal["whole", "original", "chunks", "clip_mean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditioningOptions:
    """The part of the clips that is used.

    whole: everything, in chunks of equal length no longer than in training (or `chunk_s`). The
    others follow the original for the GPT, 6 s of each clip at a random place, shorter ones padded;
    for the diffusion network: original: the first 4.3 s of each clip; chunks: every started 4.3 s
    of all clips; clip_mean: the same, averaged for each clip first.
    """

    crop: CropMode = "whole"
    chunk_s: float = 0.0


def split_clips_for_gpt(
    clips: Sequence[Clip], hearing: ConditioningOptions, conventions: ModelConventions
) -> list[Tensor]:
    """Return the waves for the GPT and CVVP, (n,) each at their rate."""
    rate, size = conventions.gpt_rate, conventions.gpt_clip_samples
    waves = [clip.resample(rate).wave for clip in clips]
    if hearing.crop == "whole":
        largest = round(hearing.chunk_s * rate) or size
        return [piece for wave in waves for piece in split_evenly(wave, largest)]
    places = torch.Generator().manual_seed(0)  # the same clips give the same voice
    return [pad_or_trim(wave, size, _sample_offset(len(wave) - size, places)) for wave in waves]


def split_clips_for_diffusion(
    clips: Sequence[Clip], hearing: ConditioningOptions, conventions: ModelConventions
) -> list[list[Tensor]]:
    """Return the waves for the diffusion network, (n,) each at its rate, for every clip."""
    size = conventions.diffusion_clip_samples
    if hearing.crop == "whole":
        largest = round(hearing.chunk_s * conventions.sample_rate) or size
        waves = [clip.resample(conventions.sample_rate).wave for clip in clips]
        return [split_evenly(wave, largest) for wave in waves]
    through = [clip.resample(conventions.gpt_rate).wave for clip in clips]  # as the original
    waves = [resample(wave, conventions.gpt_rate, conventions.sample_rate) for wave in through]
    if hearing.crop == "original":
        return [[pad_or_trim(wave, size)] for wave in waves]
    return [
        [pad_or_trim(wave, size, start) for start in range(0, max(len(wave), 1), size)]
        for wave in waves
    ]


def split_evenly(wave: Tensor, largest: int) -> list[Tensor]:
    """Split a wave (n,) into as few chunks of nearly equal length as `largest` allows."""
    count = max(1, math.ceil(len(wave) / largest))
    return list(wave.tensor_split(count))


def pad_or_trim(wave: Tensor, size: int, start: int = 0) -> Tensor:
    """The samples from `start` on, filled up with silence: (size,)."""
    piece = wave[start : start + size]
    return F.pad(piece, (0, size - len(piece)))


def encode_gpt_conditioning(
    gpt: Gpt, pieces: Sequence[Tensor], norms: Tensor, report: ProgressReporter
) -> Tensor:
    """Return the mean GPT latent of the chunks, weighted by length: (1, d)."""
    device = norms.device
    latents = [
        gpt.condition(gpt_mel(piece.to(device), norms)) * len(piece)
        for piece in report.track(pieces, "listening")
    ]
    return torch.stack(latents).sum(0) / sum(len(piece) for piece in pieces)


def encode_diffusion_conditioning(
    decoder: DiffusionDecoder,
    pieces: Sequence[Sequence[Tensor]],
    crop: CropMode,
    report: ProgressReporter,
) -> Tensor:
    """Return the diffusion latent: one mean over the time of all chunks, (1, 2 c)."""
    device = decoder.unconditioned_embedding.device
    mels: list[Tensor] = []
    for of_clip in report.track(pieces, "listening"):
        latents = [vocoder_mel(piece.to(device)) for piece in of_clip]
        mels += [torch.stack(latents).mean(0)] if crop == "clip_mean" else latents
    return decoder.get_conditioning(mels)


def encode_cvvp_conditioning(cvvp: Cvvp, pieces: Sequence[Tensor], norms: Tensor) -> Tensor:
    """Return the mean of the unit CVVP latents of the chunks: (1, e)."""
    latents = [cvvp.encode_voice(gpt_mel(piece.to(norms.device), norms)) for piece in pieces]
    return F.normalize(torch.cat(latents).float(), dim=-1).mean(0, keepdim=True)


@lru_cache(maxsize=2)
def load_vector_encoder(name: str, stamp: int = 0) -> Encoder:
    """Load an encoder by its name or path.  Raises EncoderFileError for none.

    stamp: time of a file's last change, so that another file of the same path is loaded.
    """
    return load_encoder(name)


def load_codec_encoder(folder: Path, name: str) -> Encoder:
    """Load the encoder that the config of a codec names, or a file of the model's folder.

    Raises EncoderFileError for none.
    """
    own = folder / name
    if name != Path(name).name or not own.is_file():
        return load_vector_encoder(name)
    return load_vector_encoder(str(own), own.stat().st_mtime_ns)


def embed_windows(encoder: Encoder, clip: Clip) -> Tensor:
    """Return one vector of unit length for each window of the speech: (k, s)."""
    wave = clip.resample(encoder.feature_config.sample_rate).wave.float()
    wave = wave * (SPEECH_RMS / wave.square().mean().sqrt().clamp(min=1e-8))
    prepared = encoder.prepare_wave(wave.clamp(-1, 1).numpy())
    return torch.from_numpy(encoder.embed_partials(prepared).embeddings)


def embed_speaker(encoder: Encoder, clips: Sequence[Clip]) -> Tensor:
    """Return the mean direction of all windows of clips of one speaker: (s,)."""
    if not clips:
        raise ValueError("A voice needs at least one clip.")
    return F.normalize(torch.cat([embed_windows(encoder, clip) for clip in clips]).mean(0), dim=0)


def to_unit_vector(drawn: Tensor) -> Tensor:
    """Return the speaker vectors nearest to drawn ones: none negative, of unit length; (b, s)."""
    return F.normalize(drawn.relu(), dim=-1)


def _sample_offset(gap: int, generator: torch.Generator) -> int:
    return int(torch.randint(gap + 1, (1,), generator=generator)) if gap > 0 else 0
