"""The best way through a table of text against time, and heads that read along."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tortoise.generation.forced_alignment import (
    align_by_attention,
    compute_path_scores,
    find_phone_path,
    find_viterbi_path,
)


def readers(m: int, t: int, heads: int, reading: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Attention of which only some heads follow the text, and where they really are: (m,)."""
    generator = torch.Generator().manual_seed(1)
    # speech dwells on some tokens and hurries over others
    pace = torch.rand(t, generator=generator) + 0.2
    ends = pace.cumsum(0) / pace.sum() * m
    truth = torch.searchsorted(ends, torch.arange(m) + 0.5).clamp_max(t - 1)
    attention = torch.rand(heads, m, t, generator=generator)
    for head in reading:
        attention[head, torch.arange(m), truth] += 0.5 * t
    return attention, truth


def test_heads_that_read_along_are_found_among_those_that_do_not() -> None:
    attention, truth = readers(m=120, t=50, heads=12, reading=(3, 7))
    alignment = align_by_attention(attention)
    assert float((alignment.frame_tokens - truth).abs().float().mean()) < 0.2


def test_the_way_never_goes_back() -> None:
    attention, _ = readers(m=90, t=60, heads=4, reading=(0,))
    steps = align_by_attention(attention).frame_tokens.diff()
    assert int(steps.min()) >= 0


def test_text_read_backwards_is_not_trusted() -> None:
    attention, _ = readers(m=100, t=40, heads=8, reading=(2,))
    assert align_by_attention(attention.flip(-1)).confidence < 0.2


def test_where_no_head_reads_along_trust_is_low() -> None:
    reading, _ = readers(m=100, t=40, heads=8, reading=(2,))
    guessing, _ = readers(m=100, t=40, heads=8, reading=())
    assert align_by_attention(guessing).confidence < 0.2
    assert align_by_attention(reading).confidence > 0.6


def test_more_text_than_time_allows_is_not_trusted() -> None:
    attention, _ = readers(m=5, t=60, heads=2, reading=(0,))
    assert align_by_attention(attention).confidence == 0


def test_a_token_that_is_never_dwelt_on_is_passed() -> None:
    table = torch.zeros(4, 6)
    table[torch.arange(4), torch.tensor([0, 1, 4, 5])] = 1
    assert find_viterbi_path(table).tolist() == [0, 1, 4, 5]
    assert compute_path_scores(table[None]).tolist() == pytest.approx([1])


def test_the_first_frame_of_a_token_is_where_it_or_a_later_one_begins() -> None:
    attention, truth = readers(m=120, t=50, heads=4, reading=(1, 2))
    alignment = align_by_attention(attention)
    for token in (0, 10, 49):
        expected = int((truth < token).sum())
        assert abs(alignment.first_frame(token) - expected) <= 1
    assert alignment.first_frame(1000) == 120


def test_every_phone_is_spoken_and_only_silences_are_passed_over() -> None:
    optional = torch.tensor([True, False, False, True, False, True])
    truth = torch.tensor([1, 1, 2, 4, 4, 4])  # no pause before, between or after the words
    table = torch.full((6, 6), -5.0)
    table[torch.arange(6), truth] = -0.1
    table[2, 2] = -9.0  # unlikely, but it must be somewhere
    path = find_phone_path(table, optional)
    assert path is not None and set(path.tolist()) >= {1, 2, 4} and path.diff().max() <= 2
    paused = torch.tensor([0, 1, 2, 3, 4, 5])
    table = torch.full((6, 6), -5.0)
    table[torch.arange(6), paused] = -0.1
    assert find_phone_path(table, optional).tolist() == paused.tolist()  # type: ignore[union-attr]


def test_more_phones_than_frames_have_no_way() -> None:
    assert find_phone_path(torch.zeros(3, 4), torch.zeros(4, dtype=torch.bool)) is None
    path = find_phone_path(torch.zeros(4, 4), torch.zeros(4, dtype=torch.bool))
    assert path is not None and path.tolist() == [0, 1, 2, 3]
    silent = find_phone_path(torch.zeros(3, 1), torch.ones(1, dtype=torch.bool))
    assert silent is not None and silent.tolist() == [0, 0, 0]
