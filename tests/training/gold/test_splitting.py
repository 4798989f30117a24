"""An optimal split keeps to the limits, and cuts in pauses between well aligned words."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from training.gold.splitting import (
    MAX_S,
    MIN_S,
    TimedWord,
    UtteranceSpan,
    split_greedily,
    split_optimally,
)


def make_words(pauses: list[float], scores: list[float]) -> list[TimedWord]:
    words, time = [], 0.0
    for number, (pause, score) in enumerate(zip(pauses, scores, strict=True)):
        time += pause
        words.append(TimedWord(start=time, stop=time + 0.4, text=f"W{number}", score=score))
        time += 0.4
    return words


WORDS = st.lists(st.tuples(st.floats(0.0, 1.5), st.floats(0.0, 1.0)), min_size=0, max_size=60)


@settings(max_examples=80, deadline=None)
@given(WORDS)
def test_every_utterance_is_within_the_limits_and_none_overlap(
    rows: list[tuple[float, float]],
) -> None:
    words = make_words([pause for pause, _ in rows], [score for _, score in rows])
    utterances = split_optimally(words)
    for span in utterances:
        assert MIN_S <= span.stop - span.start <= MAX_S
        assert span.start <= words[span.first].start
        assert span.stop >= words[span.last].stop
    for before, after in pairwise(utterances):
        assert before.stop <= after.start and before.last < after.first


def test_cuts_are_made_in_the_longest_pauses() -> None:
    pauses = [0.02] * 40
    for index in (12, 26):
        pauses[index] = 0.8
    utterances = split_optimally(make_words(pauses, [1.0] * 40))
    assert [span.first for span in utterances] == [0, 12, 26]


def test_badly_aligned_words_are_left_out() -> None:
    scores = [1.0] * 12 + [0.05] * 4 + [1.0] * 12
    utterances = split_optimally(make_words([0.2] * 28, scores))
    used = {index for span in utterances for index in range(span.first, span.last + 1)}
    assert not used & set(range(12, 16))
    assert used >= {0, 10, 17, 27}


def test_a_turn_of_one_utterance_is_kept_whole() -> None:
    words = make_words([0.1] * 6, [1.0] * 6)
    (only,) = split_optimally(words)
    assert (only.first, only.last) == (0, 5)
    assert split_greedily(words[:1]) == (
        [UtteranceSpan(start=0.0, stop=words[0].stop, first=0, last=0, score=1.0)],
        False,
    )
