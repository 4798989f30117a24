"""Words are compared by letters and phones; only those that differ are left out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from training.asr.forced_alignment import can_align, pronounce_word
from training.gold.agreement import HeardWord, LocatedTurn, TurnCheck, extend_turns
from training.gold.cleaning import clean_transcript
from training.gold.diary import Turn
from training.gold.utterances import (
    CONFIRMED_SCORE,
    MIN_WORD_SCORE,
    AlignedPart,
    align_turn,
    score_word,
    split_turn,
)

TEXT = "We saw the old ship at sea and then it came back to the harbour before the night fell"
PHONES = {"MISSALS": ["M", "IH", "S", "AH", "L", "Z"], "MISSILES": ["M", "IH", "S", "AH", "L", "Z"]}


def align(text: str, scores: dict[str, float], pause_s: float = 0.1) -> list[AlignedPart]:
    parts, at = [], 0.5
    for part in clean_transcript(text):
        score = scores.get(part.source, 1.0)
        parts.append(AlignedPart(turn=0, part=part, start=at, stop=at + 0.3, score=score))
        at += 0.3 + pause_s
    return parts


def test_a_word_that_sounds_the_same_agrees_though_it_is_spelled_otherwise() -> None:
    heard = [HeardWord(text="MISSILES", start=1.0, stop=1.5)]
    assert score_word("MISSALS", 1.0, 1.5, heard) < 0.7
    assert score_word("MISSALS", 1.0, 1.5, heard, lambda word: PHONES[word]) == pytest.approx(0.8)
    assert score_word("MISSILES", 1.0, 1.5, heard) == 1.0
    assert score_word("TRACTOR", 1.0, 1.5, heard, lambda word: PHONES.get(word, ["T"])) < 0.5


@pytest.mark.skipif(not can_align("en"), reason="pocketsphinx is not installed")
def test_the_phones_of_a_word_are_looked_up() -> None:
    assert pronounce_word("FOOD") == ["F", "UW", "D"]
    assert pronounce_word("ZARGLE")


def test_a_wrong_word_is_left_out_and_the_rest_is_kept() -> None:
    utterances = split_turn(align(TEXT, {"ship": 0.2, "came": 0.3}), TEXT, "Ann", "0000")
    kept = " ".join(one.text for one in utterances)
    assert "ship" not in kept and "came" not in kept
    assert "to the harbour before the night fell" in kept
    assert not any(one.problems for one in utterances)


def test_a_short_word_beside_sure_ones_proves_nothing() -> None:
    (one,) = split_turn(align(TEXT, {"at": 0.2}), TEXT, "Ann", "0000")
    assert one.text == TEXT
    without = split_turn(align(TEXT, {"ship": 0.2, "at": 0.2, "sea": 0.2}), TEXT, "Ann", "0000")
    assert not any("at" in one.text.split() for one in without)


def test_a_turn_is_extended_over_words_that_were_not_heard() -> None:
    diary = [Turn(start=0.5, stop=6.0, speaker="Ann"), Turn(start=6.2, stop=12.0, speaker="Bob")]
    located = [
        LocatedTurn(2.0, 5.0, 0.8, (), missing_first=2, missing_last=0),
        LocatedTurn(7.5, 9.0, 0.5, (), missing_first=9, missing_last=1),
        LocatedTurn(None, None, 0.0, ()),
    ]
    first, second, third = extend_turns(located, diary)
    assert first.start == pytest.approx(0.5) and first.stop == 5.0
    assert second.start == pytest.approx(6.2) and second.stop == pytest.approx(10.2)
    assert third == located[2]


def test_the_sound_decides_between_what_is_written_and_what_was_heard() -> None:
    heard = [
        HeardWord(text=word, start=0.5 + 0.4 * number, stop=0.8 + 0.4 * number)
        for number, word in enumerate(["WE", "SAW", "THE", "TAN", "CHIP", "AT", "SEA"])
    ]
    check = TurnCheck(
        index=0,
        speaker="Ann",
        start=0.5,
        stop=3.3,
        diary_speaker="Ann",
        heard=0.7,
        status="agrees",
        differences=(),
    )
    asked: list[tuple[list[str], list[str]]] = []

    def align_words(start: float, stop: float, words: Sequence[str]) -> list[tuple[float, float]]:
        return [(0.5 + 0.4 * number, 0.8 + 0.4 * number) for number in range(len(words))]

    def compare(start: float, stop: float, written: Sequence[str], other: Sequence[str]) -> float:
        asked.append((list(written), list(other)))
        return 0.1 if "TUNA" in written else 0.2

    def score(text: str) -> float:
        return align_turn(check, text, heard, align_words, compare=compare)[3].score

    assert score("We saw the tuna chip at sea") == CONFIRMED_SCORE
    assert asked == [
        (["SAW", "THE", "TUNA", "CHIP", "AT"], ["SAW", "THE", "TAN", "CHIP", "AT"]),
    ]
    assert score("We saw the bird chip at sea") < MIN_WORD_SCORE


def test_a_turn_that_cannot_be_aligned_as_a_whole_is_aligned_in_parts() -> None:
    spoken = TEXT.upper().split()
    heard = [
        HeardWord(text=word, start=0.5 + 0.4 * number, stop=0.8 + 0.4 * number)
        for number, word in enumerate(spoken)
    ]
    check = TurnCheck(
        index=0,
        speaker="Ann",
        start=0.5,
        stop=heard[-1].stop,
        diary_speaker="Ann",
        heard=1.0,
        status="agrees",
        differences=(),
    )

    def align_short(
        start: float, stop: float, words: Sequence[str]
    ) -> list[tuple[float, float]] | None:
        near = [(one.start, one.stop) for one in heard if start < one.start and one.stop < stop]
        return None if len(words) > 6 or len(near) != len(words) else near

    parts = align_turn(check, TEXT, heard, align_short)
    assert [one.part.source for one in parts] == TEXT.split()
    assert [one.start for one in parts] == [one.start for one in heard]

    def align_nothing(start: float, stop: float, words: Sequence[str]) -> None:
        return None

    lost = align_turn(check, TEXT, heard, align_nothing)
    assert [one.score for one in lost] == [0.0] * len(spoken)
    assert split_turn(lost, TEXT, "Ann", "0000") == []
