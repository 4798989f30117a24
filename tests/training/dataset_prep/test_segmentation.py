"""Cutting: no clip outside its limits, no cut inside a word, nothing said twice."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from training.dataset_prep.options import PrepareOptions
from training.dataset_prep.segmentation import (
    ClipSegment,
    TextUnit,
    join_unit_texts,
    segment_recording,
)

USUAL = PrepareOptions()


def said(text: str, start: float = 0.0, each: float = 0.4, gap: float = 0.05) -> list[TextUnit]:
    """Words of 0.4 s in a row."""
    words, at = [], start
    for word in text.split():
        words.append(TextUnit(text=word, start_s=at, stop_s=at + each))
        at += each + gap
    return words


def cut(units: list[TextUnit], options: PrepareOptions = USUAL) -> list[ClipSegment]:
    speech = [(unit.start_s, unit.stop_s) for unit in units]
    return segment_recording(units, speech, units[-1].stop_s + 5, options)


def drawn(seed: int) -> list[TextUnit]:
    """Speech with pauses, sentences and breaths wherever chance puts them."""
    chance = random.Random(seed)
    words, at = [], chance.uniform(0, 3)
    for _ in range(chance.randint(1, 400)):
        length = chance.choice([0.05, 0.2, 0.4, 0.9])
        text = "w" * chance.randint(1, 12) + chance.choice(["", "", "", "", ",", ".", "?"])
        words.append(TextUnit(text=text, start_s=at, stop_s=at + length))
        at += length + chance.choice([0.0, 0.0, 0.05, 0.3, 1.5])
    return words


@pytest.mark.parametrize("seed", range(25))
def test_whatever_is_said_every_piece_fits_or_says_why_and_every_word_is_in_one(seed: int) -> None:
    units = drawn(seed)
    pieces = cut(units)
    assert [unit for piece in pieces for unit in piece.units] == units
    for piece in pieces:
        fits = USUAL.shortest_s - 1e-6 <= piece.seconds <= USUAL.longest_s + 1e-6
        assert fits if not piece.reason else piece.reason in ("too_short", "too_long")
        assert len(join_unit_texts(piece.units)) <= USUAL.most_letters
        assert piece.start_s <= piece.units[0].start_s + 1e-6
        assert piece.stop_s >= piece.units[-1].stop_s - 1e-6
    for before, after in pairwise(pieces):
        assert before.stop_s <= after.start_s + 1e-6


@pytest.mark.parametrize("seed", range(25))
def test_what_is_heard_beyond_the_words_makes_no_piece_too_long(seed: int) -> None:
    units, chance = drawn(seed), random.Random(seed)
    speech = [
        (u.start_s - chance.uniform(0, 0.4), u.stop_s + chance.uniform(0, 0.4)) for u in units
    ]
    pieces = segment_recording(units, speech, units[-1].stop_s + 5, USUAL)
    assert [unit for piece in pieces for unit in piece.units] == units
    assert not [piece for piece in pieces if piece.reason == "too_long" and len(piece.units) > 1]
    for before, after in pairwise(pieces):
        assert before.stop_s <= after.start_s + 1e-6


def test_sentences_stay_whole_and_short_ones_are_joined_with_a_neighbour() -> None:
    first = said("This is a whole sentence that lasts for more than three seconds.")
    second = said("And here.", start=first[-1].stop_s + 0.3)
    third = said("Then comes another one that is long enough to stand alone.", start=7.5)
    pieces = cut(first + second + third)
    assert [len(piece.units) for piece in pieces] == [14, 11]


def test_a_long_pause_keeps_pieces_apart_even_if_one_is_too_short() -> None:
    lonely, rest = said("Yes."), said("one two three four five six seven eight.", start=9.0)
    assert [piece.reason for piece in cut(lonely + rest)] == ["too_short", ""]


def test_a_long_sentence_is_cut_where_it_breathes() -> None:
    first = said("one two three four five six seven eight nine ten eleven twelve thirteen,")
    second = said("a b c d e f g h i j k l m n o p", start=first[-1].stop_s + 0.25)
    pieces = cut(first + second)
    assert [join_unit_texts(piece.units)[-9:] for piece in pieces] == ["thirteen,", "l m n o p"]


def test_more_text_than_the_model_reads_is_cut_as_well() -> None:
    options = PrepareOptions(most_letters=40)
    pieces = cut(said("abcdefghi " * 16, each=0.6), options)
    assert len(pieces) >= 4
    assert all(len(join_unit_texts(piece.units)) <= 40 and not piece.reason for piece in pieces)


def test_text_without_word_times_is_never_cut_inside() -> None:
    whole = TextUnit(text="much is said here", start_s=0.0, stop_s=14.0, is_word=False)
    (piece,) = segment_recording([whole], [(0.5, 13.5)], 14.0, USUAL)
    assert piece.reason == "too_long" and (piece.start_s, piece.stop_s) == (0.42, 13.58)


def test_both_ends_are_trimmed_to_the_speech_with_a_margin() -> None:
    whole = TextUnit(text="some words", start_s=0.0, stop_s=8.0, is_word=False)
    (piece,) = segment_recording([whole], [(1.0, 2.0), (2.5, 6.0)], 8.0, USUAL)
    assert (piece.start_s, piece.stop_s) == (pytest.approx(0.92), pytest.approx(6.08))


def test_words_of_a_language_without_blanks_are_written_together() -> None:
    assert join_unit_texts(said("今日 は 晴れ"), blank="") == "今日は晴れ"


def test_the_sureness_of_a_piece_is_that_of_its_words_over_time() -> None:
    sure = TextUnit(text="sure", start_s=0, stop_s=3, confidence=1.0)
    unsure = TextUnit(text="unsure", start_s=3, stop_s=4, confidence=0.2)
    (piece,) = cut([sure, unsure])
    assert piece.confidence == pytest.approx(0.8)


def test_limits_that_leave_no_room_are_refused() -> None:
    with pytest.raises(ValueError, match="at least twice the shortest"):
        PrepareOptions(shortest_s=4.0, longest_s=6.0)
    with pytest.raises(ValueError, match="most_letters is 5; it must be from 20"):
        PrepareOptions(most_letters=5)
