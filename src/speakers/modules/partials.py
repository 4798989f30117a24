"""Overlapping partial utterances of 1.6 s, whose embeddings are averaged. Light."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.errors import InvalidValueError

PARTIAL_FRAMES = 160
HOP_SAMPLES = 160  # of the features that the published encoders read
FRAMES_PER_S = 100
RESEMBLYZER_RATE = 1.3  # partial utterances a second
CONTINUOUS_RATE = 16.0  # to find where the speaker changes
MIN_COVERAGE = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialOptions:
    """How an utterance is cut into parts.

    frames: of a part;  step: frames from one to the next;  min_coverage: the last part is dropped
    where less of it than this is covered, unless it is the only one.
    """

    frames: int = PARTIAL_FRAMES
    step: int = 77
    min_coverage: float = MIN_COVERAGE

    def __post_init__(self) -> None:
        if self.frames < 1 or not 1 <= self.step <= self.frames:
            raise InvalidValueError(
                f"step is {self.step}; it must be from 1 to the {self.frames} frames of a part."
            )
        if not 0 < self.min_coverage <= 1:
            raise InvalidValueError(
                f"min_coverage is {self.min_coverage}; it must be above 0 and at most 1."
            )

    @classmethod
    def from_rate(
        cls, rate: float = RESEMBLYZER_RATE, min_coverage: float = MIN_COVERAGE
    ) -> PartialOptions:
        """rate: parts a second, from 0.625 (no overlap), as Resemblyzer counts them."""
        if rate <= 0:
            raise InvalidValueError(f"rate is {rate}; it must be above 0.")
        step = round(FRAMES_PER_S / rate)
        if not 1 <= step <= PARTIAL_FRAMES:
            raise InvalidValueError(
                f"rate is {rate}; it must be from {FRAMES_PER_S / PARTIAL_FRAMES} to "
                f"{2 * FRAMES_PER_S} partial utterances a second."
            )
        return cls(step=step, min_coverage=min_coverage)

    @classmethod
    def from_overlap(
        cls,
        overlap: float = 0.5,
        frames: int = PARTIAL_FRAMES,
        min_coverage: float = MIN_COVERAGE,
    ) -> PartialOptions:
        """overlap: of two parts, from 0 to below 1, as Real-Time Voice Cloning counts it."""
        if not 0 <= overlap < 1:
            raise InvalidValueError(f"overlap is {overlap}; it must be from 0 to below 1.")
        step = max(1, round(frames * (1 - overlap)))
        return cls(frames=frames, step=step, min_coverage=min_coverage)


DEFAULT_PARTIALS = PartialOptions.from_rate()
CONTINUOUS_PARTIALS = PartialOptions.from_rate(CONTINUOUS_RATE)


def compute_partial_slices(samples: int, options: PartialOptions, hop: int = 160) -> list[slice]:
    """Return the frames of each partial utterance of a wave; the last may end beyond the wave.

    The samples of a part are its frames times `hop`.
    """
    frames = math.ceil((samples + 1) / hop)
    stop = max(1, frames - options.frames + options.step + 1)
    slices = [slice(at, at + options.frames) for at in range(0, stop, options.step)]
    coverage = (samples - slices[-1].start * hop) / (options.frames * hop)
    if coverage < options.min_coverage and len(slices) > 1:
        slices.pop()
    return slices
