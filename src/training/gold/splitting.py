"""Split the aligned words of a turn into utterances: greedily as published, or optimally."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MIN_S, MAX_S = 1.6, 11.0
GAP_S = 0.005  # between utterances that are cut greedily
PUBLISHED_THRESHOLD = 0.97


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedWord:
    """A word with its times in seconds and its alignment score, 0 to 1."""

    start: float
    stop: float
    text: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceSpan:
    """A part of a turn. first, last: indices of its words; score: of its last word."""

    start: float
    stop: float
    first: int
    last: int
    score: float


def split_greedily(
    words: Sequence[TimedWord],
    *,
    min_s: float = MIN_S,
    threshold: float = PUBLISHED_THRESHOLD,
) -> tuple[list[UtteranceSpan], bool]:
    """Cut after the first good word that makes an utterance long enough, as published.

    threshold: the least score of a good word. Returns the utterances, and whether words are left
    over at the end. Without a good word all words are one utterance. Some utterances may be long.
    """
    utterances: list[UtteranceSpan] = []
    start, first = 0.0, 0
    for index, word in enumerate(words):
        if word.score < threshold or word.stop - words[first].start < min_s:
            continue
        utterances.append(
            UtteranceSpan(start=start, stop=word.stop, first=first, last=index, score=word.score)
        )
        start, first = word.stop + GAP_S, index + 1
    if utterances or not words:
        return utterances, bool(words) and first < len(words)
    last = len(words) - 1
    whole = UtteranceSpan(
        start=0.0, stop=words[last].stop, first=0, last=last, score=words[last].score
    )
    return [whole], False


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCosts:
    """What an optimal split weighs.

    unused: per second of speech left out; cut: per cut between two words, times the doubt about
    the one that is used and the shortness of the pause; length: per utterance, for its distance
    from target_s.
    """

    unused: float = 1.0
    cut: float = 2.0
    length: float = 0.5
    target_s: float = 6.0
    good_pause_s: float = 0.15
    min_score: float = 0.3


def split_optimally(
    words: Sequence[TimedWord],
    *,
    min_s: float = MIN_S,
    max_s: float = MAX_S,
    costs: SplitCosts | None = None,
) -> list[UtteranceSpan]:
    """Choose the utterances with the lowest total cost, by dynamic programming.

    Every utterance is from min_s to max_s long, none overlap, and cuts lie in the middle of the
    pause between two words. Words that fit into no utterance are left out. A word whose score is
    under min_score is left out with the words that cannot be parted from it.
    """
    costs = costs or SplitCosts()
    count = len(words)
    best = [0.0] + [math.inf] * count  # cost of the first i words
    back: list[tuple[int, bool]] = [(0, False)] * (count + 1)
    for end in range(1, count + 1):
        left_out = best[end - 1] + costs.unused * _occupied(words, end - 1)
        best[end], back[end] = left_out, (end - 1, False)
        for begin in range(end - 1, -1, -1):
            start, stop = cut_before(words, begin), cut_after(words, end - 1)
            if stop - start > max_s:
                break
            if words[begin].score < costs.min_score:
                break
            if stop - start < min_s:
                continue
            total = best[begin] + _utterance_cost(words, begin, end, costs)
            if total < best[end]:
                best[end], back[end] = total, (begin, True)
    utterances = []
    end = count
    while end > 0:
        begin, is_used = back[end]
        if is_used:
            utterances.append(
                UtteranceSpan(
                    start=cut_before(words, begin),
                    stop=cut_after(words, end - 1),
                    first=begin,
                    last=end - 1,
                    score=words[end - 1].score,
                )
            )
        end = begin
    return utterances[::-1]


def cut_before(words: Sequence[TimedWord], index: int) -> float:
    """Return where to cut before a word: in the middle of the pause, at most 0.1 s before it."""
    word = words[index]
    earlier = words[index - 1].stop if index else max(0.0, word.start - 0.2)
    return max((earlier + word.start) / 2, word.start - 0.1)


def cut_after(words: Sequence[TimedWord], index: int) -> float:
    """Return where to cut after a word: in the middle of the pause, at most 0.1 s after it."""
    word = words[index]
    later = words[index + 1].start if index + 1 < len(words) else word.stop + 0.2
    return min((word.stop + later) / 2, word.stop + 0.1)


def format_alignment_line(name: str, words: Sequence[TimedWord], duration: float) -> str:
    """Return the line of an alignment index, as LibriSpeech's alignments have it.

    The first and the last label are silences; a time is where its label ends.
    """
    labels = ",".join(["", *(word.text for word in words), ""])
    times = [words[0].start, *(word.stop for word in words), duration]
    return f'{name} "{labels}" "{",".join(f"{time:g}" for time in times)}"'


def _occupied(words: Sequence[TimedWord], index: int) -> float:
    return words[index].stop - words[index].start


def _utterance_cost(words: Sequence[TimedWord], begin: int, end: int, costs: SplitCosts) -> float:
    duration = cut_after(words, end - 1) - cut_before(words, begin)
    cost = costs.length * abs(math.log(duration / costs.target_s))
    for edge in (begin, end):
        if 0 < edge < len(words):
            pause = words[edge].start - words[edge - 1].stop
            shortness = max(0.0, 1.0 - pause / costs.good_pause_s)
            inside = words[edge] if edge == begin else words[edge - 1]
            doubt = 1.0 - inside.score
            cost += costs.cut * (shortness + doubt)
    return cost
