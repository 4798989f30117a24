"""Check a transcript against a recording: who speaks, and which words are heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein
from scipy.optimize import linear_sum_assignment

from training.gold.cleaning import clean_transcript
from training.gold.diary import Turn, merge_turns
from training.gold.transcripts import TranscriptTurn

Status = Literal["agrees", "other speaker", "not heard", "not in the transcript"]
MIN_HEARD = 0.5  # share of the words of a turn that must be heard
SPOKEN_WORD_S = 0.6  # of a slow word; for words that were not heard


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardWord:
    """A word of a recognizer, upper-case, with its times in seconds."""

    text: str
    start: float
    stop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCheck:
    """One turn of the transcript, found in the recording.

    start, stop: None where none of its words were heard;  differences: what is written and what
    was heard instead.
    """

    index: int
    speaker: str
    start: float | None
    stop: float | None
    diary_speaker: str
    heard: float
    status: Status
    differences: tuple[tuple[str, str], ...]


class LocatedTurn(NamedTuple):
    """Where a turn was heard. start, stop: None where none of its words were; share: of the words;
    missing_first, missing_last: words before the first and after the last that was heard."""

    start: float | None
    stop: float | None
    share: float
    differences: tuple[tuple[str, str], ...]
    missing_first: int = 0
    missing_last: int = 0


class Run(NamedTuple):
    """A stretch of two sequences: [first, last) of the one, [left, right) of the other."""

    first: int
    last: int
    left: int
    right: int
    is_equal: bool


def align_sequences(ours: Sequence[str], theirs: Sequence[str]) -> list[Run]:
    """Align two sequences with the fewest edits; equal and unequal runs take turns."""
    runs: list[Run] = []
    for op in Levenshtein.opcodes(ours, theirs):
        is_equal = op.tag == "equal"
        if runs and not is_equal and not runs[-1].is_equal:
            runs[-1] = runs[-1]._replace(last=op.src_end, right=op.dest_end)
        else:
            runs.append(Run(op.src_start, op.src_end, op.dest_start, op.dest_end, is_equal))
    return runs


def name_speakers(
    diary: Sequence[Turn], spans: Sequence[tuple[str, float, float]]
) -> dict[str, str]:
    """Return which transcript name each diary speaker has, by the time that they share.

    spans: name, start and stop of the transcript's turns. A diary speaker without a name keeps his
    label.
    """
    labels = sorted({turn.speaker for turn in diary})
    names = sorted({name for name, _, _ in spans})
    shared = np.zeros((len(labels), len(names)))
    for turn in diary:
        for name, start, stop in spans:
            common = min(turn.stop, stop) - max(turn.start, start)
            if common > 0:
                shared[labels.index(turn.speaker), names.index(name)] += common
    rows, columns = linear_sum_assignment(-shared)
    return {
        labels[row]: names[column]
        for row, column in zip(rows, columns, strict=True)
        if shared[row, column] > 0
    }


def estimate_spans(
    turns: Sequence[TranscriptTurn], diary: Sequence[Turn]
) -> list[tuple[str, float, float]]:
    """Place the turns of a transcript on the speech of the diary, in proportion to their words.

    For recordings that no recognizer has heard.
    """
    sizes = [len(turn.text.split()) for turn in turns]
    total, speech = max(sum(sizes), 1), sum(turn.duration for turn in diary)
    spans, done = [], 0
    for turn, size in zip(turns, sizes, strict=True):
        start = _time_at(diary, speech * done / total)
        done += size
        spans.append((turn.speaker, start, _time_at(diary, speech * done / total)))
    return spans


def locate_turns(turns: Sequence[TranscriptTurn], heard: Sequence[HeardWord]) -> list[LocatedTurn]:
    """Find the turns of a transcript among recognized words."""
    words = [
        (word, index)
        for index, turn in enumerate(turns)
        for part in clean_transcript(turn.text)
        for word in part.words
    ]
    runs = align_sequences([word for word, _ in words], [word.text for word in heard])
    times: dict[int, list[HeardWord]] = {}
    places: dict[int, list[int]] = {}  # of the words of a turn that were heard
    differences: dict[int, list[tuple[str, str]]] = {}
    for first, last, left, right, is_equal in runs:
        if is_equal:
            for offset in range(last - first):
                index = words[first + offset][1]
                times.setdefault(index, []).append(heard[left + offset])
                places.setdefault(index, []).append(first + offset)
        elif words:
            near = min(first, len(words) - 1)
            written = " ".join(word for word, _ in words[first:last])
            differences.setdefault(words[near][1], []).append(
                (written, " ".join(word.text for word in heard[left:right]))
            )
    counts = np.bincount([index for _, index in words], minlength=len(turns))
    firsts = np.cumsum(counts) - counts
    located = []
    for index in range(len(turns)):
        own, count = places.get(index, []), int(counts[index])
        located.append(
            LocatedTurn(
                start=times[index][0].start if own else None,
                stop=times[index][-1].stop if own else None,
                share=len(own) / max(count, 1),
                differences=tuple(differences.get(index, ())),
                missing_first=own[0] - int(firsts[index]) if own else 0,
                missing_last=int(firsts[index]) + count - 1 - own[-1] if own else 0,
            )
        )
    return located


def extend_turns(located: Sequence[LocatedTurn], diary: Sequence[Turn]) -> list[LocatedTurn]:
    """Extend turns whose first or last words were not heard to where their speaker speaks.

    They stay within the diary's turn, and out of the turns before and after.
    """
    extended: list[LocatedTurn] = []
    for index, one in enumerate(located):
        if one.start is None or one.stop is None:
            extended.append(one)
            continue
        start, stop = one.start, one.stop
        before = max((two.stop or 0.0 for two in extended), default=0.0)
        after = min(
            (two.start for two in located[index + 1 :] if two.start is not None), default=stop
        )
        if one.missing_first:
            begin = _turn_at(diary, start).start
            start = max(begin, before, start - SPOKEN_WORD_S * (one.missing_first + 1))
        if one.missing_last:
            end = _turn_at(diary, stop).stop
            room = max(stop, after) if after > stop else end
            stop = min(end, room, stop + SPOKEN_WORD_S * (one.missing_last + 1))
        extended.append(one._replace(start=min(start, one.start), stop=max(stop, one.stop)))
    return extended


def check_turns(
    turns: Sequence[TranscriptTurn], heard: Sequence[HeardWord], diary: Sequence[Turn]
) -> list[TurnCheck]:
    """Compare each turn of the transcript with the words heard and with the named diary."""
    checks = []
    located = extend_turns(locate_turns(turns, heard), diary)
    for index, (turn, (start, stop, share, differences, _, _)) in enumerate(
        zip(turns, located, strict=True)
    ):
        diary_speaker = "" if start is None or stop is None else _main_speaker(diary, start, stop)
        status: Status = "agrees"
        if start is None or share < MIN_HEARD:
            status = "not heard"
        elif diary_speaker != turn.speaker:
            status = "other speaker"
        checks.append(
            TurnCheck(
                index=index,
                speaker=turn.speaker,
                start=start,
                stop=stop,
                diary_speaker=diary_speaker,
                heard=share,
                status=status,
                differences=differences,
            )
        )
    return checks


def compare_order(turns: Sequence[TranscriptTurn], diary: Sequence[Turn]) -> list[str]:
    """Return where the order of the speakers differs, in words; [] where it agrees."""
    written = [turn.speaker for turn in turns]
    spoken = merge_turns(diary)
    problems = []
    for first, last, left, right, is_equal in align_sequences(
        written, [turn.speaker for turn in spoken]
    ):
        if is_equal:
            continue
        place = spoken[min(left, len(spoken) - 1)].start if spoken else 0.0
        names = ", ".join(written[first:last]) or "nobody"
        heard = ", ".join(turn.speaker for turn in spoken[left:right]) or "nobody"
        problems.append(
            f"at {place:.1f} s, turn {first + 1}: the transcript has {names}, the diary {heard}"
        )
    return problems


def _main_speaker(diary: Sequence[Turn], start: float, stop: float) -> str:
    shared: dict[str, float] = {}
    for turn in diary:
        common = min(turn.stop, stop) - max(turn.start, start)
        if common > 0:
            shared[turn.speaker] = shared.get(turn.speaker, 0.0) + common
    return max(shared, key=lambda name: shared[name]) if shared else ""


def _turn_at(diary: Sequence[Turn], time: float) -> Turn:
    """Return the turn of the diary at a time, or one without length where there is none."""
    found = [turn for turn in diary if turn.start <= time <= turn.stop]
    return found[0] if found else Turn(start=time, stop=time, speaker="")


def _time_at(diary: Sequence[Turn], seconds: float) -> float:
    """Return the time of the recording after so many seconds of speech."""
    for turn in diary:
        if seconds <= turn.duration:
            return turn.start + seconds
        seconds -= turn.duration
    return diary[-1].stop if diary else 0.0
