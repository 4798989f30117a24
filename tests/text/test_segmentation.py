"""Splitting: pieces fit, nothing is lost, sentences and quotes stay whole where they can."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.golden_cases import Case, golden
from text import segmentation
from text.segmentation import is_speakable, split_and_recombine, split_sentences

UPSTREAM_NAMES = {"desired_length": "desired", "max_length": "longest"}
PROSE = st.text("abc D.,;!?\"'|\n—“”1é", max_size=200)


def split_text(text: str, *limits: Any, **more: Any) -> list[str]:
    return [piece.text for piece in segmentation.split_text(text, *limits, **more)]


@golden("text_tokenizer")
def test_pieces_equal_the_reference(case: Case) -> None:
    for example in case.json["split_cases"]:
        sizes = {UPSTREAM_NAMES[name]: value for name, value in example["kwargs"].items()}
        assert split_and_recombine(example["text"], **sizes) == example["parts"]


@given(PROSE, st.integers(1, 30), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_no_piece_is_over_the_limit(text: str, limit: int, longest: int) -> None:
    pieces = split_text(text, limit, len, desired=20, longest=longest)
    assert all(len(piece) <= min(limit, longest) for piece in pieces)


@given(PROSE, st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_pieces_hold_every_letter_in_order(text: str, limit: int) -> None:
    pieces = split_text(text, limit, len)
    assert [c for piece in pieces for c in piece if c.isalnum()] == [c for c in text if c.isalnum()]


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=8), max_size=60))
@settings(max_examples=60, deadline=None)
def test_words_that_fit_are_never_cut(words: list[str]) -> None:
    pieces = split_text(" ".join(words), 20, len)
    assert " ".join(pieces).split() == words


@given(PROSE)
@settings(max_examples=60, deadline=None)
def test_every_piece_can_be_spoken(text: str) -> None:
    assert all(is_speakable(piece) for piece in split_text(text, 12, len))


@given(st.text(max_size=200), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_upstream_pieces_take_whatever_is_typed(text: str, desired: int, more: int) -> None:
    pieces = split_and_recombine(text, desired, desired + more)
    assert all(len(piece) <= desired + more for piece in pieces)


def test_a_bar_splits_and_blank_pieces_are_left_out() -> None:
    assert split_text("one | two|...| |three.", 100, len) == ["one", "two", "three."]


def test_a_piece_is_full_once_it_has_the_desired_length() -> None:
    text = "This is one. This is two. This is three."
    assert split_text(text, 100, len, desired=20) == ["This is one. This is two.", "This is three."]


def test_long_sentences_are_cut_at_clauses_before_words() -> None:
    text = "When the rain had stopped at last, we walked along the shore; nobody spoke."
    assert split_text(text, 40, len) == [
        "When the rain had stopped at last,",
        "we walked along the shore; nobody spoke.",
    ]


def test_quotes_and_short_forms_do_not_end_a_sentence() -> None:
    text = 'She said "Stop. Go home." Then Mr. J. Hill left. I said no. He stayed.'
    assert split_sentences(text) == [
        'She said "Stop. Go home."',
        "Then Mr. J. Hill left.",
        "I said no.",
        "He stayed.",
    ]


def test_a_quote_that_never_closes_does_not_swallow_the_text() -> None:
    assert split_sentences('He said "Stop. Then he left. It rained.') == [
        'He said "Stop.',
        "Then he left.",
        "It rained.",
    ]


def test_text_that_counts_nothing_is_left_out() -> None:
    assert split_text("hello | world", 10, lambda piece: 5 * ("world" in piece)) == ["world"]


def test_a_limit_that_not_even_a_letter_meets_is_refused() -> None:
    with pytest.raises(ValueError, match="too small for 'a'"):
        split_text("abc", 2, lambda piece: 3)
    with pytest.raises(ValueError, match="room for at least one token"):
        split_text("abc", 0, len)


@pytest.mark.parametrize("text", ["5" * 400, "5" * 200 + ", " + "5" * 200])
def test_a_long_text_of_which_nothing_is_read_has_no_pieces(text: str) -> None:
    assert split_text(text, 20, len, spell=lambda part: "") == []
