"""Convert between the rows of a project's files and the values of its steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.gold.agreement import HeardWord, TurnCheck
from training.gold.cleaning import CleanedPart
from training.gold.project_files import (
    HEARD_FILE,
    UTTERANCES_FILE,
    CheckRow,
    UtteranceRow,
    WordRow,
    read_rows,
)
from training.gold.utterances import AlignedPart, Utterance


def read_heard(folder: Path) -> list[HeardWord]:
    """Read the recognized words."""
    return read_rows(folder / HEARD_FILE, HeardWord)


def read_utterances(folder: Path) -> list[Utterance]:
    """Read 5-utterances.csv, with those that are left out."""
    return [
        Utterance(
            id=row.id,
            turn=row.turn,
            speaker=row.speaker,
            start=row.start,
            stop=row.stop,
            text=row.text,
            score=row.score,
            problems=tuple(filter(None, row.problems.split("; "))),
        )
        for row in read_rows(folder / UTTERANCES_FILE, UtteranceRow)
    ]


def to_check_row(check: TurnCheck) -> CheckRow:
    """Convert to a CheckRow."""
    written = " / ".join(one for one, _ in check.differences)
    instead = " / ".join(other for _, other in check.differences)
    return CheckRow(
        turn=check.index,
        speaker=check.speaker,
        start=check.start,
        stop=check.stop,
        diary_speaker=check.diary_speaker,
        heard=check.heard,
        status=check.status,
        written=written,
        instead=instead,
    )


def from_check_row(row: CheckRow) -> TurnCheck:
    """Convert to a TurnCheck."""
    status: Any = row.status  # Any: a person may have written another word, which means "no"
    return TurnCheck(
        index=row.turn,
        speaker=row.speaker,
        start=row.start,
        stop=row.stop,
        diary_speaker=row.diary_speaker,
        heard=row.heard,
        status=status,
        differences=(),
    )


def to_word_row(part: AlignedPart) -> WordRow:
    """Convert to a WordRow."""
    return WordRow(
        turn=part.turn,
        first=part.part.start,
        last=part.part.end,
        source=part.part.source,
        words=" ".join(part.part.words),
        start=part.start,
        stop=part.stop,
        score=part.score,
    )


def from_word_row(row: WordRow) -> AlignedPart:
    """Convert to an AlignedPart."""
    return AlignedPart(
        turn=row.turn,
        part=CleanedPart(
            start=row.first, end=row.last, source=row.source, words=tuple(row.words.split())
        ),
        start=row.start,
        stop=row.stop,
        score=row.score,
    )


def to_utterance_row(utterance: Utterance) -> UtteranceRow:
    """Convert to an UtteranceRow."""
    return UtteranceRow(
        id=utterance.id,
        turn=utterance.turn,
        speaker=utterance.speaker,
        start=utterance.start,
        stop=utterance.stop,
        text=utterance.text,
        score=utterance.score,
        problems="; ".join(utterance.problems),
    )
