"""Pronunciation: known words as the lexicon has them, unknown ones by building or by letters."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text.g2p import PUNCTUATION, SPACE, SYMBOLS, Pronouncer, spell_letters
from text.letter_to_sound import LetterToSound, keep_one_primary_stress
from text.lexicon import (
    ARPABET,
    format_lexicon,
    parse_cmudict,
    parse_lexicon,
)

WORDS = {
    "a": "AH0",
    "book": "B UH1 K",
    "box": "B AA1 K S",
    "bus": "B AH1 S",
    "door": "D AO1 R",
    "bell": "B EH1 L",
    "end": "EH1 N D",
    "hop": "HH AA1 P",
    "make": "M EY1 K",
    "play": "P L EY1",
    "happy": "HH AE1 P IY0",
    "read": "R EH1 D",
    "i": "AY1",
    "well": "W EH1 L",
    "known": "N OW1 N",
}
LETTERS = LetterToSound(
    order=(1,), sounds={"b": "B", "o": "AA1", "g": "G", "g.g": "", "z": "Z", "e": "EH1", "e._": ""}
)


@pytest.fixture
def pronouncer() -> Pronouncer:
    return Pronouncer(lexicon=WORDS, letter_to_sound=LETTERS)


def spoken(pronouncer: Pronouncer, text: str) -> str:
    return " ".join(pronouncer.to_symbols(text)).replace(SPACE, "_")


def test_words_are_apart_and_marks_follow_their_word(pronouncer: Pronouncer) -> None:
    assert spoken(pronouncer, "Book, bus.") == "B UH1 K , _ B AH1 S ."


def test_of_several_marks_the_strongest_is_kept(pronouncer: Pronouncer) -> None:
    assert spoken(pronouncer, '...Book?!," (bus)') == "B UH1 K ? _ B AH1 S ,"
    assert spoken(pronouncer, "book... bus --") == "B UH1 K … _ B AH1 S -"


def test_hyphenated_words_are_two(pronouncer: Pronouncer) -> None:
    assert spoken(pronouncer, "well-known") == "W EH1 L _ N OW1 N"


@pytest.mark.parametrize(
    ("word", "phonemes"),
    [
        ("books", "B UH1 K S"),
        ("doors", "D AO1 R Z"),
        ("boxes", "B AA1 K S IH0 Z"),
        ("book's", "B UH1 K S"),
        ("bus's", "B AH1 S IH0 Z"),
        ("books'", "B UH1 K S"),
        ("played", "P L EY1 D"),
        ("booked", "B UH1 K T"),
        ("ended", "EH1 N D IH0 D"),
        ("hopping", "HH AA1 P IH0 NG"),
        ("making", "M EY1 K IH0 NG"),
        ("happily", "HH AE1 P IY0 L IY0"),
        ("doorbell", "D AO1 R B EH2 L"),
        ("Door'll", "D AO1 R AH0 L"),
    ],
)
def test_words_are_built_from_known_ones(pronouncer: Pronouncer, word: str, phonemes: str) -> None:
    assert " ".join(pronouncer.pronounce(word)) == phonemes


def test_acronyms_are_spelled_out(pronouncer: Pronouncer) -> None:
    assert (
        pronouncer.pronounce("BBZ") == spell_letters("bbz") == ("B", "IY1", "B", "IY1", "Z", "IY1")
    )
    assert pronouncer.pronounce("bzg") == spell_letters("bzg")
    assert spoken(pronouncer, "B.B. book") == "B IY1 B IY1 _ B UH1 K"
    assert spoken(pronouncer, "book B.B.") == "B UH1 K _ B IY1 B IY1 ."


def test_other_words_are_read_letter_by_letter_with_one_main_stress(
    pronouncer: Pronouncer,
) -> None:
    assert pronouncer.pronounce("bogge") == ("B", "AA1", "G")
    assert pronouncer.pronounce("bogzoge") == ("B", "AA1", "G", "Z", "AA2", "G")


def test_the_word_before_decides_between_homographs(pronouncer: Pronouncer) -> None:
    assert spoken(pronouncer, "I read").endswith("R IY1 D")
    assert spoken(pronouncer, "have read").endswith("R EH1 D")


def test_phonemes_in_a_text_are_read_as_they_are(pronouncer: Pronouncer) -> None:
    assert spoken(pronouncer, "bog {B OW1 G}, {HH_AH0}!") == (
        f"{spoken(pronouncer, 'bog')} _ B OW1 G , _ HH AH0 !"
    )


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=150)
def test_whatever_is_typed_gives_known_symbols(text: str) -> None:
    symbols = Pronouncer(lexicon=WORDS, letter_to_sound=LETTERS).to_symbols(text)
    assert set(symbols) <= set(SYMBOLS) - {"[STOP]", "[UNK]"}
    pairs = pairwise(symbols)
    assert not any(a in PUNCTUATION and b in PUNCTUATION for a, b in pairs)


@given(st.lists(st.sampled_from(ARPABET)))
def test_one_vowel_carries_the_main_stress(phonemes: list[str]) -> None:
    stressed = keep_one_primary_stress(phonemes)
    vowels = [phoneme for phoneme in stressed if phoneme[-1].isdigit()]
    assert sum(vowel.endswith("1") for vowel in vowels) == bool(vowels)
    assert [p.rstrip("012") for p in stressed] == [p.rstrip("012") for p in phonemes]


def test_tables_survive_storing() -> None:
    assert LetterToSound.from_dict(LETTERS.to_dict()) == LETTERS
    assert parse_lexicon(format_lexicon(WORDS)) == WORDS


def test_cmudict_gives_first_pronunciations_of_words_only() -> None:
    lines = ["read R EH1 D", "read(2) R IY1 D", "aalen AE1 L AH0 N # place", "3d TH R IY1", ""]
    assert dict(parse_cmudict(lines)) == {"read": "R EH1 D", "aalen": "AE1 L AH0 N"}
