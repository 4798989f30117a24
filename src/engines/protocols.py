"""What an engine may be able to do beyond speaking; the studio asks, an engine need not.

Light: no torch at import time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    from audio.clip import Clip
    from core.progress import ProgressReporter
    from engines.speaker_latents import SpeakerLatents


from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from typing_extensions import Self

    from audio.clip import Clip
    from core.progress import ProgressReporter
    from engines.speaker_latents import SpeakerLatents


@runtime_checkable
class SupportsConditioningOptions(Protocol):
    """An engine some of whose knobs change what it hears of a speaker."""

    conditioning_options: ClassVar[tuple[str, ...]]  # their names; whoever caches keys by them

    # Any: the instance of the engine's options
    def condition_with_options(
        self, clips: Sequence[Clip], options: Any, report: ProgressReporter
    ) -> SpeakerLatents:
        """Listen to clips of one speaker, the way these options say."""
        ...


@runtime_checkable
class SupportsRandomSpeakers(Protocol):
    """An engine that can make up a speaker."""

    def sample_random_speaker(self, seed: int, report: ProgressReporter) -> SpeakerLatents:
        """Make up a speaker; the same seed gives the same one."""
        ...


@runtime_checkable
class SupportsForeignLatents(Protocol):
    """An engine that knows voices which another program has kept as latents."""

    def read_latents(self, path: Path) -> SpeakerLatents:
        """Read such a file.  Raises ValueError for one that is none, or is of other weights."""
        ...


@runtime_checkable
class SupportsTokenCount(Protocol):
    """An engine that knows how much text it can speak at once."""

    @property
    def text_limit(self) -> int:
        """The most tokens that can be spoken in one piece."""
        ...

    def count_tokens(self, text: str) -> int:
        """Say how many tokens the text makes."""
        ...


@runtime_checkable
class SupportsAlignment(Protocol):
    """An engine that can find parts of a text in what it spoke."""

    def align(
        self, parts: Sequence[str], clip: Clip, speaker: SpeakerLatents, report: ProgressReporter
    ) -> list[float] | None:
        """Say at which second of the clip each part of its text begins; None if it cannot tell.

        The clip speaks the parts joined with spaces.
        """
        ...


class Engine(Protocol):
    """A way to speak. It knows no voices, folders, result files, pages or other engines.

    The same seed gives the same clip; arguments stay as they are and so does the global random
    state; `Cancelled` comes within one report after the wish to stop.
    """

    name: ClassVar[str]
    sample_rate: ClassVar[int]  # Hz of what synthesize returns
    options: ClassVar[type]  # a frozen dataclass of knobs, see core.options

    @property
    def weights_id(self) -> str:
        """Name the weights: equal ids, equal numbers."""
        ...

    @classmethod
    def load(cls, weights: Path, device: torch.device) -> Self:
        """Read a bundle of weights. Raises ValueError for one that is incomplete or damaged."""
        ...

    def condition(self, clips: Sequence[Clip], report: ProgressReporter) -> SpeakerLatents:
        """Listen to clips of one speaker."""
        ...

    # Any: the instance of `options` that belongs to this engine
    def synthesize(
        self, text: str, speaker: SpeakerLatents, options: Any, report: ProgressReporter
    ) -> list[Clip]:
        """Speak the text; the best clip first. Raises ValueError naming an option out of range."""
        ...
