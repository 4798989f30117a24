"""What an engine may be able to do beyond speaking; the studio asks, an engine need not.

Light: no torch at import time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    from engines.conditioning import Conditioning
    from jobs.report import Reporter
    from speech.clip import Clip


@runtime_checkable
class ListensByOptions(Protocol):
    """An engine some of whose knobs change what it hears of a speaker."""

    conditioning_knobs: ClassVar[tuple[str, ...]]  # their names; whoever caches keys by them

    # Any: the instance of the engine's options
    def condition_with(self, clips: Sequence[Clip], options: Any, report: Reporter) -> Conditioning:
        """Listen to clips of one speaker, the way these options say."""
        ...


@runtime_checkable
class Invents(Protocol):
    """An engine that can make up a speaker."""

    def invent(self, seed: int, report: Reporter) -> Conditioning:
        """Make up a speaker; the same seed gives the same one."""
        ...


@runtime_checkable
class ReadsLatents(Protocol):
    """An engine that knows voices which another program has kept as latents."""

    def read_latents(self, path: Path) -> Conditioning:
        """Read such a file.  Raises ValueError for one that is none, or is of other weights."""
        ...


@runtime_checkable
class Measures(Protocol):
    """An engine that knows how much text it can speak at once."""

    @property
    def text_limit(self) -> int:
        """The most tokens that can be spoken in one piece."""
        ...

    def count_tokens(self, text: str) -> int:
        """Say how many tokens the text makes."""
        ...


@runtime_checkable
class Aligns(Protocol):
    """An engine that can find parts of a text in what it spoke."""

    def align(
        self, parts: Sequence[str], clip: Clip, speaker: Conditioning, report: Reporter
    ) -> list[float] | None:
        """Say at which second of the clip each part of its text begins; None if it cannot tell.

        The clip speaks the parts joined with spaces.
        """
        ...
