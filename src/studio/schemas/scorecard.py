"""The scorecard of a voice on this machine: words right, likeness and speed. Light."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from core.options import OptionInfo, validate_options
from studio.schemas.speech import SpeechRequest

MAX_LINES = 20
SCORECARD_LINES = (
    "The train to the coast leaves at half past nine.",
    "She put the letter in a drawer and closed it.",
    "We had soup and bread before the guests arrived.",
    "Nobody knew why the lights had gone out.",
    "A cold wind blew across the empty square.",
    "He asked for a map, but there were none left.",
    "The garden needs more water in the summer.",
    "They walked along the river until it was dark.",
    "Please send the package to my office by Friday.",
    "It took three people to carry the old piano.",
    "The doctor said that rest would be enough.",
    "Our neighbors painted their fence bright blue.",
    "I could hear music from the floor above.",
    "The museum is closed on the first Monday of the month.",
    "Her brother works for a small bank in the city.",
    "Turn left at the church and cross the bridge.",
    "The children laughed at the clown's big shoes.",
    "You should keep the windows shut at night.",
    "Most of the visitors came from far away.",
    "He finished the book in a single afternoon.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureVoiceRequest:
    """Speak `lines` sentences and measure them. speech: voice, model and options; its text and its
    take check are replaced."""

    speech: SpeechRequest
    lines: Annotated[int, OptionInfo(2, MAX_LINES, 1, "Sentences to speak")] = 10

    def __post_init__(self) -> None:
        validate_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean and its standard error."""

    mean: float
    error: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.error:.3f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """What was measured.

    word_errors: wrong, missing and added words for a word of the text, as `recognizer` hears them,
    None where no recognizer tells single words apart; likeness: similarity to the recordings of the
    voice, None where it cannot be measured; seconds_per_second: computing for a second of speech.
    """

    clip: str
    voice: str
    model: str
    lines: int
    seconds: float
    seconds_per_second: float
    recognizer: str = ""
    word_errors: Estimate | None = None
    likeness: Estimate | None = None


def estimate_mean(values: Sequence[float]) -> Estimate:
    """Return the mean of at least two values and its standard error."""
    mean, count = sum(values) / len(values), len(values)
    variance = sum((value - mean) ** 2 for value in values) / (count - 1)
    return Estimate(mean=mean, error=math.sqrt(variance / count))


def estimate_rate(errors: Sequence[int], words: Sequence[int]) -> Estimate:
    """Return errors for a word of at least two lines, and the standard error of that ratio."""
    rate, count = sum(errors) / sum(words), len(words)
    squares = sum((e - rate * w) ** 2 for e, w in zip(errors, words, strict=True))
    return Estimate(mean=rate, error=math.sqrt(squares * count / (count - 1)) / sum(words))
