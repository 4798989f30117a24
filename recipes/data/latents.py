"""Latents of the finished GPT for every clip of a corpus, computed once and memory-mapped.

`features/latents/0007.npy` holds the latents of shard 0007, one row a code, clip after clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.progress import ProgressReporter
from recipes.corpus.reader import CorpusRow
from recipes.data.codes import TokenizedCorpus
from recipes.data.features import find_missing_shards, save_array
from recipes.data.negatives import random_int
from recipes.loop import make_step_generator
from tortoise.modules.gpt import Gpt
from training.finetuning.optim.gpt_loss import collate_clips, compute_packed_latents

REFERENCE_FRAMES = (100, 260)  # 1.2 to 3 s

BATCH_SIZE = 25
SEED = 77


@torch.inference_mode()
def write_latents(
    corpus: Path, rows: Sequence[CorpusRow], gpt: Gpt, norms: Tensor, report: ProgressReporter
) -> None:
    """Compute the missing latents of true codes; float16 (m, l).

    norms: (80,) of the mel bands.
    """
    folder = corpus / "features" / "latents"
    for group in report.track(find_missing_shards(folder, ".npy", rows), "latents"):
        shard = group[0].shard
        latents = _compute_latents(
            gpt, TokenizedCorpus(corpus, group), norms, seed=SEED + int(Path(shard).stem)
        )
        save_array(folder / shard, np.concatenate(latents))


def _compute_latents(
    gpt: Gpt, corpus: TokenizedCorpus, norms: Tensor, seed: int
) -> list[np.ndarray]:
    """Compute the latents of every clip (m, l), with a reference of its speaker."""
    clips = corpus.clips
    order = sorted(range(len(clips)), key=lambda i: len(clips[i].codes) + len(clips[i].text))
    found: dict[int, np.ndarray] = {}
    for first in range(0, len(order), BATCH_SIZE):
        chosen = order[first : first + BATCH_SIZE]
        generator = make_step_generator(seed, first)
        mels, which = corpus.sample_speaker_mels(
            chosen, sample_reference_length(generator), generator
        )
        with torch.autocast("cpu", torch.bfloat16):
            conditioning = gpt.condition(mels / norms.unsqueeze(-1))[which]
            latents = compute_packed_latents(
                gpt, conditioning, collate_clips([clips[index] for index in chosen])
            ).half()
        for index, row in zip(chosen, latents, strict=True):
            found[index] = row[: len(clips[index].codes)].numpy()
    return [found[index] for index in range(len(clips))]


class GptLatents:
    """The latents of some clips: `latents[i]` is (m, l) of rows[i], as long as its codes."""

    def __init__(self, corpus: Path, rows: Sequence[CorpusRow], clips: TokenizedCorpus) -> None:
        self._slices: list[tuple[np.ndarray, int, int]] = []
        lengths = iter([len(clip.codes) for clip in clips.clips])
        for shard, group in groupby(rows, key=lambda row: row.shard):
            latents = np.load(corpus / "features" / "latents" / shard, mmap_mode="r")
            start = 0
            for _ in group:
                length = next(lengths)
                self._slices.append((latents, start, length))
                start += length

    def __getitem__(self, index: int) -> Tensor:
        latents, start, length = self._slices[index]
        return torch.from_numpy(latents[start : start + length].astype(np.float32))


def sample_reference_length(generator: torch.Generator) -> int:
    """Draw a number of reference frames."""
    return random_int(*REFERENCE_FRAMES, generator)
