"""From codes to the mel of the vocoder: the diffusion network, or the decoder of a speaker codec.

Shapes: m codes, d width of the GPT, f mel frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from audio.mel import VOCODER_MEL
from tortoise.checkpoints.config import ModelConventions
from tortoise.generation.model_offload import ModelManager
from tortoise.generation.options import TortoiseOptions
from tortoise.generation.pipeline import ConditioningLatents, generate_mel
from tortoise.generation.text_plan import TextPlan

CHANGE_FRAMES = 7  # over which the change of a mel is smoothed, 75 ms
CHANGE_RANGE = 0.3, 2.5  # times the mean change; beyond it a frame counts as one at the limit
CHANGE_POWER = 0.5
SHORTEST_FRAME = 0.2  # of its duration, in a compressed mel; none becomes longer
BALANCING_STEPS = 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drafts:
    """The chosen candidates: index among the samples, codes (m,), latents (1, m, d) of each.

    plan: of the text, the same for all.
    """

    indices: Sequence[int]
    codes: Sequence[Tensor]
    latents: Sequence[Tensor]
    plan: TextPlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipPace:
    """How a clip differs from the pace at which its codes speak.

    speed: by which its wave was played faster. starts: (f + 1,) on the CPU, the frame at which each
    frame of the decoded mel begins; None where the mel was not compressed.
    """

    speed: float = 1.0
    starts: Tensor | None = None

    def find_time(self, spoken_s: float) -> float:
        """Return when the clip has what the codes speak at a time."""
        if self.starts is None:
            return spoken_s / self.speed
        rate = VOCODER_MEL.sample_rate / VOCODER_MEL.hop
        frames = np.arange(len(self.starts))
        return float(np.interp(spoken_s * rate, frames, self.starts.numpy())) / rate


def decode_mels(
    manager: ModelManager,
    drafts: Drafts,
    voice: ConditioningLatents,
    options: TortoiseOptions,
    conventions: ModelConventions,
) -> list[Tensor]:
    """Return the log-mel of each draft, (1, bands, f).

    A voice with a speaker vector is decoded by the codec, any other by the diffusion network.
    """
    if voice.speaker is not None:
        with manager.use("dvae") as codec, manager.report.stage("decode"):
            rows = [row.to(voice.speaker.device)[None] for row in drafts.codes]
            phones = None if drafts.plan is None else drafts.plan.phones
            told = None if phones is None else phones[None]
            return [codec.decode(row, voice.speaker, told) for row in rows]
    most = conventions.most_iterations
    with manager.use("diffusion") as decoder:
        return [
            generate_mel(decoder, voice, latent, index, options, manager.report, most)
            for index, latent in zip(drafts.indices, drafts.latents, strict=True)
        ]


def compress_mel(mel: Tensor, speed: float) -> tuple[Tensor, Tensor]:
    """Make speech faster: (1, bands, f) to (1, bands, round(f / speed)); speed: at least 1.

    As people do, it shortens vowels and pauses, where the mel changes little, more than what is
    between them. Also returns at which frame of the result each frame begins, with a fraction:
    (f + 1,).
    """
    frames = max(1, round(mel.shape[-1] / speed))
    change = F.pad((mel[..., 1:] - mel[..., :-1]).abs().mean(1, keepdim=True), (1, 0))
    window = torch.hann_window(CHANGE_FRAMES + 2, periodic=False)[1:-1].to(mel)
    padded = F.pad(change, (CHANGE_FRAMES // 2, CHANGE_FRAMES // 2), mode="replicate")
    change = F.conv1d(padded, window[None, None] / window.sum())[0, 0]
    kept = (change / change.mean().clamp(min=1e-6)).clamp(*CHANGE_RANGE) ** CHANGE_POWER
    for _ in range(BALANCING_STEPS):
        kept = kept * (frames / kept.sum())
        kept = kept.clamp(SHORTEST_FRAME, 1.0)
    kept = kept * (frames / kept.sum())
    starts = F.pad(kept.cumsum(0), (1, 0))
    middles = torch.arange(frames, device=mel.device) + 0.5
    source = (torch.searchsorted(starts, middles) - 1).clamp(0, len(kept) - 1)
    places = source + (middles - starts[source]) / kept[source] - 0.5
    before = places.floor().clamp(0, len(kept) - 1).long()
    after = (before + 1).clamp(max=len(kept) - 1)
    share = (places - before).clamp(0, 1)
    return mel[..., before] * (1 - share) + mel[..., after] * share, starts
