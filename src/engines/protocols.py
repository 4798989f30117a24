"""The engine protocol, what an engine returns, and the capabilities that it may add. Light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from typing_extensions import Self

    from audio.clip import Clip
    from core.progress import ProgressReporter
    from engines.speaker_latents import SpeakerLatents


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpeechCandidate:
    """One candidate of a text.

    score: what the engine ranked it by; aux: what the engine itself needs to align it, None for a
    clip that was read from a file (Any: each engine has its own); word_times: seconds in the clip
    at which each word begins and ends, one after the other, () where they are not known.
    """

    clip: Clip
    score: float | None = None
    aux: Any = None
    word_times: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisWarning:
    """A warning about a clip; only the first one per topic of a request is reported."""

    message: str
    topic: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SynthesisOutput:
    """The result of one synthesis.

    candidates: best first; resolved_options: options whose value the engine chose itself, such as a
    batch size that fits the memory (Any: each option has its own type).
    """

    candidates: Sequence[SpeechCandidate]
    warnings: Sequence[SynthesisWarning] = ()
    resolved_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scores(self) -> list[float | None]:
        return [candidate.score for candidate in self.candidates]


class Engine(Protocol):
    """A speech synthesis engine, independent of voices, folders, result files and pages.

    The same seed gives the same clip; arguments and the global random state are not changed;
    `Cancelled` is raised at the next report after a stop. An engine keeps no state between calls.
    """

    name: ClassVar[str]
    options: ClassVar[type]  # a frozen dataclass of options, see core.options

    @property
    def sample_rate(self) -> int:
        """Return the sample rate of what synthesize returns, in Hz."""
        ...

    @property
    def weights_id(self) -> str:
        """Return the id of the loaded weights, a hash of their content."""
        ...

    @classmethod
    def load(cls, weights: Path, device: torch.device) -> Self:
        """Read a model folder. Raises ValueError for one that is incomplete or damaged."""
        ...

    def condition(self, clips: Sequence[Clip], report: ProgressReporter) -> SpeakerLatents:
        """Compute speaker latents from clips of one speaker."""
        ...

    # Any: the instance of `options` that belongs to this engine
    def synthesize(
        self, text: str, speaker: SpeakerLatents, options: Any, report: ProgressReporter
    ) -> SynthesisOutput:
        """Synthesize the text. Raises ValueError naming an option out of range."""
        ...


@runtime_checkable
class SupportsConditioningOptions(Protocol):
    """An engine some of whose options change the speaker latents."""

    conditioning_options: ClassVar[tuple[str, ...]]  # their names; caches are keyed by them

    # Any: the instance of the engine's options
    def condition_with_options(
        self, clips: Sequence[Clip], options: Any, report: ProgressReporter
    ) -> SpeakerLatents:
        """Compute speaker latents with these options."""
        ...


@runtime_checkable
class SupportsRandomSpeakers(Protocol):
    """An engine that can sample a speaker."""

    def sample_random_speaker(self, seed: int, report: ProgressReporter) -> SpeakerLatents:
        """Sample a speaker; the same seed gives the same one."""
        ...


@runtime_checkable
class SupportsForeignLatents(Protocol):
    """An engine that can read speaker latents saved by another program."""

    def read_latents(self, path: Path) -> SpeakerLatents:
        """Read such a file. Raises ValueError where it is no such file, or of other weights."""
        ...


@runtime_checkable
class SupportsTokenCount(Protocol):
    """An engine that counts tokens and has a limit for one chunk."""

    @property
    def text_limit(self) -> int:
        """The most tokens of one chunk."""
        ...

    def count_tokens(self, text: str) -> int: ...


@runtime_checkable
class SupportsDurations(Protocol):
    """An engine that may know how long a text will last, and speaks at `options.speed`."""

    # Any: the instance of the engine's options
    def predict_duration(self, text: str, speaker: SpeakerLatents, options: Any) -> float | None:
        """Return the seconds of a text at the speed of the options; None where it is unknown."""
        ...


@runtime_checkable
class SupportsWordTimes(Protocol):
    """An engine that may know when each word of a candidate is spoken; it computes nothing."""

    def locate_words(
        self, words: Sequence[str], candidate: SpeechCandidate
    ) -> list[tuple[float, float]] | None:
        """Return where each word begins and ends, in seconds; None where it is not known.

        words: joined with spaces they are the text of the candidate, whose clip was not cut.
        """
        ...


@runtime_checkable
class SupportsAlignment(Protocol):
    """An engine that can find parts of a text in what it spoke."""

    def align(
        self,
        parts: Sequence[str],
        candidate: SpeechCandidate,
        speaker: SpeakerLatents,
        report: ProgressReporter,
    ) -> list[float] | None:
        """Return the start time of each part in seconds; None where it cannot be determined.

        parts: joined with spaces they are the text of the candidate.
        """
        ...
