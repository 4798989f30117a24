"""What the networks hear of a voice: its clips cut into pieces, and one latent from all of them.

Shapes: n samples, d width of the GPT, c width of the diffusion network, e width of CVVP's space.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from jobs.report import Reporter
from speech.clip import Clip
from speech.mel import gpt_mel, resample, vocoder_mel
from tortoise.config import Conventions
from tortoise.cvvp import Cvvp
from tortoise.diffusion_decoder import DiffusionDecoder
from tortoise.gpt import Gpt

Crop = Literal["whole", "original", "chunks", "clip_mean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """What is heard of the clips.

    whole: everything, in pieces of equal length no longer than the networks were trained with (or
    `chunk_s`). The others follow the original for the GPT, 6 s of each clip at a random place,
    shorter ones padded; for the diffusion network: original: the first 4.3 s of each clip; chunks:
    every started 4.3 s of all clips; clip_mean: the same, averaged for each clip first.
    """

    crop: Crop = "whole"
    chunk_s: float = 0.0


def gpt_pieces(clips: Sequence[Clip], hearing: Hearing, conventions: Conventions) -> list[Tensor]:
    """The waves that the GPT and CVVP hear, (n,) each at their rate."""
    rate, size = conventions.gpt_rate, conventions.gpt_clip_samples
    waves = [clip.resampled(rate).wave for clip in clips]
    if hearing.crop == "whole":
        largest = round(hearing.chunk_s * rate) or size
        return [piece for wave in waves for piece in equal_pieces(wave, largest)]
    places = torch.Generator().manual_seed(0)  # the same clips give the same voice
    return [window(wave, size, _place(len(wave) - size, places)) for wave in waves]


def diffusion_pieces(
    clips: Sequence[Clip], hearing: Hearing, conventions: Conventions
) -> list[list[Tensor]]:
    """The waves that the diffusion network hears, (n,) each at its rate, for every clip."""
    size = conventions.diffusion_clip_samples
    if hearing.crop == "whole":
        largest = round(hearing.chunk_s * conventions.sample_rate) or size
        waves = [clip.resampled(conventions.sample_rate).wave for clip in clips]
        return [equal_pieces(wave, largest) for wave in waves]
    through = [clip.resampled(conventions.gpt_rate).wave for clip in clips]  # as the original
    waves = [resample(wave, conventions.gpt_rate, conventions.sample_rate) for wave in through]
    if hearing.crop == "original":
        return [[window(wave, size)] for wave in waves]
    return [
        [window(wave, size, start) for start in range(0, max(len(wave), 1), size)] for wave in waves
    ]


def equal_pieces(wave: Tensor, largest: int) -> list[Tensor]:
    """Cut a wave (n,) into as few pieces of nearly equal length as `largest` allows."""
    count = max(1, math.ceil(len(wave) / largest))
    return list(wave.tensor_split(count))


def window(wave: Tensor, size: int, start: int = 0) -> Tensor:
    """The samples from `start` on, filled up with silence: (size,)."""
    piece = wave[start : start + size]
    return F.pad(piece, (0, size - len(piece)))


def hear_for_gpt(gpt: Gpt, pieces: Sequence[Tensor], norms: Tensor, report: Reporter) -> Tensor:
    """Mean of what the GPT hears in the pieces, longer ones counting for more: (1, d)."""
    device = norms.device
    heard = [
        gpt.condition(gpt_mel(piece.to(device), norms)) * len(piece)
        for piece in report.track(pieces, "listening")
    ]
    return torch.stack(heard).sum(0) / sum(len(piece) for piece in pieces)


def hear_for_diffusion(
    decoder: DiffusionDecoder, pieces: Sequence[Sequence[Tensor]], crop: Crop, report: Reporter
) -> Tensor:
    """What the diffusion network hears: one mean over the time of all pieces, (1, 2 c)."""
    device = decoder.unconditioned_embedding.device
    mels: list[Tensor] = []
    for of_clip in report.track(pieces, "listening"):
        heard = [vocoder_mel(piece.to(device)) for piece in of_clip]
        mels += [torch.stack(heard).mean(0)] if crop == "clip_mean" else heard
    return decoder.get_conditioning(mels)


def hear_for_cvvp(cvvp: Cvvp, pieces: Sequence[Tensor], norms: Tensor) -> Tensor:
    """Mean of the unit latents of the pieces, which ranks as the mean of their scores: (1, e)."""
    heard = [cvvp.encode_voice(gpt_mel(piece.to(norms.device), norms)) for piece in pieces]
    return F.normalize(torch.cat(heard).float(), dim=-1).mean(0, keepdim=True)


def _place(gap: int, generator: torch.Generator) -> int:
    return int(torch.randint(gap + 1, (1,), generator=generator)) if gap > 0 else 0
