"""Over-long sentences: no cut inside a number, between number and unit, or at a short form."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text.gaps import list_unbroken_groups
from text.normalization.pipeline import normalize_text
from text.segmentation import split_text

UNBROKEN = [
    "$3 million",
    "$4.5 billion",
    "€ 12",
    "£20 thousand",
    "250 km",
    "7.5 kg",
    "20 °C",
    "90 square meters",
    "12 percent",
    "5 ft. 10 in.",
    "1 234 567",
    "3 1/2 cups",
    "2 + 2 = 4",
    "10 - 20",
    "No. 5",
    "Fig. 12",
    "pp. 14",
    "page 12",
    "room 101",
    "Chapter 7",
    "Route 66",
    "June 21",
    "Sept. 9",
    "May 3, 1998",
    "11:45 p.m.",
    "6 a.m.",
    "500 BC",
    "Dr. Lind",
    "Mrs Orr",
    "St. Ives",
    "J. R. Pell",
    "U.S. Army",
    "e.g. apples",
    "Henry VIII",
    "War II",
    "Marsh Jr.",
    "§ 12",
]


@pytest.mark.parametrize("unit", UNBROKEN)
def test_what_belongs_together_is_never_cut(unit: str) -> None:
    words = f"and then all of them saw {unit}".split()
    assert list_unbroken_groups(words, normalize_text)[-1].endswith(unit)


@pytest.mark.parametrize("unit", UNBROKEN)
def test_no_piece_ends_inside_of_it(unit: str) -> None:
    text = f"the women who came over the hill that evening had {unit} with them and a dog too"
    for limit in (44, 53, 58):
        pieces = [piece.text for piece in split_text(text, limit, len, spell=normalize_text)]
        assert len(pieces) > 1 and any(unit in piece for piece in pieces), pieces


NUMBERS = ["98,765,432,109", "$187,654,321.09", "7,777,777.77 kg", "€ 1,234,567,890"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_too_long_for_a_piece_is_read_whole(number: str) -> None:
    text = f"They counted {number} then."
    pieces = split_text(text, 40, lambda part: len(normalize_text(part)), spell=normalize_text)
    heard = " ".join(normalize_text(piece.text) for piece in pieces)
    assert heard.replace(",", "") == normalize_text(text).replace(",", "")
    assert all(len(normalize_text(piece.text)) <= 40 for piece in pieces)


def test_an_address_too_long_for_a_piece_is_read_whole() -> None:
    text = "See www.example.org/a/very/long/path/to/some/page for it."
    pieces = split_text(text, 40, lambda part: len(normalize_text(part)), spell=normalize_text)
    heard = " ".join(normalize_text(piece.text) for piece in pieces)
    assert heard == normalize_text(text)


def test_clauses_come_before_words_and_phrases_before_single_words() -> None:
    text = (
        "When the rain had stopped at last, the people who had waited in the hall for hours went "
        "out into the yard; nobody said a word."
    )
    assert [(piece.text, piece.pause) for piece in split_text(text, 60, len)] == [
        ("When the rain had stopped at last,", "comma"),
        ("the people who had waited in the hall", "none"),
        ("for hours went out into the yard; nobody said a word.", "sentence"),
    ]


def test_a_quote_that_is_too_long_is_cut_between_its_sentences() -> None:
    text = (
        'He said, "The boat is late again. Nobody waits for it. We should all go home." '
        "Then he left."
    )
    assert [piece.text for piece in split_text(text, 50, len)] == [
        'He said, "The boat is late again.',
        'Nobody waits for it. We should all go home."',
        "Then he left.",
    ]


def test_two_speakers_are_never_in_one_piece() -> None:
    text = '"Is it far?" asked Nora. "Not very," said Bram. "Come," he said. "Soon," Bram said.'
    assert [piece.text for piece in split_text(text, 300, len)] == [
        '"Is it far?" asked Nora.',
        '"Not very," said Bram.',
        '"Come," he said.',
        '"Soon," Bram said.',
    ]


WORDS = [unit for unit in UNBROKEN if not any(map(str.isdigit, unit))]


@given(st.lists(st.sampled_from([*WORDS, "the", "old", "men", "went", "home,", "(so", "it)"])))
@settings(max_examples=30, deadline=None)
def test_every_word_is_kept_in_order(parts: list[str]) -> None:
    text = " ".join(parts)
    pieces = split_text(text, 60, len, spell=normalize_text)
    assert " ".join(piece.text for piece in pieces).split() == text.split()
