"""CLVP's training puts true codes first, and an interruption leaves no trace."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.progress import ProgressEvent, ProgressReporter
from recipes.data.codes import TokenizedClip
from recipes.train_clvp import (
    ClvpRecipe,
    compute_ranking_accuracy,
    draw_batch,
    pad_and_mask,
    train_clvp,
)
from tortoise.modules.clvp import ClvpConfig

ARCHITECTURE = ClvpConfig(
    text_tokens=24, codes=48, text_dim=32, speech_dim=32, latent_dim=48,
    text_depth=1, speech_depth=1, text_heads=1, speech_heads=1, spells=True,
)  # fmt: skip
RECIPE = ClvpRecipe(
    architecture=ARCHITECTURE, steps=6, batch=6, num_negatives=1, rate=3e-3, warm_up=3
)


def speak(count: int, seed: int) -> list[TokenizedClip]:
    """A language in which each of 20 sounds is two codes long, and a pause is one."""
    generator = torch.Generator().manual_seed(seed)
    clips = []
    for _ in range(count):
        lengths = torch.randint(1, 4, (int(torch.randint(2, 5, (1,), generator=generator)),),
                                generator=generator)  # fmt: skip
        words = [torch.randint(3, 23, (int(n),), generator=generator) for n in lengths]
        text = torch.cat([torch.cat([torch.tensor([2]), word]) for word in words])[1:]
        codes = torch.cat(
            [torch.tensor([0] if s == 2 else [2 * s, 2 * s + 1]) for s in text.tolist()]
        )
        clips.append(TokenizedClip(text=text.short(), codes=codes.short(), speaker=0))
    return clips


def lengths_of(clips: list[TokenizedClip]) -> torch.Tensor:
    return torch.tensor([len(clip.codes) for clip in clips])


def test_an_interrupted_run_ends_exactly_like_one_that_was_not(tmp_path: Path) -> None:
    clips = speak(20, 0)
    whole = train_clvp(RECIPE, clips, [], tmp_path / "whole", ProgressReporter())

    def stop_after_three(event: ProgressEvent) -> None:
        if event.done == 3:
            (tmp_path / "cut" / "stop").touch()

    train_clvp(RECIPE, clips, [], tmp_path / "cut", ProgressReporter(stop_after_three))
    (tmp_path / "cut" / "stop").unlink()
    begun = torch.load(tmp_path / "cut" / "state.pt", weights_only=True)["step"]
    assert 0 < begun < RECIPE.steps
    resumed = train_clvp(RECIPE, clips, [], tmp_path / "cut", ProgressReporter())
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_a_stop_before_the_first_step_trains_nothing(tmp_path: Path) -> None:
    (tmp_path / "stop").touch()
    train_clvp(RECIPE, speak(20, 0), [], tmp_path, ProgressReporter())
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 0


def test_the_global_generator_is_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    train_clvp(replace(RECIPE, steps=1), speak(20, 0), [], tmp_path, ProgressReporter())
    assert torch.equal(torch.get_rng_state(), before)


def test_training_puts_true_codes_before_spoiled_ones(tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=50, batch=12, rate=5e-3)
    clips, held_out = speak(300, 1), speak(30, 2)
    model = train_clvp(recipe, clips, held_out, tmp_path, ProgressReporter())
    share = compute_ranking_accuracy(model, held_out, torch.Generator().manual_seed(0), rivals=3)
    assert share > 0.65  # chance is 0.5
    losses = [json.loads(line)["loss"] for line in (tmp_path / "events.jsonl").open()]
    assert losses[-1] < 0.5 * math.log(24)  # of a guess among 12 clips and 12 spoiled ones


def test_a_batch_holds_clips_of_like_length_and_their_spoiled_versions() -> None:
    clips = speak(200, 3)
    batch = draw_batch(RECIPE, clips, lengths_of(clips), torch.Generator().manual_seed(0))
    assert batch.text.shape[0] == batch.codes.shape[0] == 12
    assert batch.text_mask.shape == batch.text.shape and batch.codes_mask.shape == batch.codes.shape
    true_lengths = (batch.codes[:6] != 0).sum(1)
    assert true_lengths.max() - true_lengths.min() <= 6


def test_clips_that_say_the_same_are_no_rivals() -> None:
    clip = speak(1, 4)[0]
    clips = [clip, clip, *speak(4, 5)]
    batch = draw_batch(RECIPE, clips, lengths_of(clips), torch.Generator().manual_seed(0))
    assert batch.same_text.sum() == 2
    assert not batch.same_text.diagonal().any() and not batch.same_text[:, 6:].any()


def test_padding_marks_what_is_real() -> None:
    padded, mask = pad_and_mask([torch.tensor([7, 8, 9]), torch.tensor([5])])
    assert padded.tolist() == [[7, 8, 9], [5, 0, 0]]
    assert mask.tolist() == [[True, True, True], [True, False, False]]


def test_fewer_clips_than_a_batch_are_enough(tmp_path: Path) -> None:
    train_clvp(replace(RECIPE, steps=1), speak(3, 6), [], tmp_path, ProgressReporter())


def test_the_speech_half_learns_to_spell(tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=50, batch=12, rate=5e-3)
    train_clvp(recipe, speak(300, 1), [], tmp_path, ProgressReporter())
    spelled = [json.loads(line)["spelling"] for line in (tmp_path / "events.jsonl").open()]
    assert spelled[-1] < 0.75 * math.log(20)  # of a guess among all sounds


def test_what_is_spelled_has_no_boundaries_and_no_stop() -> None:
    clips = speak(20, 8)
    batch = draw_batch(RECIPE, clips, lengths_of(clips), torch.Generator().manual_seed(0))
    assert len(batch.symbols) == len(batch.lengths) == 6
    assert all((symbols > 2).all() for symbols in batch.symbols)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_some_of_every_row_stays_in_sight(share: float) -> None:
    clips = speak(20, 7)
    recipe = replace(RECIPE, hidden=share)
    batch = draw_batch(recipe, clips, lengths_of(clips), torch.Generator().manual_seed(0))
    assert batch.text_mask.any(1).all() and batch.codes_mask.any(1).all()
