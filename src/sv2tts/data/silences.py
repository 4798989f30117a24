"""Split a recording with word times at its silences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

MIN_SILENCE_S = 0.4
MIN_UTTERANCE_S = 1.6
MAX_UTTERANCE_S = 900 * 200 / 16_000  # the longest mel of a training


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """A part of a recording: start and end in seconds, and its words."""

    start: float
    end: float
    text: str

    @property
    def duration(self) -> float:
        return self.end - self.start

    def joined(self, following: Utterance) -> Utterance:
        return Utterance(
            start=self.start, end=following.end, text=f"{self.text} {following.text}".strip()
        )


def find_silences(words: Sequence[str], end_times: Sequence[float]) -> list[int]:
    """Return the positions of the silences to split at, with the first and the last one.

    words: "" for a silence, which the first and the last must be; end_times: in seconds, a word
    starts where the one before it ends. Raises ValueError for words of other form.
    """
    if len(words) != len(end_times) or len(words) < 2 or words[0] or words[-1]:
        raise ValueError(
            f"{len(words)} words with {len(end_times)} times. An alignment needs a time for each "
            'word, and its first and last word are silences, written "".'
        )
    last = len(words) - 1
    return [
        position
        for position, word in enumerate(words)
        if position in (0, last)
        or (not word and end_times[position] - end_times[position - 1] >= MIN_SILENCE_S)
    ]


def split_at_silences(words: Sequence[str], end_times: Sequence[float]) -> list[Utterance]:
    """Return the utterances between the silences; short ones are joined with a neighbour."""
    breaks = find_silences(words, end_times)
    utterances = [
        Utterance(
            start=end_times[left],
            end=end_times[right - 1],
            text=" ".join(word for word in words[left + 1 : right] if word),
        )
        for left, right in pairwise(breaks)
    ]
    return _join_short(utterances)


def _join_short(utterances: list[Utterance]) -> list[Utterance]:
    """Join utterances under 1.6 s with their shorter neighbour, up to 11.25 s of speech."""
    spoken = [utterance.duration for utterance in utterances]  # without the silences between them
    position = 0
    while position < len(utterances) and len(utterances) > 1:
        left = spoken[position - 1] if position else float("inf")
        right = spoken[position + 1] if position + 1 < len(spoken) else float("inf")
        total = spoken[position] + min(left, right)
        if spoken[position] >= MIN_UTTERANCE_S or total > MAX_UTTERANCE_S:
            position += 1
            continue
        first = position - 1 if left <= right else position
        utterances[first : first + 2] = [utterances[first].joined(utterances[first + 1])]
        spoken[first : first + 2] = [total]
    return utterances
