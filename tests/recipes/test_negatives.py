"""Spoiled text and codes are near the truth and never the truth itself."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recipes.data.negatives import (
    TEXT_CORRUPTIONS,
    WORD_BOUNDARY_TOKEN,
    corrupt_codes,
    corrupt_text,
    join_words,
    split_words,
)

words = st.lists(st.lists(st.integers(3, 40), min_size=1, max_size=6), min_size=1, max_size=8)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(words)
def test_words_come_back_from_ids(said: list[list[int]]) -> None:
    assert split_words(join_words(said)) == said


@settings(max_examples=60, deadline=None)
@given(words, words, st.integers(0, 2**31))
def test_spoiled_text_differs_and_keeps_to_words(
    said: list[list[int]], foreign: list[list[int]], seed: int
) -> None:
    text, other = join_words(said), join_words(foreign)
    spoiled = corrupt_text(text, other, seeded(seed))
    assert len(spoiled) and not torch.equal(spoiled, text)
    assert set(spoiled.tolist()) <= {*text.tolist(), *other.tolist(), WORD_BOUNDARY_TOKEN}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 120), st.integers(0, 2**31))
def test_spoiled_codes_differ_and_come_from_the_clip(m: int, seed: int) -> None:
    codes = torch.arange(100, 100 + m)
    spoiled = corrupt_codes(codes, seeded(seed))
    assert len(spoiled) and not torch.equal(spoiled, codes)
    assert set(spoiled.tolist()) <= set(codes.tolist())


@pytest.mark.parametrize("fault", TEXT_CORRUPTIONS, ids=lambda fault: fault.__name__)
def test_each_fault_leaves_its_input_alone(fault: object) -> None:
    said, foreign = [[5, 6], [7], [8, 9, 10]], [[11, 12], [13]]
    fault(said, foreign, seeded(1))  # type: ignore[operator]
    assert said == [[5, 6], [7], [8, 9, 10]] and foreign == [[11, 12], [13]]


def test_a_clip_is_spoiled_in_many_ways() -> None:
    codes = torch.arange(60)
    lengths = {len(corrupt_codes(codes, seeded(seed))) for seed in range(40)}
    assert min(lengths) < 60 < max(lengths) and 60 in lengths


def test_the_same_generator_spoils_alike() -> None:
    text, codes = torch.tensor([5, 6, 2, 7, 2, 8]), torch.arange(30)

    def spoil() -> tuple[Tensor, Tensor]:
        generator = seeded(3)
        return corrupt_text(text, text, generator), corrupt_codes(codes, generator)

    assert all(torch.equal(one, other) for one, other in zip(spoil(), spoil(), strict=True))
