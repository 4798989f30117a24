"""Sample the examples of a step, and reference clips of the same voice.

Everything follows from the seed and the step, so a resumed run draws the same.
Shapes: b rows, k clips, c mel bands, f mel frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from training.finetuning.dataset import TrainingExample

MelField = Literal["gpt_mel", "vocoder_mel"]

MAX_REFERENCE_CLIPS = 4
"""Maximum of reference clips of a step; inference uses all clips of the voice."""
MIN_REFERENCE_FRAMES = 100
"""Mel frames of a reference clip: a little over one second."""


def sample_batch_indices(
    clips: Sequence[TrainingExample], count: int, step: int, seed: int
) -> list[int]:
    """Return `count` indices into `clips`, sorted by length; each clip comes once an epoch."""
    rows: list[int] = []
    drawn = step * count
    while len(rows) < count:
        epoch, position = divmod(drawn + len(rows), len(clips))
        order = torch.randperm(len(clips), generator=_seeded_generator(seed, epoch, 1)).tolist()
        rows += order[position : position + count - len(rows)]
    return sorted(rows, key=lambda row: len(clips[row].codes))


def create_step_generator(seed: int, step: int) -> torch.Generator:
    """Return the generator of all other random numbers of a step."""
    return _seeded_generator(seed, step, 2)


def sample_reference_sets(
    clips: Sequence[TrainingExample], rows: Sequence[int], generator: torch.Generator
) -> tuple[list[list[int]], Tensor]:
    """Sample two sets of reference clips, and for each row the one without its own clip.

    At inference the references are other clips than the one that is synthesized.
    Returns both sets, of equal size, and (b,) 0 or 1.
    """
    if len(clips) == 1:
        return [[0], [0]], torch.zeros(len(rows), dtype=torch.long)
    limit = min(MAX_REFERENCE_CLIPS, len(clips) // 2)
    size = int(torch.randint(1, limit + 1, (1,), generator=generator))
    order = torch.randperm(len(clips), generator=generator).tolist()
    first, second = order[:size], order[size : 2 * size]
    return [first, second], torch.tensor([int(row in first) for row in rows])


def sample_code_windows(
    clips: Sequence[TrainingExample], longest: int, generator: torch.Generator
) -> tuple[int, list[int]]:
    """Sample a window of each clip: their length in codes, and the first code of each."""
    length = min(longest, min(len(clip.codes) for clip in clips))
    spare = torch.tensor([len(clip.codes) - length for clip in clips])
    starts = (torch.rand(len(clips), generator=generator) * (spare + 1)).long().tolist()
    return length, starts


def crop_reference_mels(
    mels: Sequence[Sequence[Tensor]], longest: int, generator: torch.Generator
) -> Tensor:
    """Cut an equally long window from each clip of each set.

    mels: (f, c) log-mels, sets of k.  longest: frames.  Returns (sets, k, c, f) float32.
    """
    shortest = min(len(mel) for clips in mels for mel in clips)
    low = min(MIN_REFERENCE_FRAMES, longest)
    frames = min(shortest, int(torch.randint(low, longest + 1, (1,), generator=generator)))
    return torch.stack(
        [torch.stack([_random_crop(mel, frames, generator) for mel in clips]) for clips in mels]
    )


def _random_crop(mel: Tensor, frames: int, generator: torch.Generator) -> Tensor:
    start = int(torch.randint(len(mel) - frames + 1, (1,), generator=generator))
    return mel[start : start + frames].float().T


def _seeded_generator(seed: int, number: int, purpose: int) -> torch.Generator:
    return torch.Generator().manual_seed((seed * 1_000_003 + number * 7 + purpose) % 2**63)


def get_mels(
    clips: Sequence[TrainingExample], sets: Sequence[Sequence[int]], kind: MelField
) -> list[list[Tensor]]:
    """Return the mels of sets of clips, (f, c) each."""
    return [[getattr(clips[row], kind) for row in rows] for rows in sets]
