"""The sentence of each checkpoint, judged: by its words and by its likeness to the dataset."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from speech.clip import Clip, ClipError
from speech.files import read_clip
from training.config import DataChoice
from training.judging import MOST_CLIPS, Judge
from training.manifest import ManifestError, read_dataset, read_lines
from training.preflight_clips import find_audio

Score = Callable[[Path, str], tuple[float | None, float | None]]
"""Say of a spoken file and its text: the share of wrong words, and the likeness to the voice."""


def score_of(dataset: Path, choice: DataChoice, note: Callable[[str], None]) -> Score:
    """Judge with what is installed, made ready when first asked; notes what cannot be judged."""

    @cache
    def judge() -> Judge:
        language = "en"
        with suppress(ManifestError):
            language = read_dataset(dataset).language
        ready = Judge.of(_speaker(dataset, choice), language=language)
        if ready.note:
            note(ready.note)
        return ready

    def score(path: Path, text: str) -> tuple[float | None, float | None]:
        clip = read_clip(path)
        return judge().words(clip, text), judge().voice(clip)

    return score


def _speaker(dataset: Path, choice: DataChoice) -> list[Clip]:
    """A few clips of the dataset, as far as they are still there."""
    with suppress(ManifestError):
        lines = read_lines(dataset / choice.train)[:MOST_CLIPS]
        found = [find_audio(dataset, named) for named, _ in lines]
        return [clip for audio in found if audio and (clip := _clip(audio))]
    return []


def _clip(audio: Path) -> Clip | None:
    try:
        return read_clip(audio)
    except (ClipError, OSError):
        return None
