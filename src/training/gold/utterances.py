"""From the turns of a transcript to checked utterances: word times, scores, cuts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import numpy as np
from rapidfuzz import fuzz

from training.gold.agreement import HeardWord, TurnCheck, align_sequences
from training.gold.cleaning import CleanedPart, clean_transcript
from training.gold.project_files import UtteranceFields
from training.gold.splitting import SplitCosts, TimedWord, UtteranceSpan, split_optimally

MAX_LIKE_SCORE = 0.8  # of a word that is spelled differently
MIN_WORD_SCORE = 0.5  # below it another word was spoken
CONFIRMED_SCORE = 0.6  # of a word that fits the sound as well as what was heard
MIN_RATIO = -0.04  # log-likelihood ratio at which it does
MIN_LIKENESS = 0.4  # of the letters; less alike words are others
MAX_DOUBTFUL = 6  # words in a row
CONTEXT, CONTEXT_MARGIN_S = 2, 0.05  # words on each side that are compared too
SURE_SCORE = 0.8  # of a neighbour that shows that a short word was spoken
SHORT_WORD = 3  # letters; recognizers confuse such words, so that they prove nothing
MIN_SPEAKER_GAP_S = 0.25  # from the words of another speaker
NEAR_S = 0.4  # between an aligned word and the same word of the recognizer
COSTS = SplitCosts(min_score=1e-6)  # parts that are left out have a score of 0
MAX_CHUNK_S = 25.0
MIN_HALVED = 4  # parts; a shorter chunk that cannot be aligned is left out
MARGIN_S = 0.25  # of audio on each side of what is aligned

Pronounce = Callable[[str], Sequence[str]]
"""A word, upper-case -> its phones, () where they are unknown."""
CompareTexts = Callable[[float, float, Sequence[str], Sequence[str]], float | None]
"""start, stop, words written, words heard -> log of how much better the first ones fit."""
Chunk = tuple[int, int, float, float]
"""First and last part, start and stop in seconds."""
AlignText = Callable[[float, float, Sequence[str]], list[tuple[float, float]] | None]
"""start, stop, words -> start and stop of each word in the recording, None where it fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedPart:
    """A part of a turn's text with its times in seconds. score: 0 to 1, of its worst word."""

    turn: int
    part: CleanedPart
    start: float
    stop: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance(UtteranceFields):
    """A checked utterance. problems: why it is left out, () if it is used."""

    problems: tuple[str, ...] = ()

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return self.stop - self.start


def align_turn(
    check: TurnCheck,
    text: str,
    heard: Sequence[HeardWord],
    align: AlignText,
    pronounce: Pronounce = lambda word: (),
    compare: CompareTexts = lambda start, stop, written, heard: None,
) -> list[AlignedPart]:
    """Return the parts of a turn with their times; [] for one that was not found.

    Long turns are aligned in chunks that end where the recognizer heard the same word. Words that
    it heard otherwise count where they fit the sound as well as what it heard.
    """
    if check.start is None or check.stop is None:
        return []
    parts = [part for part in clean_transcript(text) if part.words]
    inside = [
        word
        for word in heard
        if check.start - MARGIN_S <= word.start and word.stop <= check.stop + MARGIN_S
    ]
    aligned: list[AlignedPart] = []
    for chunk in _cut_chunks(parts, inside, check.start, check.stop):
        for part, own, is_aligned in _align_chunk(parts, chunk, inside, align):
            scores = [
                score_word(word, *time, inside, pronounce) if is_aligned else 0.0
                for word, time in zip(part.words, own, strict=True)
            ]
            aligned.append(
                AlignedPart(
                    turn=check.index,
                    part=part,
                    start=own[0][0],
                    stop=own[-1][1],
                    score=min(scores),
                )
            )
    return _confirm_parts(aligned, inside, compare)


def _align_chunk(
    parts: Sequence[CleanedPart], chunk: Chunk, heard: Sequence[HeardWord], align: AlignText
) -> list[tuple[CleanedPart, list[tuple[float, float]], bool]]:
    """Return the parts of a chunk with the times of their words, and whether they were aligned.

    A chunk that cannot be aligned is halved at a word that was heard; what is left gets times in
    equal steps.
    """
    first, last, start, stop = chunk
    words = [word for part in parts[first:last] for word in part.words]
    times = align(max(0.0, start - MARGIN_S), stop + MARGIN_S, words) if words else []
    if times is None:
        middle = (first + last) / 2
        anchors = [
            (index, time)
            for index, time in _find_anchors(parts[first:last], heard)
            if start < time < stop
        ]
        if last - first < MIN_HALVED or not anchors:
            edges = np.linspace(start, max(start, stop), len(words) + 1).tolist()
            return _assign_times(parts[first:last], list(pairwise(edges)), False)
        offset, time = min(anchors, key=lambda anchor: abs(first + anchor[0] - middle))
        halves = ((first, first + offset, start, time), (first + offset, last, time, stop))
        return [found for half in halves for found in _align_chunk(parts, half, heard, align)]
    return _assign_times(parts[first:last], times, True)


def _assign_times(
    parts: Sequence[CleanedPart], times: Sequence[tuple[float, float]], is_aligned: bool
) -> list[tuple[CleanedPart, list[tuple[float, float]], bool]]:
    position, found = 0, []
    for part in parts:
        own = list(times[position : position + len(part.words)])
        found.append((part, own, is_aligned))
        position += len(part.words)
    return found


def _confirm_parts(
    parts: Sequence[AlignedPart], heard: Sequence[HeardWord], compare: CompareTexts
) -> list[AlignedPart]:
    """Raise the scores of parts that fit the sound as well as what was heard instead.

    Recognizers prefer common words; the sound decides. Each run of doubtful parts is compared with
    its neighbours.
    """
    confirmed = list(parts)
    doubtful = [index for index, one in enumerate(parts) if 0 < one.score < MIN_WORD_SCORE]
    for _, numbered in groupby(enumerate(doubtful), key=lambda pair: pair[1] - pair[0]):
        run = [index for _, index in numbered]
        if len(run) > MAX_DOUBTFUL:
            continue
        near = parts[max(0, run[0] - CONTEXT) : run[-1] + CONTEXT + 1]
        start, stop = near[0].start - CONTEXT_MARGIN_S, near[-1].stop + CONTEXT_MARGIN_S
        written = [word for one in near for word in one.part.words]
        other, likeness = _find_counterpart(written, heard, start, stop)
        if not other or likeness < MIN_LIKENESS:
            continue
        ratio = compare(max(0.0, start), stop, written, other)
        if ratio is not None and ratio >= MIN_RATIO:
            for index in run:
                confirmed[index] = replace(parts[index], score=CONFIRMED_SCORE)
    return confirmed


def _find_counterpart(
    written: Sequence[str], heard: Sequence[HeardWord], start: float, stop: float
) -> tuple[list[str], float]:
    """Return what was heard for words written between two times, and how alike the two are.

    [] where nothing was heard. The likeness, 0 to 1, is that of the letters that differ; words of
    up to three letters are always alike.
    """
    around = [word for word in heard if start - NEAR_S < word.stop and word.start < stop + NEAR_S]
    runs = align_sequences(written, [word.text for word in around])
    other: list[str] = []
    ours: list[str] = []
    theirs: list[str] = []
    for run in runs:
        found = around[run.left : run.right]
        if run is runs[0] or run is runs[-1]:
            inside = [word for word in found if start < (word.start + word.stop) / 2 < stop]
            found = found if run.is_equal else inside[: 2 * (run.last - run.first)]
            if run.first < run.last and not found:
                return [], 0.0
        other += [word.text for word in found]
        if not run.is_equal:
            ours += written[run.first : run.last]
            theirs += [word.text for word in found]
    if max(map(len, ours), default=0) <= SHORT_WORD:
        return other, 1.0
    return other, fuzz.ratio("".join(ours), "".join(theirs)) / 100


def score_word(
    word: str,
    start: float,
    stop: float,
    heard: Sequence[HeardWord],
    pronounce: Pronounce = lambda word: (),
) -> float:
    """Return how well a word agrees with what the recognizer heard at that time, 0 to 1.

    1 for the same word; for another one the likeness of their letters or of their phones, since
    recognizers spell names and endings differently.
    """
    near = [other for other in heard if other.start < stop + NEAR_S and start - NEAR_S < other.stop]
    if any(other.text == word for other in near):
        return 1.0
    spelled = [other.text for other in near]
    spelled += [first + second for first, second in pairwise(spelled)]  # "block house"
    letters = max((fuzz.ratio(word, text) for text in spelled), default=0.0)
    phones = pronounce(word)
    sounds = [found for other in near if (found := pronounce(other.text))]
    sounds += [[*first, *second] for first, second in pairwise(sounds)]
    alike = max((fuzz.ratio(phones, other) for other in sounds), default=0.0) if phones else 0.0
    return MAX_LIKE_SCORE * max(letters, alike) / 100


def split_turn(
    parts: Sequence[AlignedPart],
    text: str,
    speaker: str,
    prefix: str,
    others: Sequence[tuple[float, float]] = (),
) -> list[Utterance]:
    """Split the aligned parts of one turn into utterances, cut between parts only.

    others: when other speakers speak; words that they touch are left out, as are words that differ
    from what is heard.
    """
    sure = [_is_sure(parts, index) for index in range(len(parts))]
    words = [
        TimedWord(
            start=one.start,
            stop=one.stop,
            text=one.part.source,
            score=one.score if is_sure and not _is_touched(one, others) else 0.0,
        )
        for one, is_sure in zip(parts, sure, strict=True)
    ]
    return [
        _make_utterance(number, span, parts, text, speaker, prefix)
        for number, span in enumerate(split_optimally(_repair_order(words), costs=COSTS))
    ]


def _is_sure(parts: Sequence[AlignedPart], index: int) -> bool:
    """Whether the part was spoken as written: by its score, or short beside a sure one."""
    one = parts[index]
    if one.score >= MIN_WORD_SCORE:
        return True
    near = [*parts[max(0, index - 1) : index], *parts[index + 1 : index + 2]]
    is_short = max(map(len, one.part.words)) <= SHORT_WORD
    return is_short and any(other.score >= SURE_SCORE for other in near)


def _is_touched(part: AlignedPart, others: Sequence[tuple[float, float]]) -> bool:
    return any(
        start - MIN_SPEAKER_GAP_S < part.stop and part.start < stop + MIN_SPEAKER_GAP_S
        for start, stop in others
    )


def _make_utterance(
    number: int,
    span: UtteranceSpan,
    parts: Sequence[AlignedPart],
    text: str,
    speaker: str,
    prefix: str,
) -> Utterance:
    used = parts[span.first : span.last + 1]
    written = text[used[0].part.start : used[-1].part.end]
    return Utterance(
        id=f"{prefix}-{number:03d}",
        turn=used[0].turn,
        speaker=speaker,
        start=span.start,
        stop=span.stop,
        text=" ".join(written.split()),
        score=sum(one.score for one in used) / len(used),
    )


def _repair_order(words: Sequence[TimedWord]) -> list[TimedWord]:
    """Make times never decrease; neighbouring chunks may overlap by their margins."""
    repaired: list[TimedWord] = []
    for word in words:
        floor = repaired[-1].stop if repaired else 0.0
        start = max(word.start, floor)
        repaired.append(replace(word, start=start, stop=max(word.stop, start)))
    return repaired


def _cut_chunks(
    parts: Sequence[CleanedPart], heard: Sequence[HeardWord], start: float, stop: float
) -> list[Chunk]:
    """Cut a turn into chunks of at most 25 s."""
    if stop - start <= MAX_CHUNK_S or not heard:
        return [(0, len(parts), start, stop)]
    anchors = _find_anchors(parts, heard)
    chunks, first, begin = [], 0, start
    for index, time in anchors:
        later = next((at for number, at in anchors if number > index), stop)
        if later - begin > MAX_CHUNK_S and index > first:
            chunks.append((first, index, begin, time))
            first, begin = index, time
    return [*chunks, (first, len(parts), begin, stop)]


def _find_anchors(
    parts: Sequence[CleanedPart], heard: Sequence[HeardWord]
) -> list[tuple[int, float]]:
    """Return parts that start with a word that was heard, and the time between it and the last."""
    words = [(word, index) for index, part in enumerate(parts) for word in part.words]
    firsts = {index: number for number, (_, index) in reversed(list(enumerate(words)))}
    runs = align_sequences([word for word, _ in words], [word.text for word in heard])
    matched = {
        run.first + offset: run.left + offset
        for run in runs
        if run.is_equal
        for offset in range(run.last - run.first)
    }
    anchors = []
    for index, number in firsts.items():
        if number in matched and number - 1 in matched and matched[number] > 0:
            before = heard[matched[number] - 1]
            anchors.append((index, (before.stop + heard[matched[number]].start) / 2))
    return sorted(anchors)
