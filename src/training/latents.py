"""What the finished GPT means by every clip of a corpus, computed once and mapped from disk.

`features/latents/0007.npy` holds the latents of shard 0007, one row a code, clip after clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jobs.report import Reporter
from tortoise.gpt import Gpt
from tortoise.gpt_losses import packed_latents
from training.codes import SpokenCorpus
from training.corpus.reader import Row
from training.features import save_array, shards_without
from training.recipe_gpt import draw_voice_frames, gpt_batch
from training.run import generator_for

BATCH = 25
SEED = 77


@torch.inference_mode()
def write_latents(
    corpus: Path, rows: Sequence[Row], gpt: Gpt, norms: Tensor, report: Reporter
) -> None:
    """Write the latents of every shard that has none yet; float16 (m, l) of true codes.

    norms: (80,) what each mel band is divided by.
    """
    folder = corpus / "features" / "latents"
    for group in report.track(shards_without(folder, ".npy", rows), "latents"):
        shard = group[0].shard
        means = _meant(gpt, SpokenCorpus(corpus, group), norms, seed=SEED + int(Path(shard).stem))
        save_array(folder / shard, np.concatenate(means))


def _meant(gpt: Gpt, corpus: SpokenCorpus, norms: Tensor, seed: int) -> list[np.ndarray]:
    """The latents of every clip (m, l), each with a stretch of its speaker as the reference."""
    clips = corpus.clips
    order = sorted(range(len(clips)), key=lambda i: len(clips[i].codes) + len(clips[i].text))
    found: dict[int, np.ndarray] = {}
    for first in range(0, len(order), BATCH):
        chosen = order[first : first + BATCH]
        generator = generator_for(seed, first)
        mels, which = corpus.voices(chosen, draw_voice_frames(generator), generator)
        with torch.autocast("cpu", torch.bfloat16):
            conditioning = gpt.condition(mels / norms.unsqueeze(-1))[which]
            latents = packed_latents(gpt, conditioning, gpt_batch(corpus, chosen)).half()
        for index, row in zip(chosen, latents, strict=True):
            found[index] = row[: len(clips[index].codes)].numpy()
    return [found[index] for index in range(len(clips))]


class Latents:
    """The latents of some clips: `latents[i]` is (m, l) of rows[i], as long as its codes."""

    def __init__(self, corpus: Path, rows: Sequence[Row], clips: SpokenCorpus) -> None:
        self._places: list[tuple[np.ndarray, int, int]] = []
        lengths = iter([len(clip.codes) for clip in clips.clips])
        for shard, group in groupby(rows, key=lambda row: row.shard):
            held = np.load(corpus / "features" / "latents" / shard, mmap_mode="r")
            start = 0
            for _ in group:
                length = next(lengths)
                self._places.append((held, start, length))
                start += length

    def __getitem__(self, index: int) -> Tensor:
        held, start, length = self._places[index]
        return torch.from_numpy(held[start : start + length].astype(np.float32))
