"""Segment a recording into clips: between sentences, else at pauses, never inside a word.

Works on times only.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from training.asr.base import Word
from training.dataset_prep.options import PrepareOptions

TimeSpan: TypeAlias = tuple[float, float]  # first and last second

SENTENCE_PAUSE_S = 0.6  # as long a pause ends a sentence, with or without a full stop
SENTENCE_ENDS = tuple(".!?…。！？")
CLAUSE_ENDS = tuple(",;:—–，；：、")
CLOSING_PUNCTUATION = "\"'”’»)]"
MAX_SCORED_PAUSE_S = 1.0  # a longer pause is no better place to cut
SENTENCE_WEIGHT, CLAUSE_WEIGHT, BALANCE_WEIGHT = 1.0, 0.4, 0.6  # against seconds of pause


@dataclass(frozen=True, slots=True, kw_only=True)
class TextUnit:
    """A unit that is never cut: a word, or text of which only start and stop are known.

    Times are of the recording. confidence: 0 to 1, None if unknown. words: of a text, if known.
    """

    text: str
    start_s: float
    stop_s: float
    is_word: bool = True
    confidence: float | None = None
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSegment:
    """A segment that becomes a clip.  reason: why it is dropped, "" if it is not."""

    start_s: float
    stop_s: float
    units: tuple[TextUnit, ...]
    reason: str = ""

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.stop_s - self.start_s

    @property
    def confidence(self) -> float | None:
        """The mean confidence over time; None if unknown."""
        weighted = [(unit.confidence, unit.stop_s - unit.start_s) for unit in self.units]
        sure = [(share, max(seconds, 0.01)) for share, seconds in weighted if share is not None]
        total = sum(seconds for _, seconds in sure)
        return sum(share * seconds for share, seconds in sure) / total if sure else None


UnitGroup: TypeAlias = tuple[TextUnit, ...]


def segment_recording(
    units: Sequence[TextUnit],
    speech: Sequence[TimeSpan],
    seconds: float,
    options: PrepareOptions,
    blank: str = " ",
) -> list[ClipSegment]:
    """Return the segments in order; they do not overlap.

    units: of the transcript. speech: spoken parts, in order. seconds: duration of the recording.
    blank: separator of words. Too short or too long segments are returned with a reason.
    """
    ordered = sorted((unit for unit in units if unit.text.strip()), key=lambda unit: unit.start_s)
    fit = _ClipLimits(options, blank)
    groups = [part for sentence in _group_sentences(ordered) for part in fit.split(sentence)]
    groups = fit.merge_short_groups(groups)
    while True:
        pieces = _make_segments(groups, speech, seconds, fit)
        long = {piece.units for piece in pieces if piece.reason == "too_long"}
        parted = [
            part for group in groups for part in (fit.split_at_best_place(group, group in long))
        ]
        if len(parted) == len(groups):
            return pieces
        groups = parted  # sounds around the words made some segments longer than their words


def _make_segments(
    groups: Sequence[UnitGroup], speech: Sequence[TimeSpan], seconds: float, fit: _ClipLimits
) -> list[ClipSegment]:
    if not groups:
        return []
    edges = [0.0, *(_find_cut(a[-1], b[0], speech) for a, b in pairwise(groups)), seconds]
    pieces = []
    for group, (left, right) in zip(groups, pairwise(edges), strict=True):
        start, stop = _trim_to_speech(group, (left, max(left, right)), speech, fit.margin_s)
        reason = fit.find_rejection_reason(group, stop - start)
        pieces.append(ClipSegment(start_s=start, stop_s=stop, units=group, reason=reason))
    return pieces


def join_unit_texts(units: Sequence[TextUnit], blank: str = " ") -> str:
    """Return the text of units."""
    return " ".join(blank.join(unit.text.strip() for unit in units).split())


class _ClipLimits:
    """Decides which groups of units fit into one clip."""

    def __init__(self, options: PrepareOptions, blank: str) -> None:
        self._options = options
        self._blank = blank
        self.margin_s = options.margin_s
        self._longest_s = options.longest_s - 2 * options.margin_s

    def split(self, sentence: UnitGroup) -> Iterator[UnitGroup]:
        """Split a sentence at its best places until every part fits, or is one unit."""
        waiting = [sentence]
        while waiting:
            group = waiting.pop()
            if len(group) == 1 or self._fits(group):
                yield group
                continue
            waiting += reversed(self.split_at_best_place(group, True))

    def split_at_best_place(self, group: UnitGroup, cut: bool) -> list[UnitGroup]:
        """Split a group at its best place, if needed and possible."""
        if not cut or len(group) == 1:
            return [group]
        at = max(range(1, len(group)), key=lambda at: self._score_cut(group, at))
        return [group[:at], group[at:]]

    def merge_short_groups(self, groups: Sequence[UnitGroup]) -> list[UnitGroup]:
        """Merge short groups with their neighbours."""
        joined: list[UnitGroup] = []
        for group in groups:
            if joined and self._should_merge(joined[-1], group):
                joined[-1] = joined[-1] + group
            else:
                joined.append(group)
        return joined

    def find_rejection_reason(self, group: UnitGroup, seconds: float) -> str:
        """Return why a group is dropped, or ""."""
        if len(join_unit_texts(group, self._blank)) > self._options.most_letters:
            return "too_much_text"
        if seconds > self._options.longest_s + 1e-6:
            return "too_long"
        return "too_short" if seconds < self._options.shortest_s - 1e-6 else ""

    def _fits(self, group: UnitGroup) -> bool:
        is_brief = len(join_unit_texts(group, self._blank)) <= self._options.most_letters
        return is_brief and _seconds(group) <= self._longest_s

    def _should_merge(self, left: UnitGroup, right: UnitGroup) -> bool:
        is_short = min(_seconds(left), _seconds(right)) < self._options.join_below_s
        pause = right[0].start_s - left[-1].stop_s
        is_near = pause <= self._options.longest_pause_s
        return is_short and is_near and self._fits(left + right)

    def _score_cut(self, group: UnitGroup, at: int) -> float:
        """Score a cut before unit `at`: by pause, punctuation and balance."""
        left, right = group[at - 1], group[at]
        worth = min(MAX_SCORED_PAUSE_S, max(0.0, right.start_s - left.stop_s))
        worth += SENTENCE_WEIGHT * _ends_with(left, SENTENCE_ENDS) + CLAUSE_WEIGHT * _ends_with(
            left, CLAUSE_ENDS
        )
        before = left.stop_s - group[0].start_s
        after = group[-1].stop_s - right.start_s
        worth -= BALANCE_WEIGHT * abs(before - after) / max(before + after, 1e-6)
        return worth - 10.0 * (min(before, after) < self._options.shortest_s)


def _group_sentences(units: Sequence[TextUnit]) -> list[UnitGroup]:
    """Group units into sentences."""
    groups: list[list[TextUnit]] = []
    for unit in units:
        last = groups[-1][-1] if groups else None
        paused = last is not None and unit.start_s - last.stop_s >= SENTENCE_PAUSE_S
        if last is None or paused or _ends_with(last, SENTENCE_ENDS) or not last.is_word:
            groups.append([unit])
        else:
            groups[-1].append(unit)
    return [tuple(group) for group in groups]


def _ends_with(unit: TextUnit, signs: tuple[str, ...]) -> bool:
    return unit.text.strip().rstrip(CLOSING_PUNCTUATION).endswith(signs)


def _seconds(group: UnitGroup) -> float:
    return group[-1].stop_s - group[0].start_s


def _find_cut(left: TextUnit, right: TextUnit, speech: Sequence[TimeSpan]) -> float:
    """Return the middle of the longest pause between two units."""
    start, stop = left.stop_s, right.start_s
    if stop <= start:
        return (start + stop) / 2
    spoken = [(max(a, start), min(b, stop)) for a, b in find_overlapping_spans(speech, start, stop)]
    edges = [start, *(edge for span in spoken for edge in span), stop]
    pauses = list(zip(edges[::2], edges[1::2], strict=True))
    first, last = max(pauses, key=lambda pause: pause[1] - pause[0])
    return (first + last) / 2


def find_overlapping_spans(
    times: Sequence[TimeSpan], start: float, stop: float
) -> Sequence[TimeSpan]:
    """Return those of many ordered spans that overlap with one."""
    first = bisect_right(times, start, key=lambda span: span[1])
    return times[first : bisect_left(times, stop, lo=first, key=lambda span: span[0])]


def _trim_to_speech(
    group: UnitGroup, bounds: TimeSpan, speech: Sequence[TimeSpan], margin_s: float
) -> TimeSpan:
    """Return start and stop of the speech in a group, with a margin, within its bounds.

    Without speech during its first or last unit, the times of that unit are used.
    """
    left, right = bounds
    first, last = group[0], group[-1]
    spans = find_overlapping_spans(speech, left, right)
    start, stop = first.start_s, last.stop_s
    if spans and spans[0][0] < first.stop_s:
        start = max(left, spans[0][0])
    if spans and spans[-1][1] > last.start_s:
        stop = min(right, spans[-1][1])
    start, stop = max(left, start - margin_s), min(right, stop + margin_s)
    return start, max(start, stop)
