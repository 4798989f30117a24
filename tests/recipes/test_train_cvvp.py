"""CVVP's training brings voices and their speech together, and an interruption leaves no trace."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from core.progress import ProgressEvent, ProgressReporter
from recipes.data.codes import TokenizedClip
from recipes.train_cvvp import (
    CvvpRecipe,
    compute_retrieval_accuracy,
    crop_codes,
    sample_speakers,
    train_cvvp,
)
from tortoise.modules.cvvp import CvvpConfig

SPEAKERS = 12
NORMS = -torch.ones(8)
ARCHITECTURE = CvvpConfig(mel_bands=8, codes=24, dim=16, heads=1, voice_depth=1, speech_depth=1)
RECIPE = CvvpRecipe(
    architecture=ARCHITECTURE, steps=6, batch=6, rate=3e-3, warm_up=3,
    voice_frames=(12, 24), speech_codes=(4, 8),
)  # fmt: skip


class ToyCorpus:
    """Each speaker has a spectrum and two favourite codes; the same duties as SpokenCorpus."""

    def __init__(self, clips: int, seed: int) -> None:
        self.spectra = torch.randn(SPEAKERS, 8, generator=torch.Generator().manual_seed(99))
        generator = torch.Generator().manual_seed(seed)
        self.clips: list[TokenizedClip] = []
        self.by_speaker: dict[int, list[int]] = defaultdict(list)
        for index in range(clips):
            speaker = index % SPEAKERS
            codes = 2 * speaker + torch.randint(2, (30,), generator=generator)
            self.by_speaker[speaker].append(index)
            self.clips.append(
                TokenizedClip(text=torch.zeros(1), codes=codes.short(), speaker=speaker)
            )

    def __len__(self) -> int:
        return len(self.clips)

    def sample_speaker_mels(
        self, chosen: Sequence[int], frames: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        speakers = sorted({self.clips[index].speaker for index in chosen})
        noise = torch.randn(len(speakers), 8, frames, generator=generator)
        which = torch.tensor([speakers.index(self.clips[index].speaker) for index in chosen])
        return self.spectra[speakers].unsqueeze(-1) + 0.3 * noise, which


def train(recipe: CvvpRecipe, folder: Path, report: ProgressReporter) -> torch.nn.Module:
    corpus, held_out = ToyCorpus(60, 1), ToyCorpus(24, 2)
    return train_cvvp(recipe, corpus, held_out, NORMS, folder, report)  # type: ignore[arg-type]


def test_an_interrupted_run_ends_exactly_like_one_that_was_not(tmp_path: Path) -> None:
    whole = train(RECIPE, tmp_path / "whole", ProgressReporter())

    def stop_after_three(event: ProgressEvent) -> None:
        if event.done == 3:
            (tmp_path / "cut" / "stop").touch()

    train(RECIPE, tmp_path / "cut", ProgressReporter(stop_after_three))
    (tmp_path / "cut" / "stop").unlink()
    begun = torch.load(tmp_path / "cut" / "state.pt", weights_only=True)["step"]
    assert 0 < begun < RECIPE.steps
    resumed = train(RECIPE, tmp_path / "cut", ProgressReporter())
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_training_teaches_voices_to_find_their_speech(tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=50, batch=8, rate=5e-3)
    model = train(recipe, tmp_path, ProgressReporter())
    found = compute_retrieval_accuracy(model, recipe, ToyCorpus(24, 3), NORMS)  # type: ignore[arg-type]
    assert found > 0.5  # chance is 0.125
    diary = [json.loads(line) for line in (tmp_path / "events.jsonl").open()]
    assert diary[-1]["loss"] < 0.7 * math.log(8)  # of a guess


def test_a_batch_holds_nobody_twice() -> None:
    corpus = ToyCorpus(60, 1)
    chosen = sample_speakers(corpus, 8, torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    assert len({corpus.clips[index].speaker for index in chosen}) == len(chosen) == 8


def test_fewer_speakers_than_a_batch_make_a_smaller_one() -> None:
    corpus = ToyCorpus(60, 1)
    assert len(sample_speakers(corpus, 50, torch.Generator().manual_seed(0))) == 12  # type: ignore[arg-type]


def test_a_short_clip_is_repeated_and_a_long_one_cut() -> None:
    clip = TokenizedClip(text=torch.zeros(1), codes=torch.arange(10).short(), speaker=0)
    generator = torch.Generator().manual_seed(0)
    assert crop_codes(clip, 25, generator).tolist() == [*range(10), *range(10), *range(5)]
    cut = crop_codes(clip, 4, generator)
    assert cut.tolist() == list(range(int(cut[0]), int(cut[0]) + 4))
