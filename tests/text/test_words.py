"""The words of a text and the tokens of each."""

from __future__ import annotations

import pytest

from text.g2p import SPACE
from text.normalization.words import find_word_tokens, split_words

READ = {"1984": "nineteen eighty four", "$5": "five dollars", "-": "", "in": "in"}


def tokenize(text: str) -> list[str]:
    """Letters as tokens, words apart; a full stop ends the text."""
    spoken = " ".join(READ.get(word, word) for word in text.split()).split()
    tokens = [token for word in spoken for token in [SPACE, *word]][1:]
    return [*tokens, "."]


def test_a_group_of_phonemes_is_one_word() -> None:
    assert split_words('Say "{HH AH0 L OW1}," twice - now.') == [
        "Say", '"{HH AH0 L OW1},"', "twice", "-", "now.",
    ]  # fmt: skip


def test_each_word_has_its_tokens_and_a_dash_has_none() -> None:
    words = ["born", "in", "1984", "-", "for", "$5"]
    tokens = tokenize(" ".join(words))
    spans = find_word_tokens(words, tokens, tokenize)
    said = ["".join(t for t in tokens[a:b] if t != SPACE) for a, b in spans]
    assert said == ["born", "in", "nineteeneightyfour", "", "for", "fivedollars"]
    assert spans[3][0] == spans[3][1] == spans[2][1]


def test_words_that_depend_on_their_neighbours_share_what_is_left() -> None:
    words = ["May", "3,", "1984", "was", "warm"]
    tokens = tokenize("May third nineteen eighty four was warm")
    spans = find_word_tokens(words, tokens, tokenize)
    said = ["".join(t for t in tokens[a:b] if t != SPACE) for a, b in spans]
    assert "".join(said) == "Maythirdnineteeneightyfourwaswarm"
    assert said[0] == "May" and said[3:] == ["was", "warm"]


@pytest.mark.parametrize("words", [[], ["-"], ["word"]])
def test_short_texts_have_as_many_spans_as_words(words: list[str]) -> None:
    assert len(find_word_tokens(words, tokenize(" ".join(words)), tokenize)) == len(words)
