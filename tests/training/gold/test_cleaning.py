"""Transcripts are cleaned reversibly, without the defects of the published script."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.gold.cleaning import clean_as_published, clean_transcript, join_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world!", "HELLO|WORLD"),
        ("It's 10 o'clock - isn't it?", "ITS|TEN|OCLOCK|ISNT|IT"),
        ("She paid £25.", "SHE|PAID|TWENTY|FIVE|POUNDS"),
        ("twenty-five", "TWENTY|FIVE"),
        ("naïve café", "NAIVE|CAFE"),
        ("(LAUGHTER) So [door slams] I left", "SO|I|LEFT"),
        ("00:01:02.500 Welcome back", "WELCOME|BACK"),
        ("80s music", "EIGHTIES|MUSIC"),
        ("…", ""),
    ],
)
def test_the_words_of_a_transcript(text: str, words: str) -> None:
    assert join_words(clean_transcript(text)) == words


def test_numbers_with_letters_do_not_crash() -> None:
    for text in ("The 3rd and the 21st, 60% of 2001's", "2001s", "1,2,3rd", "5kg of 2nd", "£", "%"):
        clean_as_published(text)
        clean_transcript(text)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="abcDE 0123£$%',.-()[]:é\n", max_size=60))
def test_the_parts_cover_the_text_in_order(text: str) -> None:
    parts = clean_transcript(text)
    position = 0
    for part in parts:
        assert text[part.start : part.end] == part.source
        assert not text[position : part.start].strip()
        assert part.start >= position
        position = part.end
    assert not text[position:].strip()


def test_a_part_says_what_became_of_it() -> None:
    parts = {part.source: part.words for part in clean_transcript("I paid £25 in (quietly) cash.")}
    assert parts["I"] == ("I",)
    assert parts["£25"] == ("TWENTY", "FIVE", "POUNDS")
    assert parts["(quietly)"] == ()
    assert parts["cash."] == ("CASH",)
