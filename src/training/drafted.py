"""Drafts of the finished GPT for texts of the corpus: what CLVP must choose among in earnest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from jobs.report import Reporter
from tortoise.decode import SamplingOptions, sample_codes
from tortoise.gpt import Gpt
from training.codes import SpokenCorpus
from training.recipe_gpt import draw_voice_frames
from training.run import generator_for

TEXTS_A_FILE = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftsRecipe:
    """How many texts are drafted, and how."""

    texts: int = 800
    options: SamplingOptions = field(
        default_factory=lambda: SamplingOptions(
            samples=8, max_codes=200, temperature=0.7, top_p=0.9, repetition_penalty=1.1
        )
    )
    seed: int = 6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drafted:
    """One text and its drafts: ids (t,) without the stop, codes (m,) each."""

    text: Tensor
    rows: tuple[Tensor, ...]


def write_drafts(
    recipe: DraftsRecipe,
    corpus: SpokenCorpus,
    gpt: Gpt,
    norms: Tensor,
    folder: Path,
    report: Reporter,
) -> None:
    """Draft texts of the corpus in their own voices; goes on where it stopped.

    norms: (80,) what each mel band is divided by.
    """
    folder.mkdir(parents=True, exist_ok=True)
    order = torch.randperm(len(corpus), generator=generator_for(recipe.seed, 0)).tolist()
    chosen = order[: recipe.texts]
    for first in report.track(range(0, len(chosen), TEXTS_A_FILE), "drafts"):
        path = folder / f"{first:05d}.pt"
        if not path.exists():
            some = chosen[first : first + TEXTS_A_FILE]
            found = [_draft(recipe, corpus, index, gpt, norms) for index in some]
            beside = path.with_suffix(".part")
            torch.save([(one.text, one.rows) for one in found], beside)
            beside.replace(path)


@torch.inference_mode()
def _draft(
    recipe: DraftsRecipe, corpus: SpokenCorpus, index: int, gpt: Gpt, norms: Tensor
) -> Drafted:
    generator = generator_for(recipe.seed, 1 + index)
    mels, _ = corpus.voices([index], draw_voice_frames(generator), generator)
    conditioning = gpt.condition(mels / norms.unsqueeze(-1))
    text = corpus.clips[index].text
    ids = functional.pad(text.long(), (0, 1))[None]
    drafts = sample_codes(gpt, conditioning, ids, recipe.options, generator, Reporter())
    rows = tuple(draft.codes.short() for draft in drafts if len(draft.codes))
    return Drafted(text=text, rows=rows)


def read_drafts(folder: Path) -> list[Drafted]:
    """All texts of which there are at least two drafts."""
    pairs: list[tuple[Tensor, Sequence[Tensor]]] = []
    for path in sorted(folder.glob("*.pt")):
        pairs += torch.load(path, weights_only=True)
    return [Drafted(text=text, rows=tuple(rows)) for text, rows in pairs if len(rows) > 1]
