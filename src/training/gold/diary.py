"""The diary of a recording: who speaks from when to when.

Source: the formats of samoliverschumacher/voice-cloning-workflow and NIST's RTTM.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.errors import InvalidValueError
from core.files import write_text

_ROW = re.compile(r"\s*start:\s*(?P<start>[^,]+),\s*stop:\s*(?P<stop>[^,]+),\s*speaker:(?P<who>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One row of a diary, in seconds."""

    start: float
    stop: float
    speaker: str

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop < math.inf:
            raise InvalidValueError(
                f"A turn of {self.speaker!r} goes from {self.start} to {self.stop} s; a turn "
                "starts at 0 s or later and does not stop before it starts."
            )

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return self.stop - self.start

    def __str__(self) -> str:
        return f"start: {self.start}, stop: {self.stop}, speaker: {self.speaker}"


def read_diary(path: Path) -> list[Turn]:
    """Read a diary file. Raises InvalidValueError naming the first line that cannot be read."""
    turns = []
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        found = _ROW.fullmatch(line)
        if found is None:
            raise InvalidValueError(
                f"{path}, line {number}: {line!r} is not a turn. A turn is written "
                "'start: 0.0, stop: 1.2, speaker: Ann'."
            )
        try:
            start, stop = float(found["start"]), float(found["stop"])
            turns.append(Turn(start=start, stop=stop, speaker=found["who"].strip()))
        except ValueError as error:
            raise InvalidValueError(f"{path}, line {number}: {error}") from error
    return turns


def write_diary(path: Path, turns: Sequence[Turn]) -> None:
    """Write a diary file, a turn per line."""
    write_text(path, "".join(f"{turn}\n" for turn in turns))


def merge_turns(turns: Sequence[Turn]) -> list[Turn]:
    """Join consecutive turns of one speaker."""
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].speaker == turn.speaker:
            merged[-1] = replace(merged[-1], stop=turn.stop)
        else:
            merged.append(turn)
    return merged


def format_rttm(turns: Sequence[Turn], recording: str) -> list[str]:
    """Return the lines of an RTTM file."""
    return [
        f"SPEAKER {recording} 1 {turn.start} {turn.duration:.3f} <NA> <NA> {turn.speaker} <NA> <NA>"
        for turn in turns
    ]


def rotate_speakers(turns: Sequence[Turn], first: Sequence[str]) -> list[Turn]:
    """Rotate the speakers of the turns until they start in the given order.

    Raises InvalidValueError where no rotation does.
    """
    speakers = [turn.speaker for turn in turns]
    for shift in range(len(speakers)):
        rotated = speakers[shift:] + speakers[:shift]
        if rotated[: len(first)] == list(first):
            return [
                replace(turn, speaker=speaker) for turn, speaker in zip(turns, rotated, strict=True)
            ]
    raise InvalidValueError(
        f"No rotation of the speakers {', '.join(speakers)} starts with {', '.join(first)}."
    )


def rename_speakers(turns: Sequence[Turn], names: Mapping[str, str]) -> list[Turn]:
    """Replace the speakers of the turns by other names; unnamed ones stay."""
    return [replace(turn, speaker=names.get(turn.speaker, turn.speaker)) for turn in turns]


def overwrite_scores(
    scores: np.ndarray,
    activity: Sequence[Sequence[tuple[float, float]]],
    window_s: float,
    step_s: float,
) -> np.ndarray:
    """Force known turns upon the speaker scores of overlapping windows.

    scores: (windows, frames, speakers); activity: for each known speaker the seconds in which he
    speaks. A frame in which any known speaker is active gets 1 for him and 0 for the others.
    """
    windows, frames, speakers = scores.shape
    rate = frames / window_s
    total = round((windows - 1) * step_s * rate) + frames
    known = np.zeros((total, speakers), dtype=scores.dtype)
    for speaker, spans in enumerate(activity):
        for start, stop in spans:
            known[math.floor(start * rate) : math.ceil(stop * rate), speaker] = 1
    result = scores.copy()
    for window in range(windows):
        first = round(window * step_s * rate)
        part = known[first : first + frames]
        is_known = part.any(axis=1)
        result[window][is_known] = part[is_known]
    return result
